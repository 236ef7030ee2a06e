"""Writes that fail: every call by which the engine and its tools change a file of a folder, SQLite's among them.

A few lines of C (refuse.c) are compiled when they are needed and preloaded into a process of its own, which then
decides through a shared page which call is refused. Reads are never refused.
"""

from __future__ import annotations

import errno
import mmap
import os
import shutil
import struct
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Final

CONTROL: Final = "STILLFRAME_REFUSE"
"""The environment variable that names the shared file."""
ERRORS: Final = {"enospc": (errno.ENOSPC, True), "eio": (errno.EIO, False)}
"""A full disk refuses all that follows, until somebody makes room; a bad block refuses once."""

_PRELOAD: Final = "LD_PRELOAD"
_SOURCE = Path(__file__).with_name("refuse.c")
_FIELDS = struct.Struct("=6i512s512s")


def compiler() -> str | None:
    """The C compiler, if there is one."""
    return shutil.which("cc")


@contextmanager
def preloaded(base: Path) -> Iterator[None]:
    """Processes started within see the library. :raise RuntimeError: it cannot be compiled."""
    library = base / "refuse.so"
    cc = compiler()
    if cc is None:
        raise RuntimeError("no C compiler")
    command = [cc, "-shared", "-fPIC", "-O1", "-o", str(library), str(_SOURCE), "-ldl"]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    if done.returncode != 0:
        raise RuntimeError(done.stderr)
    before = os.environ.get(_PRELOAD)
    os.environ[_PRELOAD] = str(library)
    try:
        yield
    finally:
        del os.environ[_PRELOAD]
        if before is not None:
            os.environ[_PRELOAD] = before


def take_control(base: Path) -> None:
    """Give this process, and those it starts, a shared page of their own."""
    path = base / "refuse.control"
    path.write_bytes(bytes(_FIELDS.size))
    os.environ[CONTROL] = str(path)


class Refusal:
    """Refuse one call, or count them all. One at a time in a process that was started with `preloaded`."""

    def __init__(self, folder: Path, number: int = 0, error: str = "eio") -> None:
        """:param number: which change below `folder` fails, counted from 1; 0 only counts."""
        path = os.environ[CONTROL]
        with open(path, "r+b") as file:  # noqa: PTH123
            self._page = mmap.mmap(file.fileno(), _FIELDS.size)
        code, forever = ERRORS[error]
        self._write(0, number, code, forever, 0, 0, os.fsencode(f"{folder}/"), b"")

    def begin(self) -> None:
        """From now on."""
        self._page[0:4] = struct.pack("=i", 1)

    def end(self) -> None:
        """There is room again."""
        self._page[0:4] = struct.pack("=i", 0)

    @property
    def count(self) -> int:
        """Changes so far."""
        return int(_FIELDS.unpack_from(self._page)[4])

    @property
    def hits(self) -> int:
        """Changes refused so far."""
        return int(_FIELDS.unpack_from(self._page)[5])

    @property
    def first(self) -> str:
        """The first change refused: the call, and the file."""
        return os.fsdecode(_FIELDS.unpack_from(self._page)[7].rstrip(b"\0"))

    def _write(self, *values: object) -> None:
        _FIELDS.pack_into(self._page, 0, *values)
