"""Where an archive is read from: exact pieces of a stream, whatever sizes it comes in."""

from __future__ import annotations

from typing import Final

from app.xva import tar
from app.xva.compression import Compression, Readable, decompressed, kind_of
from app.xva.refusals import premature_eof

PIECE: Final = 4 << 20
"""Bytes asked for at once."""


class Source:
    """Bytes of a stream in exact pieces. Answered views are good until they are let go."""

    def __init__(self, readable: Readable) -> None:
        self._readable = readable
        self._held = memoryview(b"")
        self.position = 0
        """Bytes taken so far."""

    def take(self, size: int) -> memoryview:
        """The next `size` bytes. :raise Failure: IMPORT_ERROR_PREMATURE_EOF: there are fewer."""
        taken = self.take_up_to(size)
        if len(taken) < size:
            raise premature_eof()
        return taken

    def take_up_to(self, size: int) -> memoryview:
        """The next `size` bytes; fewer only at the end."""
        self.fill(size)
        taken, self._held = self._held[:size], self._held[size:]
        self.position += len(taken)
        return taken

    def take_some(self, size: int) -> memoryview:
        """At most `size` of the next bytes, as many as are at hand; none only at the end."""
        self.fill(1)
        return self.take_up_to(min(size, len(self._held)))

    def peek(self, size: int) -> bytes:
        """The next `size` bytes without taking them; fewer only at the end."""
        self.fill(size)
        return bytes(self._held[:size])

    def fill(self, size: int) -> None:
        """Read until `size` bytes are held, or the end is."""
        if len(self._held) >= size:
            return
        pieces, held = [self._held], len(self._held)
        while held < size:
            piece = self._readable.read(max(PIECE, size - held))
            if not piece:
                break
            pieces.append(memoryview(piece))
            held += len(piece)
        whole = [piece for piece in pieces if len(piece)]
        self._held = whole[0] if len(whole) == 1 else memoryview(b"".join(whole))


class _Rest:
    """What a source has not given away yet, as something to decompress."""

    def __init__(self, source: Source) -> None:
        self._source = source

    def read(self, size: int, /) -> memoryview:
        return self._source.take_some(size)


def opened(readable: Readable) -> tuple[Source, Compression]:
    """The archive in a stream, decompressed, and how it was compressed.

    :raise Failure: IMPORT_ERROR_PREMATURE_EOF: it is neither an archive nor compressed, as XenServer answers for it.
    """
    source = Source(readable)
    beginning = source.peek(tar.BLOCK)
    compression = kind_of(beginning)
    if compression is None and len(beginning) == tar.BLOCK and _is_archive(beginning):
        compression = "none"  # of something else; the reader says what
    if compression is None:
        raise premature_eof()
    if compression == "none":
        return source, compression
    return Source(decompressed(_Rest(source), compression)), compression


def _is_archive(block: bytes) -> bool:
    return block[148:156].strip(b" \0").isdigit() and block[257:262] in (b"\0" * 5, b"ustar")
