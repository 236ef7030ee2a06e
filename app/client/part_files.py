"""Files that grow under a name of their own and get the wanted one when they are whole."""

from __future__ import annotations

import contextlib
import os
import shutil
from pathlib import Path
from typing import BinaryIO

from app.client.transfer_types import PART_SUFFIX


def part_of(path: Path) -> Path:
    """Where `path` grows."""
    return path.with_name(path.name + PART_SUFFIX)


def free_bytes(folder: Path) -> int:
    """What the file system of a folder has free for us, in bytes. :raise OSError: it cannot be asked."""
    return shutil.disk_usage(folder).free


def opened(part: Path, keep: int) -> BinaryIO:
    """The growing file, private to us, cut to its first `keep` bytes. :raise OSError: it cannot be made."""
    descriptor = os.open(part, os.O_WRONLY | os.O_CREAT | getattr(os, "O_NOFOLLOW", 0), 0o600)
    file = os.fdopen(descriptor, "wb", buffering=0)
    try:
        file.truncate(keep)
        file.seek(keep)
    except BaseException:
        file.close()
        raise
    return file


def publish(part: Path, path: Path) -> None:
    """Give the finished file its name, which nobody else may have; durable on return. :raise OSError: as it says."""
    try:
        os.link(part, path)  # unlike a rename it never replaces
    except FileExistsError:
        raise
    except OSError:  # a file system without links
        if path.exists():
            raise
        part.rename(path)
    part.unlink(missing_ok=True)
    sync_folder(path.parent)


def sync_folder(folder: Path) -> None:
    """Make the names in a folder durable, where the system knows that."""
    if os.name == "nt":
        return
    descriptor = os.open(folder, os.O_RDONLY)
    try:
        with contextlib.suppress(OSError):  # some network file systems refuse
            os.fsync(descriptor)
    finally:
        os.close(descriptor)


def remove(path: Path) -> None:
    """Remove a file if that is possible, while another error is on its way."""
    with contextlib.suppress(OSError):
        path.unlink(missing_ok=True)
