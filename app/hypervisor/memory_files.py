"""The files of memory images: written by QEMU itself, or compressed by a thread of ours that reads QEMU's pipe.

QEMU's sandbox forbids it to start a compressor. Compressed images are Zstandard frames with a checksum; which kind a
file is, its first bytes tell.
"""

from __future__ import annotations

import asyncio
import contextlib
import errno
import fcntl
import os
import threading
from collections.abc import Callable
from pathlib import Path
from typing import Final, Protocol, TypeVar

import zstandard

from app.hypervisor.driver import Compression, DriverError
from app.hypervisor.layout import sync_folder

T = TypeVar("T")

_MAGIC: Final = b"\x28\xb5\x2f\xfd"
"""RFC 8878, section 3.1.1."""
_LEVEL: Final = 1
"""Measured on a Linux guest: level 3 saves another 5 % and takes twice as long."""
_CHUNK: Final = 1 << 20


class Target(Protocol):
    """A memory image being written.

    :ivar descriptor: what QEMU is to write to.
    :ivar is_pipe: it is no plain file.
    """

    descriptor: int
    is_pipe: bool

    def handed_over(self) -> None:
        """QEMU has a copy of the descriptor now."""

    async def finish(self) -> None:
        """Return when all that QEMU wrote is durable in the file. :raise DriverError: "no_space" or "state"."""

    async def abandon(self) -> OSError | None:
        """Remove the file; QEMU writes no more. Answers what was wrong on our side, if anything was."""


def open_target(path: Path, compression: Compression) -> Target:
    """Make the new file `path`. :raise DriverError: "state" if it exists or cannot be made, "no_space"."""
    try:
        file = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, 0o600)
    except OSError as error:
        raise file_error("The memory image could not be made", error) from error
    return _Plain(path, file) if compression == "none" else _Compressed(path, file)


def file_error(sentence: str, error: OSError) -> DriverError:
    """An error of the file system as one of the driver."""
    is_full = error.errno in (errno.ENOSPC, errno.EDQUOT)
    return DriverError(f"{sentence}: {error}", cause="no_space" if is_full else "state")


class _Plain:
    """QEMU writes the file."""

    is_pipe = False

    def __init__(self, path: Path, file: int) -> None:
        self._path = path
        self.descriptor = file

    def handed_over(self) -> None:
        pass

    async def finish(self) -> None:
        try:
            await asyncio.to_thread(_make_durable, self.descriptor, self._path)
        except OSError as error:
            raise file_error("The memory image could not be written", error) from error
        os.close(self.descriptor)

    async def abandon(self) -> OSError | None:
        os.close(self.descriptor)
        self._path.unlink(missing_ok=True)
        return None


class _Compressed:
    """QEMU writes into a pipe; a thread compresses what comes out of it into the file."""

    is_pipe = True

    def __init__(self, path: Path, file: int) -> None:
        self._path = path
        self._file = file
        reader, self.descriptor = _pipe()
        self._open = True
        self._done = in_thread(lambda: _compress(reader, file))

    def handed_over(self) -> None:
        """From now on the pipe ends when QEMU closes its end, or dies."""
        if self._open:
            self._open = False
            os.close(self.descriptor)

    async def finish(self) -> None:
        self.handed_over()
        try:
            await self._done
            await asyncio.to_thread(_make_durable, self._file, self._path)
        except OSError as error:
            raise file_error("The memory image could not be written", error) from error
        os.close(self._file)

    async def abandon(self) -> OSError | None:
        self.handed_over()
        problem: OSError | None = None
        try:
            await self._done
        except OSError as error:
            problem = error
        os.close(self._file)
        self._path.unlink(missing_ok=True)
        return problem


class Source:
    """A memory image being read by QEMU.

    :ivar descriptor: what QEMU is to read from.
    :ivar is_pipe: it is no plain file.
    """

    def __init__(self, path: Path) -> None:
        """:raise DriverError: "start"."""
        try:
            file = os.open(path, os.O_RDONLY | os.O_CLOEXEC)
            self.is_pipe = os.pread(file, len(_MAGIC), 0) == _MAGIC
        except OSError as error:
            raise DriverError(f"The memory image could not be opened: {error}", cause="start") from error
        self._done: asyncio.Future[None] | None = None
        self.descriptor = file
        if self.is_pipe:
            self.descriptor, writer = _pipe()
            self._done = in_thread(lambda: _decompress(file, writer))

    def drop(self) -> None:
        """QEMU takes no more of it, and is about to end: only then does the thread."""
        os.close(self.descriptor)
        if self._done is not None:
            self._done.add_done_callback(lambda done: done.cancelled() or done.exception())

    async def close(self) -> None:
        """QEMU has all it wanted. :raise DriverError: "start", if the image turned out to be damaged."""
        os.close(self.descriptor)
        if self._done is None:
            return
        try:
            await self._done
        except (OSError, zstandard.ZstdError) as error:
            raise DriverError(f"The memory image is damaged: {error}", cause="start") from error


def _pipe() -> tuple[int, int]:
    reader, writer = os.pipe()
    with contextlib.suppress(OSError, AttributeError):  # only Linux lets us choose, and not every limit allows it
        fcntl.fcntl(writer, fcntl.F_SETPIPE_SZ, _CHUNK)
    return reader, writer


def in_thread(work: Callable[[], T]) -> asyncio.Future[T]:
    """Run work that may take minutes in a thread of its own, which does not keep the program from ending."""
    loop = asyncio.get_running_loop()
    future: asyncio.Future[T] = loop.create_future()

    def run() -> None:
        try:
            result = work()
        except BaseException as error:
            settle, value = future.set_exception, error
            with contextlib.suppress(RuntimeError):  # the loop is gone
                loop.call_soon_threadsafe(lambda: None if future.done() else settle(value))
        else:
            with contextlib.suppress(RuntimeError):
                loop.call_soon_threadsafe(lambda: None if future.done() else future.set_result(result))

    threading.Thread(target=run, name="memory image", daemon=True).start()
    return future


def _compress(reader: int, file: int) -> None:
    """Until the pipe's other end is closed. Closing ours early tells QEMU that we cannot go on."""
    buffer = bytearray(_CHUNK)
    view = memoryview(buffer)
    compressor = zstandard.ZstdCompressor(level=_LEVEL, write_checksum=True)
    try:
        with (
            os.fdopen(file, "wb", buffering=_CHUNK, closefd=False) as raw,
            compressor.stream_writer(raw, closefd=False) as writer,
        ):
            while length := os.readv(reader, [buffer]):
                writer.write(view[:length])
    finally:
        os.close(reader)


def _decompress(file: int, writer: int) -> None:
    """To the end of the image, so that its checksum is looked at, also when QEMU needs no more of it."""
    wanted = True
    try:
        with os.fdopen(file, "rb", buffering=0) as raw:
            reader = zstandard.ZstdDecompressor().stream_reader(raw, closefd=False)
            while chunk := reader.read(_CHUNK):
                wanted = wanted and _write_all(writer, chunk)
    finally:
        os.close(writer)


def _write_all(descriptor: int, data: bytes) -> bool:
    """False if nobody reads any more."""
    view = memoryview(data)
    while view:
        try:
            view = view[os.write(descriptor, view) :]
        except BrokenPipeError:
            return False
    return True


def _make_durable(descriptor: int, path: Path) -> None:
    os.fsync(descriptor)
    sync_folder(path.parent)
