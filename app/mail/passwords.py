"""The password of the mail account: from systemd, from a file that the administrator names, or from the keyring.

It is never in a settings file of ours, in a log or on a command line. A service without a session has no keyring:
then `LoadCredential=smtp-password:…` in its unit (systemd.exec(5)), or a file that only its owner can read.
"""

from __future__ import annotations

import importlib
import os
import stat
import sys
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

from app import log
from app.mail.settings import MailSettings

CREDENTIAL: Final = "smtp-password"
"""The name of the systemd credential."""
FILE_VARIABLE: Final = "STILLFRAME_SMTP_PASSWORD_FILE"
SERVICE: Final = "stillframe mail"
"""The keyring's name for what is ours."""
LONGEST: Final = 1024


class PasswordError(Exception):
    """There is no password, or it cannot be read or kept; the text is a sentence."""


@dataclass(frozen=True, slots=True)
class Found:
    """A password and where it comes from: `credential`, `file` or `keyring`."""

    password: str
    source: str


def find(settings: MailSettings) -> Found:
    """The password of the account. May wait for a keyring that asks its user.

    :raise PasswordError: there is none, or it cannot be read.
    """
    folder, named = os.environ.get("CREDENTIALS_DIRECTORY", ""), os.environ.get(FILE_VARIABLE, "")
    if folder and (Path(folder) / CREDENTIAL).is_file():
        found = Found(_read(Path(folder) / CREDENTIAL), "credential")
    elif named:
        found = Found(_read(_private(Path(named))), "file")
    else:
        found = Found(_from_keyring(settings), "keyring")
    log.conceal(found.password)
    return found


def keep(settings: MailSettings, password: str) -> None:
    """Put the account's password into the keyring; an empty one is forgotten. :raise PasswordError: it cannot be."""
    log.conceal(password)
    if not password.isprintable() or len(password) > LONGEST:
        raise PasswordError("A password has at most 1024 printable characters.")
    keyring = _keyring()
    try:
        if password:
            keyring.set_password(SERVICE, _account(settings), password)
        elif keyring.get_password(SERVICE, _account(settings)) is not None:
            keyring.delete_password(SERVICE, _account(settings))
    except Exception as error:  # a backend raises what it likes
        raise PasswordError(f"The system's keyring refuses: {error or type(error).__name__}") from error


def why_none_kept() -> str:
    """Why no password can be kept here, "" if one can."""
    try:
        _keyring()
    except PasswordError as error:
        return str(error)
    return ""


def _from_keyring(settings: MailSettings) -> str:
    try:
        password = _keyring().get_password(SERVICE, _account(settings))
    except PasswordError:
        raise
    except Exception as error:  # as above
        raise PasswordError(f"The system's keyring does not answer: {error or type(error).__name__}") from error
    if not password:
        raise PasswordError(f"No password is kept for {settings.user} at {settings.server}.")
    return str(password)


def _keyring() -> Any:
    """The system's keyring. :raise PasswordError: there is none that keeps secrets."""
    # Not at the top: it takes a tenth of a second to load, and most data folders send no mail.
    keyring = importlib.import_module("keyring")
    if keyring.get_keyring().priority < 1:
        raise PasswordError("No keyring of the system can be reached from here.")
    return keyring


def _account(settings: MailSettings) -> str:
    return f"{settings.user} at {settings.server}"


def _private(path: Path) -> Path:
    try:
        found = path.stat()
    except OSError as error:
        raise PasswordError(f"{path} cannot be read: {error.strerror}.") from error
    if sys.platform != "win32" and stat.S_IMODE(found.st_mode) & 0o077:
        raise PasswordError(f"{path} can be read by others: chmod 600 it first.")
    return path


def _read(path: Path) -> str:
    try:
        with path.open(encoding="utf-8") as file:
            password = file.read(LONGEST + 2).split("\n")[0].rstrip("\r")
    except (OSError, UnicodeDecodeError) as error:
        raise PasswordError(f"{path} cannot be read: {getattr(error, 'strerror', None) or 'it is no text'}.") from error
    if not password:
        raise PasswordError(f"{path} has no password on its first line.")
    return password
