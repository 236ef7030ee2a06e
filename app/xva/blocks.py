"""How a disk is cut into blocks, and where a block that is read belongs.

Blocks are numbered from 0 and 1 MiB long, the last one maybe shorter. Those without data are left out, except the first
and the last. A XenServer also inserts empty blocks while it waits, which take a number and no place. So the place of a
block follows from those before it: each number that is left out stands for as much as the disk's first block holds.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from typing import Final

import xxhash

from app.xva.refusals import not_understood, unexpected_file

SIZE: Final = 1 << 20
"""Bytes of a block that we write."""
LARGEST: Final = 8 << 20
"""Bytes of a block that we read."""
_MEMBER: Final = re.compile(r"(?P<disk>[A-Za-z0-9:._-]{1,60})/(?P<number>[0-9]{8})")


@dataclass(frozen=True, slots=True)
class MemberName:
    """The name of a block in the archive, taken apart."""

    disk: str
    number: int

    def __str__(self) -> str:
        return f"{self.disk}/{self.number:08d}"


def parse(name: str) -> MemberName | None:
    """A member's name taken apart; None for what is no block."""
    match = _MEMBER.fullmatch(name)
    return None if match is None or match["disk"] in (".", "..") else MemberName(match["disk"], int(match["number"]))


def count(size: int) -> int:
    """How many blocks a disk of `size` bytes has. One that is empty has one, of no bytes."""
    return max(1, -(-size // SIZE))


def length(number: int, size: int) -> int:
    """Bytes of a block of a disk of `size` bytes."""
    return min(SIZE, size - number * SIZE)


def wanted(holding: Iterable[int], size: int) -> Iterator[int]:
    """The blocks to write, given those that hold data, in order: the first and the last are always among them."""
    last = count(size) - 1
    previous = -1
    for number in holding:
        if previous < 0 < number:
            yield 0
        yield number
        previous = number
    if previous < 0:
        yield 0
        previous = 0
    if previous < last:
        yield last


class Places:
    """Tells where the blocks of one disk belong, one after the other."""

    def __init__(self, disk: str, size: int) -> None:
        """`size`: the disk's, in bytes, as `ova.xml` declares it."""
        self._disk = disk
        self._size = size
        self._previous = -1
        self._stride = 0
        self._end = 0

    @property
    def complete(self) -> bool:
        """Whether the disk's end was reached."""
        return self._previous >= 0 and self._end >= self._size

    @property
    def next(self) -> str:
        """The name of the block that could follow, for messages."""
        return str(MemberName(self._disk, self._previous + 1))

    def place(self, name: MemberName, held: int) -> int:
        """The offset of a block of `held` bytes. :raise Failure: it cannot be the next one of this disk."""
        if name.number <= self._previous or (self._previous < 0 and name.number != 0):
            raise unexpected_file(self.next, str(name))
        if self._stride == 0:
            self._stride = held
        start = self._end + (name.number - self._previous - 1) * self._stride
        if start + held > self._size:
            raise not_understood(f"{name} lies beyond the disk's end at {self._size} bytes.")
        self._previous = name.number
        self._end = start + held
        return start


def digest(data: bytes | bytearray | memoryview) -> str:
    """A block's hash as XenServer writes it: XXH64 with the seed 0, in upper-case hexadecimal digits."""
    return xxhash.xxh64_hexdigest(data).upper()
