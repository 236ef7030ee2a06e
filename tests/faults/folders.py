"""Copies of prepared data folders: quick, and with the holes of the originals."""

from __future__ import annotations

import os
import shutil
import stat
from pathlib import Path

NEVER_CHANGED = ".reserve"
"""Only ever removed: a second name is as good as a copy."""


def copy_folder(source: Path, target: Path) -> None:
    """Copy all files, with their modes and holes; `target` must not exist. Sockets are left out."""
    target.mkdir(mode=stat.S_IMODE(source.stat().st_mode), parents=True)
    for entry in os.scandir(source):
        path = target / entry.name
        if entry.is_dir(follow_symlinks=False):
            copy_folder(Path(entry.path), path)
        elif entry.is_symlink():
            path.symlink_to(Path(entry.path).readlink())
        elif entry.name.endswith(NEVER_CHANGED):
            os.link(entry.path, path)
        elif entry.is_file():
            _copy_file(Path(entry.path), path)


def _copy_file(source: Path, target: Path) -> None:
    size = source.stat().st_size
    with source.open("rb") as reading, target.open("xb") as writing:
        writing.truncate(size)
        position = 0
        while position < size:
            try:
                start = os.lseek(reading.fileno(), position, os.SEEK_DATA)
            except OSError:  # a hole up to the end
                break
            position = os.lseek(reading.fileno(), start, os.SEEK_HOLE)
            os.pwrite(writing.fileno(), os.pread(reading.fileno(), position - start, start), start)
    shutil.copymode(source, target)
