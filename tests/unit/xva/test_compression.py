"""Compression of streams: what goes in comes out, and no block is looked through for places to split it."""

from __future__ import annotations

import os
from collections.abc import Iterator

import pytest
import zstandard

from app.api.streams import Chunk
from app.xva.compression import Compression, compressed, decompressed

KIB = 1024


def mixed() -> bytes:
    """Noise between what repeats, as pictures lie between programs on a guest's disk."""
    return b"".join(os.urandom(512 * KIB) + os.urandom(4 * KIB) * 128 for _ in range(4))


class Source:
    """Bytes to read."""

    def __init__(self, content: bytes) -> None:
        self._left = memoryview(content)

    def read(self, size: int, /) -> bytes:
        piece, self._left = bytes(self._left[:size]), self._left[size:]
        return piece


@pytest.mark.parametrize("compression", ["none", "gzip", "zstd"])
def test_what_goes_in_comes_out(compression: Compression) -> None:
    chunks: list[Chunk] = [
        mixed(),
        b"",
        b"a",
        bytes(3 * 1024 * KIB),
        os.urandom(124 * KIB),
        bytearray(mixed()[: 125 * KIB]),
    ]
    packed = Source(b"".join(compressed(chunks, compression)))
    reader = decompressed(packed, compression)
    assert b"".join(iter(lambda: bytes(reader.read(1 << 20)), b"")) == b"".join(chunks)


def blocks(frame: bytes) -> Iterator[int]:
    """The sizes in the headers of a frame's blocks (RFC 8878, section 3.1.1.2), as far as there are any."""
    position, last = zstandard.frame_header_size(frame), False
    while not last:
        header = int.from_bytes(frame[position : position + 3], "little")
        last, kind, size = bool(header & 1), header >> 1 & 3, header >> 3
        position += 3 + (1 if kind == 1 else size)
        yield size


def test_a_frame_tells_its_size_and_has_blocks_of_ours() -> None:
    content = mixed()
    (frame,) = compressed([content], "zstd")
    assert zstandard.frame_content_size(bytes(frame)) == len(content)
    whole = -(-len(content) // (124 * KIB))
    assert whole <= len(list(blocks(bytes(frame)))) <= whole + 1
