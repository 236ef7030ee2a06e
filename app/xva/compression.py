"""Compression of the whole stream, by gzip or zstd. The work is done in C, outside of Python's lock."""

from __future__ import annotations

import os
import threading
import zlib
from collections import deque
from collections.abc import Iterable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from typing import Any, Final, Literal, Protocol

import zstandard

from app.api.streams import Chunk
from app.xva.refusals import not_understood, premature_eof

Compression = Literal["none", "gzip", "zstd"]
ZSTD_MAGIC: Final = b"\x28\xb5\x2f\xfd"
"""RFC 8878, section 3.1.1."""
GZIP_MAGIC: Final = b"\x1f\x8b"
"""RFC 1952, section 2.3.1."""
ZSTD_LEVEL: Final = 3
"""As the zstd program's."""
GZIP_LEVEL: Final = 1
"""A gzip stream uses one processor only: the quickest level."""
_ZSTD_BLOCK: Final = 124 << 10
"""Bytes of a block within a frame. zstd 1.5.7 looks through each whole block of 128 KiB for places to split it.
That saves one per cent of programs and texts, and where noise lies between other data it takes three times as long."""
ZSTD_BLOCKS_AT_ONCE: Final = 2
"""How many blocks of an archive go into one frame. With these, all that a frame looks back at stays where it was read:
a fifth less of the processor's time than with four, for half a per cent more of bytes, and half the memory."""
_MOST_WORKERS: Final = 8
"""Each has a chunk, its frame and zstd's own tables in memory; more would be faster than any disk."""
_LARGEST_WINDOW: Final = 64 << 20
"""Bytes of memory that a stream may ask for: what `zstd` makes without `--long` needs 8 MiB at most."""
_PIECE: Final = 1 << 20
_GZIP_PIECE: Final = 1 << 16
"""Bytes given to zlib at once. It copies what is behind a member's end: a file of empty members would take for ever."""
_GZIP_WINDOW: Final = 31


class Readable(Protocol):
    """Something with bytes in it."""

    def read(self, size: int, /) -> Chunk:
        """At most `size` bytes; none only at the end."""
        ...


def compressed(chunks: Iterable[Chunk], compression: Compression) -> Iterator[Chunk]:
    """The stream, compressed."""
    if compression == "none":
        return iter(chunks)
    return _zstd(chunks) if compression == "zstd" else _gzip(chunks)


def _gzip(chunks: Iterable[Chunk]) -> Iterator[Chunk]:
    compressor = zlib.compressobj(GZIP_LEVEL, zlib.DEFLATED, _GZIP_WINDOW)
    for chunk in chunks:
        if packed := compressor.compress(chunk):
            yield packed
    yield compressor.flush()


def _zstd(chunks: Iterable[Chunk]) -> Iterator[Chunk]:
    """Each chunk becomes a frame of its own, all processors at work. Frames in a row are one stream (RFC 8878, 3).

    Measured against a single frame that zstd's own threads work on: half the processor's time, and nearly the same
    size, because a chunk is as large as the window that zstd looks back into.
    """
    workers = min(os.cpu_count() or 1, _MOST_WORKERS)
    with ThreadPoolExecutor(workers, "zstd") as pool:
        under_way: deque[Future[Chunk]] = deque()
        try:
            for chunk in chunks:
                under_way.append(pool.submit(_frame, chunk))
                if len(under_way) > workers:
                    yield under_way.popleft().result()
            while under_way:
                yield under_way.popleft().result()
        finally:
            for future in under_way:
                future.cancel()


_of_thread = threading.local()


def _frame(chunk: Chunk) -> Chunk:
    """A frame of a chunk, by blocks of our size; see `_ZSTD_BLOCK`."""
    compressor = getattr(_of_thread, "compressor", None)
    if compressor is None:
        compressor = _of_thread.compressor = zstandard.ZstdCompressor(level=ZSTD_LEVEL)
    view = memoryview(chunk)
    frame = compressor.compressobj(size=len(view))
    packed = bytearray()  # a list of pieces would be there twice while they are joined
    for start in range(0, len(view), _ZSTD_BLOCK):
        packed += frame.compress(view[start : start + _ZSTD_BLOCK])
        packed += frame.flush(zstandard.COMPRESSOBJ_FLUSH_BLOCK)
    packed += frame.flush()
    return packed


def kind_of(beginning: bytes) -> Compression | None:
    """How a stream that begins like this is compressed; None: it is neither compressed nor an archive of ours."""
    if beginning.startswith(ZSTD_MAGIC):
        return "zstd"
    if beginning.startswith(GZIP_MAGIC):
        return "gzip"
    return "none" if beginning[:8] == b"ova.xml\0" else None


def decompressed(source: Readable, compression: Compression) -> Readable:
    """What a compressed stream holds. Reading raises Failure for what is damaged or cut short."""
    if compression == "zstd":
        return _Unzstd(source)
    return _Gunzip(source) if compression == "gzip" else source


class _Unzstd:
    def __init__(self, source: Readable) -> None:
        decompressor: Any = zstandard.ZstdDecompressor(max_window_size=_LARGEST_WINDOW)
        self._reader = decompressor.stream_reader(source, read_size=_PIECE, read_across_frames=True)

    def read(self, size: int, /) -> bytes:
        try:
            piece: bytes = self._reader.read(size)
        except zstandard.ZstdError as error:
            raise not_understood(f"The compressed stream is damaged: {error}.") from error
        return piece


class _Gunzip:
    """All members of a gzip stream, one after the other (RFC 1952, section 2.2)."""

    def __init__(self, source: Readable) -> None:
        self._source = source
        self._inflater = zlib.decompressobj(_GZIP_WINDOW)
        self._begun = False

    def read(self, size: int, /) -> bytes:
        while True:
            given = self._inflater.unconsumed_tail or self._inflater.unused_data or self._source.read(_GZIP_PIECE)
            if self._inflater.eof:
                if not given:
                    return b""
                self._inflater = zlib.decompressobj(_GZIP_WINDOW)
            elif not given:
                raise premature_eof()
            try:
                out = self._inflater.decompress(given, size)
            except zlib.error as error:
                if not self._begun:
                    raise premature_eof() from error  # as XenServer answers for what is none
                raise not_understood(f"The compressed stream is damaged: {error}.") from error
            if out:
                self._begun = True
                return out
