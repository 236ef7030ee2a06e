"""Where the engine of this machine answers its own user: a unix socket, or where there is none an authenticated port.

Windows has no unix sockets in asyncio. There a file stands at the socket's place, for its owner only, with a port of
127.0.0.1 and a token that every request has to show: other users of the machine can reach the port, and not the token.
"""

from __future__ import annotations

import os
import secrets
import stat
import sys
from dataclasses import dataclass
from pathlib import Path
from typing import Final

import msgspec

from app import log

HOST: Final = "127.0.0.1"
SCHEME: Final = "Bearer "
_LARGEST: Final = 1024


class LocalAddress(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """A port of 127.0.0.1 and the token that opens it."""

    port: int
    token: str

    def headers(self) -> dict[str, str]:
        """What every request carries."""
        return {"Authorization": f"{SCHEME}{self.token}"}

    def is_shown_by(self, authorization: str) -> bool:
        """Whether a request's header has the token. Takes as long for any wrong one."""
        return secrets.compare_digest(authorization.encode(), f"{SCHEME}{self.token}".encode())


def new_token() -> str:
    """A token that nobody guesses."""
    token = secrets.token_urlsafe(32)
    log.conceal(token)
    return token


def write_address(path: Path, address: LocalAddress) -> None:
    """Put the address in place at once, readable by its owner only. :raise OSError: it cannot be written."""
    beside = path.with_name(f".{path.name}.{secrets.token_hex(8)}")
    descriptor = os.open(beside, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
    try:
        with os.fdopen(descriptor, "wb") as file:
            file.write(msgspec.json.encode(address))
        beside.replace(path)
    except BaseException:
        beside.unlink(missing_ok=True)
        raise


def read_address(path: Path) -> LocalAddress:
    """The address in a file. :raise OSError: it is not there, is no such file, or others could have written it."""
    with path.open("rb") as file:
        found = os.fstat(file.fileno())
        ours = sys.platform == "win32" or (found.st_uid == os.getuid() and stat.S_IMODE(found.st_mode) & 0o077 == 0)
        if not stat.S_ISREG(found.st_mode) or not ours:
            raise PermissionError(f"{path} is not a private file of ours")
        try:
            address = msgspec.json.decode(file.read(_LARGEST), type=LocalAddress)
        except msgspec.DecodeError as error:
            raise OSError(f"{path} holds no address") from error
    log.conceal(address.token)
    return address


@dataclass(frozen=True, slots=True)
class Place:
    """Where requests go: the socket if there is one, and the beginning of their URLs with the headers they carry."""

    socket: Path | None
    url: str
    headers: dict[str, str]
    port: int = 0


def place_of(path: Path) -> Place:
    """How to reach the engine that answers at `path`, as things are now.

    :raise OSError: what stands there cannot be used. A path without anything counts as a socket that does not answer.
    """
    if not path.is_file():
        if sys.platform == "win32":
            raise FileNotFoundError(f"no engine has left its address at {path}")
        return Place(path, "http://engine", {})
    address = read_address(path)
    return Place(None, f"http://{HOST}:{address.port}", address.headers(), address.port)


def stands_at(path: Path) -> bool:
    """Whether an engine has left its socket or its address there; it may be gone since."""
    return path.is_socket() or path.is_file()
