"""Who may log in over the network: names with hashed passwords, in a file that only its owner can read.

Hashed by scrypt (RFC 7914), 16 MiB and some 50 ms a try; the parameters are kept with each hash.
"""

from __future__ import annotations

import hashlib
import hmac
import os
import secrets
from collections.abc import Mapping
from pathlib import Path
from typing import Final

import msgspec

SHORTEST_PASSWORD: Final = 8
_LONGEST: Final = 1024
COST: Final = 1 << 14
"""scrypt's N."""


class AccountsError(Exception):
    """The accounts cannot be read or written, or a name or password is refused; the text says why."""


class Account(msgspec.Struct, frozen=True, kw_only=True):
    """A hashed password. `salt` and `digest` are hexadecimal."""

    salt: str
    digest: str
    n: int
    r: int = 8
    p: int = 1


class Accounts:
    """The accounts of one data folder. `right` takes long on purpose: call it in a thread."""

    def __init__(self, path: Path) -> None:
        """:raise AccountsError: the file is there and cannot be used."""
        self._path = path
        self._known = _read(path)
        # Of the last right password, so that a client of many sessions does not hash it for each.
        self._key = secrets.token_bytes(32)
        self._seen: dict[str, bytes] = {}

    def __bool__(self) -> bool:
        return bool(self._known)

    def set(self, user: str, password: str) -> None:
        """Give a user a password, and write it down. :raise AccountsError: it is too short, or cannot be written."""
        if not user or len(user) > _LONGEST or not user.isprintable() or ":" in user:
            raise AccountsError("A user's name has printable characters and no colon")
        if not SHORTEST_PASSWORD <= len(password) <= _LONGEST:
            raise AccountsError(f"A password has at least {SHORTEST_PASSWORD} characters")
        blank = Account(salt=secrets.token_hex(16), digest="", n=COST)
        known = {**self._known, user: msgspec.structs.replace(blank, digest=_digest(blank, password))}
        try:
            _write(self._path, known)
        except OSError as error:
            raise AccountsError(f"{self._path} could not be written: {error.strerror}") from error
        self._known = known
        self._seen.pop(user, None)

    def right(self, user: str, password: str) -> bool:
        """Whether the user has this password. Takes as long for a user that is not there."""
        mark = hmac.digest(self._key, _bytes(password), "sha256")
        if hmac.compare_digest(self._seen.get(user, b""), mark):
            return True
        account = self._known.get(user) or Account(salt=secrets.token_hex(16), digest="", n=COST)
        if not hmac.compare_digest(account.digest, _digest(account, password)):
            return False
        self._seen[user] = mark
        return True


def _digest(account: Account, password: str) -> str:
    return hashlib.scrypt(
        # Hashed once before: scrypt's own HMAC takes a password and the same with zeros behind it for one.
        hashlib.sha256(_bytes(password)).digest(),
        salt=bytes.fromhex(account.salt),
        n=account.n, r=account.r, p=account.p, maxmem=256 << 20,
    ).hex()  # fmt: skip


def _bytes(password: str) -> bytes:
    return password.encode(errors="surrogatepass")


def _read(path: Path) -> Mapping[str, Account]:
    try:
        return msgspec.json.decode(path.read_bytes(), type=dict[str, Account])
    except FileNotFoundError:
        return {}
    except (OSError, msgspec.DecodeError, UnicodeDecodeError) as error:
        raise AccountsError(f"{path} cannot be used: {error}") from error


def _write(path: Path, known: Mapping[str, Account]) -> None:
    """All of it or nothing, readable by nobody else at any moment."""
    new = path.with_name(f"{path.name}.new")
    new.unlink(missing_ok=True)
    with os.fdopen(os.open(new, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600), "wb") as file:
        file.write(msgspec.json.format(msgspec.json.encode(known)))
        file.flush()
        os.fsync(file.fileno())
    new.replace(path)
