"""Where everything lives: the data folder and the paths inside it.

One engine owns one data folder. Every path another module needs is a property here, so that no other module
joins folder names by itself.
"""

from __future__ import annotations

import os
import stat
import sys
import tempfile
from dataclasses import dataclass
from pathlib import Path

import platformdirs

APP_NAME = "stillframe"
DATA_DIR_VARIABLE = "STILLFRAME_DATA_DIR"
ENGINE_SOCKET = "engine.sock"
WINDOW_SOCKET = "window.sock"

# A socket address holds 108 bytes on Linux and 104 on macOS (unix(7), sys/un.h), the closing zero included. What is
# left must hold "/<36 characters of a uuid>/<file name of up to 18>".
MAX_RUN_PATH_BYTES = 104 - 1 - 1 - 36 - 1 - 18


class ConfigError(Exception):
    """The data folder cannot be used; the text says which folder and why."""


@dataclass(frozen=True, slots=True)
class Config:
    """The paths of one data folder. Made by `load`, which also creates the folders.

    `run_dir` holds sockets and process ids. It is `data_dir/run`, or a short folder of our own under the system's
    temporary folder where the data folder's path is too long for a socket address.
    """

    data_dir: Path
    run_dir: Path

    @property
    def database(self) -> Path:
        """The SQLite file with every object."""
        return self.data_dir / "stillframe.db"

    @property
    def backup_dir(self) -> Path:
        """Copies of the database made before an upgrade of its schema."""
        return self.data_dir / "backups"

    @property
    def journal_dir(self) -> Path:
        """Intents of disk changes that have begun and not ended."""
        return self.data_dir / "journal"

    @property
    def srs_dir(self) -> Path:
        """The parent of all storage repositories kept in the data folder."""
        return self.data_dir / "sr"

    def sr_dir(self, uuid: str) -> Path:
        """The folder of one storage repository; not created here."""
        return self.srs_dir / uuid

    @property
    def iso_dir(self) -> Path:
        """The ISO library's folder."""
        return self.data_dir / "iso"

    @property
    def logs_dir(self) -> Path:
        """Log files of the engine, the desktop and each guest's QEMU."""
        return self.data_dir / "logs"

    @property
    def screenshots_dir(self) -> Path:
        """Pictures of guest screens, one per snapshot."""
        return self.data_dir / "screenshots"

    @property
    def settings_file(self) -> Path:
        """The desktop's own settings; the engine never reads it."""
        return self.data_dir / "settings.ini"

    @property
    def accounts_file(self) -> Path:
        """Who may log in over the network, with hashed passwords."""
        return self.data_dir / "accounts.json"

    @property
    def certificate_file(self) -> Path:
        """The server's own certificate with its private key."""
        return self.data_dir / "server.pem"

    @property
    def known_servers(self) -> Path:
        """The certificates of servers that were met; see `app.client.trust`."""
        return self.data_dir / "known_servers.json"

    @property
    def lock_file(self) -> Path:
        """Locked by the one engine that owns the data folder."""
        return self.data_dir / "engine.lock"

    @property
    def engine_socket(self) -> Path:
        """Where the engine that owns the data folder answers clients."""
        return self.run_dir / ENGINE_SOCKET

    @property
    def window_socket(self) -> Path:
        """Where the window over the data folder is told of files to open."""
        return self.run_dir / WINDOW_SOCKET


def default_data_dir() -> Path:
    """`$STILLFRAME_DATA_DIR` where set, else the platform's folder for a user's application data."""
    named = os.environ.get(DATA_DIR_VARIABLE)
    return Path(named) if named else Path(platformdirs.user_data_dir(APP_NAME, appauthor=False))


def engine_socket_in(data_dir: Path) -> Path:
    """Where the engine of a data folder would answer. For clients: nothing is made, and no engine need be there."""
    run_dir = data_dir.expanduser().absolute() / "run"
    return (run_dir.readlink() if run_dir.is_symlink() else run_dir) / ENGINE_SOCKET


def load(data_dir: Path | None = None) -> Config:
    """Return the configuration of `data_dir` (default: `default_data_dir()`), with its folders made, all 0700.

    Nothing is changed in a folder that is refused.

    :raise ConfigError: the path is not a folder, cannot be made or written, or is open to others and holds files that
        are not ours.
    """
    given = data_dir if data_dir is not None else default_data_dir()
    try:
        root = given.expanduser().absolute()
        _make_private_root(root)
        config = Config(data_dir=root, run_dir=_settle_run_dir(root))
        for folder in _folders(config):
            folder.mkdir(mode=0o700, exist_ok=True)
    except (OSError, RuntimeError) as error:
        reason = getattr(error, "strerror", None) or str(error)
        raise ConfigError(f"The data folder {given} cannot be used: {reason}") from error
    return config


def _folders(config: Config) -> tuple[Path, ...]:
    return (
        config.backup_dir,
        config.journal_dir,
        config.srs_dir,
        config.iso_dir,
        config.logs_dir,
        config.screenshots_dir,
    )


def _make_private_root(root: Path) -> None:
    if root.exists() and not root.is_dir():
        raise ConfigError(f"The data folder {root} cannot be used: it is a file, not a folder.")
    root.mkdir(mode=0o700, parents=True, exist_ok=True)
    if not os.access(root, os.R_OK | os.W_OK | os.X_OK):
        raise ConfigError(f"The data folder {root} cannot be used: you may not write to it.")
    if sys.platform == "win32" or stat.S_IMODE(root.stat().st_mode) & 0o077 == 0:
        return
    # Closing a folder to others is right for one we made, and harmful for, say, a shared folder named by mistake.
    if any(root.iterdir()) and not (root / "journal").is_dir():
        raise ConfigError(
            f"The data folder {root} cannot be used: other people can open it, and it holds files that are not "
            "Stillframe's. Name an empty folder, or one that does not exist yet."
        )
    root.chmod(0o700)


def _settle_run_dir(root: Path) -> Path:
    """Make the folder for sockets. A short substitute is remembered by a link, for guests outlive this process."""
    plain = root / "run"
    if plain.is_symlink():
        target = plain.readlink()
        if _is_ours(target):
            return target
        plain.unlink()
    if len(os.fsencode(plain)) <= MAX_RUN_PATH_BYTES or plain.is_dir() or sys.platform == "win32":
        plain.mkdir(mode=0o700, exist_ok=True)
        return plain
    short = Path(tempfile.mkdtemp(prefix=f"{APP_NAME}-", dir=_short_temporary_folder()))
    plain.symlink_to(short)
    return short


def _short_temporary_folder() -> Path:
    # $TMPDIR may itself be long, or differ between a login and a service; /tmp is neither.
    plain = Path("/tmp")
    return plain if plain.is_dir() and os.access(plain, os.W_OK) else Path(tempfile.gettempdir())


def _is_ours(folder: Path) -> bool:
    try:
        found = folder.lstat()
    except FileNotFoundError:
        return False
    return stat.S_ISDIR(found.st_mode) and found.st_uid == os.getuid() and stat.S_IMODE(found.st_mode) & 0o077 == 0
