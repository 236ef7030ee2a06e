"""Files that grow under a name of their own and get the wanted one when they are whole."""

from __future__ import annotations

import contextlib
import os
import select
import shutil
import stat
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import BinaryIO, Final

from app.api.streams import Chunk
from app.background_sync import BackgroundSync
from app.client.transfer_types import PART_SUFFIX
from app.xva.compression import Readable

_LOOK_MILLISECONDS: Final = 100
_EVEN: Final = 1 << 20


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


class Saver:
    """Writes a stream to a file in large pieces that begin and end at even places.

    A file system takes pieces at odd places at half the speed, as was measured: it cannot keep them in large pages.
    """

    def __init__(self, file: BinaryIO, position: int) -> None:
        """`position`: where the file is, in bytes."""
        self._file = file
        self._odd = position % _EVEN
        self._held = b""
        self._sync = BackgroundSync(file.fileno())

    def write(self, data: Chunk) -> int:
        """Take some bytes; answer how many. :raise OSError: as the file system says."""
        view = memoryview(data)
        size = len(view)
        even = (self._odd + len(self._held) + size) & -_EVEN
        if even:
            cut = even - self._odd - len(self._held)
            self._put([memoryview(self._held), view[:cut]])
            view, self._held, self._odd = view[cut:], b"", 0
        self._held += bytes(view)
        self._sync.wrote(size)
        return size

    def finish(self) -> None:
        """Write what is left; all of it is durable then. :raise OSError: as the file system says."""
        self._put([memoryview(self._held)])
        self._held = b""
        self._sync.finish()

    def close(self) -> None:
        """Let go of the file."""
        self._sync.abandon()

    def _put(self, views: list[memoryview]) -> None:
        pieces = [view for view in views if len(view)]
        while pieces:
            done = _writev(self._file.fileno(), pieces)
            while pieces and done >= len(pieces[0]):
                done -= len(pieces.pop(0))
            if done:
                pieces[0] = pieces[0][done:]


def _writev(descriptor: int, pieces: list[memoryview]) -> int:
    return os.writev(descriptor, pieces) if hasattr(os, "writev") else os.write(descriptor, pieces[0])


class _Pipe:
    """A pipe that is read in turns, so that whoever does not want it any more is heard."""

    def __init__(self, path: Path, stop: threading.Event) -> None:
        self._descriptor = os.open(path, os.O_RDONLY | os.O_NONBLOCK)
        self._stop = stop

    def read(self, size: int, /) -> bytes:
        """At most `size` bytes; none at the end, or when the event is set."""
        poll = select.poll()
        poll.register(self._descriptor, select.POLLIN)
        while not self._stop.is_set():
            if poll.poll(_LOOK_MILLISECONDS):
                with contextlib.suppress(BlockingIOError):
                    return os.read(self._descriptor, size)
        return b""

    def close(self) -> None:
        """Close it."""
        os.close(self._descriptor)


@contextmanager
def opened_source(path: Path, stop: threading.Event) -> Iterator[Readable]:
    """A file or pipe to read from in a thread. :raise OSError: it cannot be opened."""
    if stat.S_ISFIFO(path.stat().st_mode):
        with contextlib.closing(_Pipe(path, stop)) as pipe:
            yield pipe
        return
    with path.open("rb", buffering=0) as file:
        yield file
