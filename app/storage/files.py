"""Opening, creating, syncing and publishing files, so that what has a name is whole and survives a power cut."""

from __future__ import annotations

import contextlib
import os
import stat
from pathlib import Path
from typing import BinaryIO

from app import crash_points
from app.storage.errors import StorageError

PART_SUFFIX = ".part"

_PRIVATE_FILE = 0o600
_PRIVATE_FOLDER = 0o700
# Opening a FIFO for reading waits for a writer unless this is given; regular files ignore it.
_NO_WAIT: int = getattr(os, "O_NONBLOCK", 0)


def open_regular(path: Path) -> BinaryIO:
    """Open *path* for reading if it is a regular file or a link to one.

    :raise StorageError: missing, io (no permission) or unsupported (a folder, device, pipe or socket).
    """
    try:
        file = open(path, "rb", buffering=0, opener=_open_without_waiting)  # noqa: SIM115
    except FileNotFoundError:
        raise StorageError.missing(f"The file {path} does not exist.") from None
    except PermissionError:
        raise StorageError.io(f"No permission to read {path}.") from None
    except IsADirectoryError:
        raise StorageError.unsupported(f"{path} is a folder, not a file.") from None
    except ValueError:
        raise StorageError.missing(f"{str(path)!r} is not a file name.") from None
    except OSError as error:
        raise StorageError.from_os_error(error, "open", path) from error
    mode = os.fstat(file.fileno()).st_mode
    if not stat.S_ISREG(mode):
        file.close()
        raise StorageError.unsupported(f"{path} is not a regular file.")
    return file


def _open_without_waiting(path: str, flags: int) -> int:
    return os.open(path, flags | _NO_WAIT)


def read_at(file: BinaryIO, offset: int, length: int) -> bytes:
    """Up to *length* bytes from *offset*; fewer only at the end of the file.

    :raise StorageError: io, or corrupt if *offset* is past what a file can hold.
    """
    data = bytearray()
    try:
        file.seek(offset)
        while len(data) < length:
            piece = file.read(length - len(data))
            if not piece:
                break
            data += piece
    except (OverflowError, ValueError):
        raise StorageError.corrupt(f"{file.name} points to an impossible place in itself.") from None
    except OSError as error:
        raise StorageError.from_os_error(error, "read", Path(file.name)) from error
    return bytes(data)


def create_private(path: Path) -> BinaryIO:
    """Create *path* for writing with mode 0600; it must not exist yet.

    :raise OSError: as the file system says, `FileExistsError` included.
    """
    return open(path, "xb", opener=_open_private)


def _open_private(path: str, flags: int) -> int:
    return os.open(path, flags, _PRIVATE_FILE)


def make_private_folder(folder: Path) -> None:
    """Create *folder* (and its parents) if needed and give it mode 0700.

    :raise StorageError: no_space, io or in_use (a file stands in the way).
    """
    try:
        created = not folder.exists()
        folder.mkdir(mode=_PRIVATE_FOLDER, parents=True, exist_ok=True)
        folder.chmod(_PRIVATE_FOLDER)
        if created:
            sync_folder(folder.parent)
    except OSError as error:
        raise StorageError.from_os_error(error, "create the folder", folder) from error


def sync_file(path: Path) -> None:
    """Return once content and metadata of *path* are on the disk. May take long after large writes.

    :raise OSError: as the file system says.
    """
    with path.open("rb") as file:
        os.fsync(file.fileno())


def sync_folder(folder: Path) -> None:
    """Return once the names in *folder* are on the disk. Windows offers nothing of the kind and needs nothing.

    :raise OSError: as the file system says.
    """
    if os.name == "nt":
        return
    descriptor = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


def part_path(path: Path) -> Path:
    """The name under which *path* is prepared before it is published."""
    return path.with_name(f".{path.name}{PART_SUFFIX}")


def publish(part: Path, path: Path, *, sync: bool = True) -> None:
    """Give the finished file *part* its name *path*, which must be free; durable on return with *sync*.

    :raise OSError: as the file system says, `FileExistsError` included; *path* is not there then.
    """
    _give_name(part, path)
    try:
        crash_points.reach("storage.published")
        part.unlink(missing_ok=True)
        if sync:
            sync_folder(path.parent)
    except OSError:
        remove_quietly(path)
        raise


def _give_name(part: Path, path: Path) -> None:
    try:
        # A link, unlike a rename, never replaces; a kill before the unlink leaves a second name, removed at open().
        os.link(part, path)
    except FileExistsError:
        raise
    except OSError:  # a file system without links
        if path.exists():
            raise
        part.rename(path)


def write_atomically(path: Path, data: bytes) -> None:
    """Replace the content of *path* by *data*, or change nothing at all; durable on return.

    :raise OSError: as the file system says.
    """
    part = part_path(path)
    try:
        part.unlink(missing_ok=True)
        with create_private(part) as file:
            file.write(data)
            file.flush()
            os.fsync(file.fileno())
        part.replace(path)
    except OSError:
        remove_quietly(part)
        raise
    sync_folder(path.parent)


def remove_quietly(path: Path) -> None:
    """Remove *path* if that is possible; used to tidy up while another error is on its way."""
    with contextlib.suppress(OSError):
        path.unlink(missing_ok=True)
