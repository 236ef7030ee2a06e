"""The files of memory images: as QEMU writes them, or compressed by a thread of ours.

Compressed images are Zstandard frames, each with a checksum that is looked at before QEMU sees the frame: on damaged
memory it may hang. Which kind a file is, its first bytes tell. QEMU's sandbox forbids it to start a program that
decompresses, so it is given a pipe.
"""

from __future__ import annotations

import asyncio
import contextlib
import ctypes
import errno
import fcntl
import os
import threading
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import BinaryIO, Final, TypeVar

import zstandard

from app.hypervisor.driver import Compression, DriverError
from app.hypervisor.layout import sync_folder
from app.log import get

log = get(__name__)
T = TypeVar("T")

_MAGIC: Final = b"\x28\xb5\x2f\xfd"
"""RFC 8878, section 3.1.1."""
_LEVEL: Final = 1
"""Measured on a Linux guest: level 3 saves another 5 % and takes twice as long."""
_CHUNK: Final = 4 << 20
_PIPE: Final = 1 << 20
_LOOK_AGAIN: Final = 0.01
_KEEP_SIZE: Final = 1
RAW_SUFFIX: Final = ".raw"
"""What QEMU writes, until it is compressed."""


class Target:
    """A memory image being written by QEMU.

    :ivar descriptor: what QEMU is to write to.
    """

    def __init__(self, path: Path) -> None:
        """Make the new file `path`. :raise DriverError: "state" if it exists or cannot be made, "no_space"."""
        self.path = path
        self.descriptor = _new_file(path)

    async def finish(self) -> Compression:
        """Return when all that QEMU wrote is durable in `path`. :raise DriverError: "no_space" or "state"."""
        try:
            await asyncio.to_thread(_make_durable, self.descriptor, self.path)
        except OSError as error:
            raise file_error("The memory image could not be written", error) from error
        os.close(self.descriptor)
        return "none"

    async def abandon(self) -> None:
        """Remove the file; QEMU writes no more."""
        os.close(self.descriptor)
        self.path.unlink(missing_ok=True)


class ReservedTarget(Target):
    """A target with its space taken beforehand, so that QEMU cannot fail for want of it; compressed while it grows.

    A pipe would save the space. But it breaks when this program ends, and a guest whose background snapshot fails
    stands still for good (see `write_protection`).
    """

    def __init__(self, path: Path, size: int) -> None:
        """As `Target`, with `size` bytes reserved."""
        self._raw = path.with_name(f"{path.name}{RAW_SUFFIX}")
        super().__init__(self._raw)
        self.path = path
        self._complete = threading.Event()
        self._compressed: asyncio.Future[None] | None = None
        try:
            _reserve(self.descriptor, size)
        except OSError as error:
            os.close(self.descriptor)
            self._raw.unlink()
            raise file_error("There is no room for the memory image", error) from error

    def compress(self) -> None:
        """Begin to compress what QEMU writes, into `path`."""
        self._compressed = in_thread(lambda: _follow(self._raw, self.path, self._complete))

    async def finish(self) -> Compression:
        compressed = await self._is_compressed()
        try:
            if compressed:
                self._raw.unlink()
                await asyncio.to_thread(sync_folder, self.path.parent)
            else:
                await asyncio.to_thread(_keep_raw, self.descriptor, self._raw, self.path)
        except OSError as error:
            raise file_error("The memory image could not be written", error) from error
        os.close(self.descriptor)
        return "zstd" if compressed else "none"

    async def abandon(self) -> None:
        await self._is_compressed()
        os.close(self.descriptor)
        for path in (self._raw, self.path):
            path.unlink(missing_ok=True)

    async def _is_compressed(self) -> bool:
        """False if it was not to be, or could not: the image is then good as QEMU wrote it."""
        self._complete.set()
        if self._compressed is None:
            return False
        try:
            await self._compressed
        except OSError as error:
            log.warning("a memory image stays uncompressed", error=str(error))
            self.path.unlink(missing_ok=True)
            return False
        return True


def file_error(sentence: str, error: OSError) -> DriverError:
    """An error of the file system as one of the driver."""
    is_full = error.errno in (errno.ENOSPC, errno.EDQUOT)
    return DriverError(f"{sentence}: {error}", cause="no_space" if is_full else "state")


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
        fcntl.fcntl(writer, fcntl.F_SETPIPE_SZ, _PIPE)
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


def _new_file(path: Path) -> int:
    try:
        return os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, 0o600)
    except OSError as error:
        raise file_error("The memory image could not be made", error) from error


def _fallocate(descriptor: int, size: int) -> None:
    """fallocate(2) beyond the end of the file, which Python offers only together with a new length."""
    call = getattr(ctypes.CDLL(None, use_errno=True), "fallocate64", None)
    if call is None:
        raise OSError(errno.ENOSYS, os.strerror(errno.ENOSYS))
    call.argtypes = (ctypes.c_int, ctypes.c_int, ctypes.c_int64, ctypes.c_int64)
    if call(descriptor, _KEEP_SIZE, 0, size):
        number = ctypes.get_errno()
        raise OSError(number, os.strerror(number))


def _reserve(descriptor: int, size: int) -> None:
    """Take the space and leave the length. Where that is not possible, at least look whether there is room."""
    try:
        _fallocate(descriptor, size)
    except OSError as error:
        if error.errno not in (errno.EOPNOTSUPP, errno.ENOSYS):
            raise
        free = os.fstatvfs(descriptor)
        if free.f_bavail * free.f_frsize < size:
            raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC)) from None


def _keep_raw(descriptor: int, raw: Path, path: Path) -> None:
    os.ftruncate(descriptor, os.fstat(descriptor).st_size)  # gives back what was reserved beyond
    raw.rename(path)
    _make_durable(descriptor, path)


def _follow(source: Path, target: Path, complete: threading.Event) -> None:
    """Compress a file that grows until it is complete, durably."""
    view = memoryview(bytearray(_CHUNK))
    compressor = zstandard.ZstdCompressor(level=_LEVEL, write_checksum=True)
    file = os.open(target, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, 0o600)
    with source.open("rb", buffering=0) as growing, os.fdopen(file, "wb", buffering=_CHUNK) as raw:
        while True:
            is_complete = complete.is_set()
            length = growing.readinto(view) or 0
            if length:
                raw.write(compressor.compress(view[:length]))
            elif is_complete:
                break
            else:
                complete.wait(_LOOK_AGAIN)
        raw.flush()
        os.fsync(raw.fileno())


def _decompress(file: int, writer: int) -> None:
    """Give QEMU what is undamaged.

    :raise ZstdError: the image is damaged, or ends too early.
    """
    wanted = True
    try:
        with os.fdopen(file, "rb", buffering=0) as raw:
            for frame in _frames(raw):
                wanted = wanted and _write_all(writer, frame)
    finally:
        os.close(writer)


def _frames(raw: BinaryIO) -> Iterator[bytes]:
    decompressor = zstandard.ZstdDecompressor()
    rest = raw.read(_CHUNK)
    while rest:
        frame, parts = decompressor.decompressobj(), []
        while not frame.eof:
            if not rest:
                raise zstandard.ZstdError("it ends too early")
            parts.append(frame.decompress(rest))
            rest = frame.unused_data if frame.eof else raw.read(_CHUNK)
        yield b"".join(parts)
        rest = rest or raw.read(_CHUNK)


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
