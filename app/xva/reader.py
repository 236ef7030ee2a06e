"""Reading an .xva as a stream, strictly: what comes next must be what can come next."""

from __future__ import annotations

import hashlib
import hmac
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from typing import Final

from app.xva import blocks, tar
from app.xva.blocks import MemberName, Places
from app.xva.compression import Readable
from app.xva.refusals import disks_missing, not_understood, premature_eof, unexpected_file, wrong_hash
from app.xva.source import opened

OVA: Final = "ova.xml"
LARGEST_OVA: Final = 16 << 20
"""Bytes. A VM with a hundred devices has a few hundred thousand."""
_HASHES: Final[Mapping[str, Callable[[memoryview], str]]] = {
    "xxhash": blocks.digest,
    "checksum": lambda data: hashlib.sha1(data, usedforsecurity=False).hexdigest(),
}
"""What may stand behind a block, by its suffix. Until version 8.0 a XenServer wrote SHA-1, in lower case."""
_LONGEST_HASH: Final = 128


@dataclass(frozen=True, slots=True)
class Block:
    """A block of a disk: where it belongs, in bytes, what it holds and the hash that stood behind it.

    :ivar sound: the hash was right.
    """

    disk: str
    number: int
    offset: int
    data: memoryview
    hash: str
    sound: bool


class Reader:
    """One pass over an archive: first `ova`, then `blocks`."""

    def __init__(self, readable: Readable) -> None:
        """:raise Failure: IMPORT_ERROR_PREMATURE_EOF: this is no archive."""
        self._source, self.compression = opened(readable)
        self._ahead: tar.Header | None = None
        self._ended = False
        self.position_of_block = 0
        """Bytes of the archive up to the end of the block that was answered last, and of its hash."""

    @property
    def position(self) -> int:
        """Bytes of the (decompressed) archive read so far."""
        return self._source.position

    def ova(self) -> bytes:
        """The description. :raise Failure: IMPORT_ERROR_UNEXPECTED_FILE: it does not come first; or it is too long."""
        header = self._next()
        if header is None:
            raise premature_eof()
        if header.name != OVA:
            raise unexpected_file(OVA, header.name)
        if header.size > LARGEST_OVA:
            raise not_understood(f"The description in the archive has {header.size} bytes, which is too much.")
        return bytes(self._content(header))

    def is_at_end(self) -> bool:
        """Whether nothing follows. :raise Failure: what follows is no header."""
        self._ahead = self._next()
        return self._ahead is None

    def rest(self, piece: int) -> Iterator[bytes]:
        """All that follows the description, as it is, in pieces of at most so many bytes."""
        while taken := bytes(self._source.take_up_to(piece)):
            yield taken

    def blocks(self, disks: Mapping[str, int], *, force: bool = False) -> Iterator[Block]:
        """The blocks of all disks, in the archive's order. Ends when all disks are complete.

        :param disks: the size in bytes of each disk that the description says is here, by its id.
        :param force: go on where a hash is wrong.
        :raise Failure: what is wrong with the archive, IMPORT_ERROR….
        """
        remaining = dict(disks)
        while remaining:
            first = self._next()
            if first is None:
                raise disks_missing(", ".join(sorted(remaining)))
            name = blocks.parse(first.name)
            if name is None or name.disk not in remaining:
                raise unexpected_file(f"{min(remaining)}/{0:08d}", first.name)
            yield from self._disk(name.disk, remaining.pop(name.disk), first, force=force)
        self._end()

    def _disk(self, disk: str, size: int, first: tar.Header, *, force: bool) -> Iterator[Block]:
        places = Places(disk, size)
        header: tar.Header | None = first
        while True:
            if header is None:
                raise premature_eof()
            name = blocks.parse(header.name)
            if name is None or name.disk != disk:
                raise unexpected_file(places.next, header.name)
            yield self._block(places, name, header, force=force)
            # Empty blocks may follow a complete disk: they are what a XenServer sends while it waits.
            header = self._next()
            if places.complete and not _belongs(header, disk):
                self._ahead = header
                return

    def _block(self, places: Places, name: MemberName, header: tar.Header, *, force: bool) -> Block:
        if header.size > blocks.LARGEST:
            raise not_understood(f"{name} has {header.size} bytes, which is too much for a block.")
        offset = places.place(name, header.size)
        data = self._content(header)
        behind = self._next()
        if behind is None:
            raise premature_eof()
        kind = behind.name.removeprefix(f"{name}.")
        if behind.name == kind or kind not in _HASHES or behind.size > _LONGEST_HASH:
            raise unexpected_file(f"{name}.xxhash", behind.name)
        original = bytes(self._content(behind)).decode("latin-1").strip()
        recomputed = _HASHES[kind](data)
        sound = hmac.compare_digest(original.encode(), recomputed.encode())
        if not sound and not force:
            raise wrong_hash(str(name), ascii(original)[1:-1], recomputed)
        self.position_of_block = self._source.position
        return Block(name.disk, name.number, offset, data, original, sound)

    def _end(self) -> None:
        """Nothing may follow; the zeros that end an archive may be missing."""
        header = self._next()
        if header is not None:
            raise unexpected_file("", header.name)

    def _next(self) -> tar.Header | None:
        """The next member's header; None at the end, with or without the zeros that should be there."""
        if self._ahead is not None:
            header, self._ahead = self._ahead, None
            return header
        if self._ended:
            return None
        block = bytes(self._source.take_up_to(tar.BLOCK))
        if not block or tar.is_end(block):
            self._ended = True
            return None
        if len(block) < tar.BLOCK:
            raise premature_eof()
        return tar.unpack(block)

    def _content(self, header: tar.Header) -> memoryview:
        content = self._source.take(header.size + tar.padding(header.size))
        return content[: header.size]


def _belongs(header: tar.Header | None, disk: str) -> bool:
    return header is not None and header.name.startswith(f"{disk}/")
