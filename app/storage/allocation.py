"""Which parts of a disk a qcow2 file holds itself, read from the file alone, without QEMU.

A merge is proven by it: before anything points past an image, what it held must have arrived in the file that takes its
place, not only in the memory of the QEMU that wrote it. The format: QEMU's docs/interop/qcow2.txt, "Cluster mapping".
"""

from __future__ import annotations

import struct
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import BinaryIO, Final, NamedTuple

from app.storage import files
from app.storage.errors import StorageError
from app.storage.qcow2 import Qcow2Header, read_open_header

_OFFSET: Final = 0x00FF_FFFF_FFFF_FE00
_COMPRESSED: Final = 1 << 62
_ZERO: Final = 1
_HALF: Final = 0xFFFF_FFFF
_SUBCLUSTERS: Final = 32


class Extent(NamedTuple):
    """One range of the disk, in bytes, that the file holds: as data, or as the note that it is zero."""

    start: int
    end: int
    zero: bool


def extents(path: Path) -> list[Extent]:
    """What the file *path* holds itself, in order, neighbours joined. Its parents are not looked at.

    :raise StorageError: missing, io, corrupt, unsupported.
    """
    with files.open_regular(path) as file:
        header = read_open_header(file)
        return list(_joined(_entries(file, header), header.virtual_size))


def held(path: Path) -> int:
    """Bytes of the disk that the file holds as data. :raise StorageError: as `extents`."""
    return sum(extent.end - extent.start for extent in extents(path) if not extent.zero)


def lacking(target: Path, source: Path) -> int:
    """Bytes of the disk that *source* holds and *target* does not: what a merge into *target* still has to write.

    Zeros of the source count only where the target has a parent, whose data they hide.

    :raise StorageError: as `extents`.
    """
    with files.open_regular(target) as file:
        based = read_open_header(file).backing_file is not None
    wanted = (extent for extent in extents(source) if based or not extent.zero)
    return _uncovered(wanted, extents(target))


def _uncovered(wanted: Iterable[Extent], covering: Iterable[Extent]) -> int:
    cover = iter(covering)
    current = next(cover, None)
    total = 0
    for start, end, _ in wanted:
        position = start
        while position < end:
            while current is not None and current.end <= position:
                current = next(cover, None)
            if current is None or current.start >= end:
                total += end - position
                break
            total += max(current.start - position, 0)
            position = min(current.end, end)
    return total


def _joined(found: Iterable[Extent], size: int) -> Iterator[Extent]:
    last: Extent | None = None
    for extent in found:
        extent = Extent(extent.start, min(extent.end, size), extent.zero)
        if extent.start >= extent.end:
            continue
        if last is not None and (last.end, last.zero) == (extent.start, extent.zero):
            last = Extent(last.start, extent.end, extent.zero)
            continue
        if last is not None:
            yield last
        last = extent
    if last is not None:
        yield last


def _entries(file: BinaryIO, header: Qcow2Header) -> Iterator[Extent]:
    cluster = header.cluster_size
    width = 16 if header.extended_l2 else 8
    reach = cluster // width * cluster
    table = files.read_at(file, header.l1_offset, header.l1_entries * 8)
    for number, (entry,) in enumerate(struct.iter_unpack(">Q", table[: len(table) & ~7])):
        offset = entry & _OFFSET
        if not offset:
            continue
        level_2 = files.read_at(file, offset, cluster)
        if len(level_2) < cluster:
            raise StorageError.corrupt(f"{file.name} is damaged: a table lies outside the file.")
        read = _extended if header.extended_l2 else _plain
        yield from read(level_2, number * reach, cluster)


def _plain(table: bytes, start: int, cluster: int) -> Iterator[Extent]:
    for number, (entry,) in enumerate(struct.iter_unpack(">Q", table)):
        if entry & (_OFFSET | _COMPRESSED | _ZERO):
            here = start + number * cluster
            yield Extent(here, here + cluster, bool(entry & _ZERO) and not entry & _COMPRESSED)


def _extended(table: bytes, start: int, cluster: int) -> Iterator[Extent]:
    piece = cluster // _SUBCLUSTERS
    for number, (entry, bitmap) in enumerate(struct.iter_unpack(">QQ", table)):
        here = start + number * cluster
        if entry & _COMPRESSED or bitmap & _HALF == _HALF:
            yield Extent(here, here + cluster, False)
        elif bitmap >> 32 == _HALF:
            yield Extent(here, here + cluster, True)
        elif bitmap:
            for bit in range(_SUBCLUSTERS):
                if (bitmap >> bit | bitmap >> bit + 32) & 1:
                    yield Extent(here + bit * piece, here + (bit + 1) * piece, bool(bitmap >> bit + 32 & 1))
