"""Writing an .xva as a stream: `ova.xml`, then the disks block by block, each with its hash behind it."""

from __future__ import annotations

import time
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from itertools import islice
from typing import Final, Protocol

import xxhash

from app.xva import blocks, tar
from app.xva.blocks import MemberName
from app.xva.buffers import Buffers
from app.xva.reader import OVA

BLOCKS_AT_ONCE: Final = 4
"""How many blocks go into one chunk: enough that handing it on costs little."""
_HASH_SIZE: Final = 16
_HASH_ROOM: Final = 2 * tar.BLOCK


class DiskContent(Protocol):
    """A disk to read from, while nothing writes to it."""

    def holding(self, block_size: int) -> Iterator[int]:
        """The numbers of the blocks in which there is data, in order; the others hold zeros."""
        ...

    def read_into(self, offset: int, target: memoryview) -> None:
        """Fill `target` with what the disk holds from `offset` on. :raise Exception: it cannot be read."""
        ...


@dataclass(slots=True)
class Summary:
    """What was written of a disk, to compare a file with: how many blocks, and a digest over their hashes."""

    blocks: int = 0
    _state: xxhash.xxh64 = field(default_factory=xxhash.xxh64)

    def add(self, number: int, digest: str) -> None:
        """Note a block that has been written or read."""
        self.blocks += 1
        self._state.update(f"{number}:{digest};".encode())

    def text(self) -> str:
        """How many blocks, and the digest."""
        return f"{self.blocks}:{self._state.hexdigest()}"


@dataclass(slots=True)
class DiskMember:
    """A disk that goes into the archive: its id there, its size in bytes, and what it holds."""

    id: str
    size: int
    content: DiskContent
    summary: Summary = field(default_factory=Summary)


def archive(
    ova: bytes,
    disks: Sequence[DiskMember],
    *,
    mtime: int | None = None,
    after: MemberName | None = None,
    at_once: int = BLOCKS_AT_ONCE,
) -> Iterator[bytearray]:
    """The archive in chunks of some MiB.

    :param mtime: of the description, in seconds; now, if not given.
    :param after: only what follows this block and its hash: the rest of an archive that was broken off there. The
        summaries are of what is written now.
    :param at_once: how many blocks go into one chunk.
    """
    if after is None:
        yield _member(OVA, ova, int(time.time()) if mtime is None else mtime)
    buffers = Buffers(at_once * _room(blocks.SIZE))
    for disk, numbers in _remaining(disks, after):
        for batch in _batches(numbers, at_once):
            yield _blocks(disk, batch, buffers)
    yield bytearray(tar.END)


def written_size(ova: bytes, disks: Sequence[DiskMember], after: MemberName | None = None) -> int:
    """Bytes that `archive` yields. Looks at what the disks hold, not into it."""
    size = len(tar.END)
    if after is None:
        size += tar.BLOCK + len(ova) + tar.padding(len(ova))
    for disk, numbers in _remaining(disks, after):
        for number in numbers:
            held = blocks.length(number, disk.size)
            size += _room(held)
    return size


def _room(held: int) -> int:
    """Bytes that a block takes in the archive, with its hash."""
    return tar.BLOCK + held + tar.padding(held) + _HASH_ROOM


def _remaining(disks: Sequence[DiskMember], after: MemberName | None) -> Iterator[tuple[DiskMember, Iterator[int]]]:
    """The disks in the order of the file, each with the numbers of its blocks."""
    for disk in sorted(disks, key=lambda disk: disk.id):
        numbers = blocks.wanted(disk.content.holding(blocks.SIZE), disk.size)
        if after is None or disk.id > after.disk:
            yield disk, numbers
        elif disk.id == after.disk:
            yield disk, (number for number in numbers if number > after.number)


def _member(name: str, content: bytes, mtime: int) -> bytearray:
    return bytearray(tar.pack(name, len(content), mtime) + content + bytes(tar.padding(len(content))))


def _batches(numbers: Iterator[int], at_once: int) -> Iterator[list[int]]:
    while batch := list(islice(numbers, at_once)):
        yield batch


def _blocks(disk: DiskMember, numbers: Sequence[int], buffers: Buffers) -> bytearray:
    """The members of some blocks, read straight into the place where they go."""
    lengths = [blocks.length(number, disk.size) for number in numbers]
    needed = sum(_room(held) for held in lengths)
    # All blocks have the same places in it, so what is between them stays zero.
    chunk = buffers.take() if needed == buffers.size else bytearray(needed)
    view = memoryview(chunk)
    position = 0
    for number, held in zip(numbers, lengths, strict=True):
        name = str(MemberName(disk.id, number))
        start = position + tar.BLOCK
        view[position:start] = tar.pack(name, held)
        content = view[start : start + held]
        disk.content.read_into(number * blocks.SIZE, content)
        digest = blocks.digest(content)
        position = start + held + tar.padding(held)
        view[position : position + tar.BLOCK] = tar.pack(f"{name}.xxhash", _HASH_SIZE)
        view[position + tar.BLOCK : position + tar.BLOCK + _HASH_SIZE] = digest.encode()
        position += _HASH_ROOM
        disk.summary.add(number, digest)
    return chunk
