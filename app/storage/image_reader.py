"""Reading what a chain of qcow2 images shows, from the files alone: for exports of images that nothing writes to.

Measured to be ten times as fast as a read-only NBD server, and there is no process to look after. The format: QEMU's
docs/interop/qcow2.txt, "Cluster mapping".
"""

from __future__ import annotations

import re
import struct
import zlib
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Final, NamedTuple

import zstandard

from app.storage import files
from app.storage.errors import StorageError
from app.storage.qcow2 import read_open_header

_OFFSET: Final = 0x00FF_FFFF_FFFF_FE00
_COMPRESSED: Final = 1 << 62
_ZERO_FLAG: Final = 1
_HALF: Final = 0xFFFF_FFFF
_SUBCLUSTER_BITS: Final = 5
_COMPRESSION_TYPE: Final = 104
"""Where a header that is long enough says how clusters are compressed: 0 zlib, 1 zstd."""
_SECTOR: Final = 512
_PAIR: Final = struct.Struct(">QQ")
_EMPTY: Final = bytes(4096)
_NOWHERE: Final = 1 << 63
_USED: Final = re.compile(rb"[^\0]")

NOTHING: Final = 0
ZERO: Final = 1
DATA: Final = 2
PACKED: Final = 3


class Run(NamedTuple):
    """A range of the disk, in bytes, as one file has it: nothing (its parent counts), zeros, data, compressed data.

    :ivar where: DATA: the place in the file; PACKED: the table's entry.
    """

    start: int
    end: int
    kind: int
    where: int


class _Layer:
    """One file of a chain, with the table that was needed last."""

    def __init__(self, path: Path) -> None:
        self.file = files.open_regular(path)
        try:
            self._open(path)
        except BaseException:
            self.file.close()
            raise
        self._known = -1
        self._table: bytes | None = None

    def _open(self, path: Path) -> None:
        header = read_open_header(self.file)
        if header.encrypted or header.data_file or header.data_file_name is not None:
            raise StorageError.unsupported(f"{path} uses features of qcow2 that are not supported here.")
        self.size = header.virtual_size
        self.cluster_bits = header.cluster_bits
        self._width = 16 if header.extended_l2 else 8
        self._l1 = _numbers(files.read_at(self.file, header.l1_offset, header.l1_entries * 8))
        self._reach_bits = 2 * header.cluster_bits - (4 if header.extended_l2 else 3)

    def next_used(self, position: int) -> int:
        """Up to where the file surely has nothing, from `position` on; `position` itself if it may have something."""
        while position < self.size:
            number = position >> self._reach_bits
            while number < len(self._l1) and not self._l1[number] & _OFFSET:
                number += 1
            if number >= len(self._l1):
                break
            position = max(position, number << self._reach_bits)
            table = self._table_at(position)
            used = -1 if table is None else _first_used(table, self._index(position))
            if used >= 0:
                start = (number << self._reach_bits) + (used // self._width << self.cluster_bits)
                return max(position, start)
            position = (number + 1) << self._reach_bits
        return _NOWHERE

    def runs(self, start: int, end: int) -> Iterator[Run]:
        """What the file has of a range, in order and without gaps."""
        last: Run | None = None
        for run in self.pieces(start, end):
            if last is not None and last.kind == run.kind and (run.kind < DATA or _follows(last, run)):
                last = Run(last.start, run.end, run.kind, last.where)
                continue
            if last is not None:
                yield last
            last = run
        if last is not None:
            yield last

    def pieces(self, start: int, end: int) -> Iterator[Run]:
        """What the file has of a range, cluster by cluster."""
        cluster = 1 << self.cluster_bits
        position = start
        while position < end:
            if position >= self.size:
                yield Run(position, end, ZERO, 0)  # of a child that is larger
                return
            table = self._table_at(position)
            if table is None:
                until = min(end, self.size, ((position >> self._reach_bits) + 1) << self._reach_bits)
                yield Run(position, until, NOTHING, 0)
                position = until
                continue
            until = min(end, self.size, (position & -cluster) + cluster)
            yield from self._cluster(*self._entry(table, position), position, until)
            position = until

    def _cluster(self, entry: int, bitmap: int, start: int, end: int) -> Iterator[Run]:
        offset = entry & _OFFSET
        inside = start & ((1 << self.cluster_bits) - 1)
        if entry & _COMPRESSED:
            yield Run(start, end, PACKED, entry)
        elif bitmap < 0:
            kind = ZERO if entry & _ZERO_FLAG else DATA if offset else NOTHING
            yield Run(start, end, kind, offset + inside)
        elif bitmap & _HALF == _HALF:
            yield Run(start, end, DATA, offset + inside)
        elif bitmap == 0:
            yield Run(start, end, NOTHING, 0)
        else:
            yield from self._subclusters(offset - (start - inside), bitmap, start, end)

    def _subclusters(self, shift: int, bitmap: int, start: int, end: int) -> Iterator[Run]:
        bits = self.cluster_bits - _SUBCLUSTER_BITS
        position = start
        while position < end:
            number = (position >> bits) & 31
            until = min(end, ((position >> bits) + 1) << bits)
            kind = DATA if bitmap >> number & 1 else ZERO if bitmap >> number + 32 & 1 else NOTHING
            yield Run(position, until, kind, position + shift)
            position = until

    def _index(self, position: int) -> int:
        """Where the entry for a position is in its table, in bytes."""
        within = position & ((1 << self._reach_bits) - 1)
        return (within >> self.cluster_bits) * self._width

    def _entry(self, table: bytes, position: int) -> tuple[int, int]:
        """The entry, and its bitmap: -1 where the format has none."""
        if self._width == _PAIR.size:
            entry, bitmap = _PAIR.unpack_from(table, self._index(position))
            return entry, bitmap
        return int.from_bytes(table[(at := self._index(position)) : at + 8]), -1

    def _table_at(self, position: int) -> bytes | None:
        number = position >> self._reach_bits
        if number != self._known:
            entry = self._l1[number] & _OFFSET if number < len(self._l1) else 0
            self._table = self._read_table(entry) if entry else None
            self._known = number
        return self._table

    def _read_table(self, offset: int) -> bytes:
        table = files.read_at(self.file, offset, 1 << self.cluster_bits)
        if len(table) < 1 << self.cluster_bits:
            raise StorageError.corrupt(f"{self.file.name} is damaged: a table lies outside the file.")
        return table

    def read(self, run: Run, target: memoryview) -> None:
        """Fill `target` with a run of DATA or PACKED."""
        if run.kind == PACKED:
            inside = run.start & ((1 << self.cluster_bits) - 1)
            target[:] = self._unpacked(run.where)[inside : inside + len(target)]
            return
        try:
            self.file.seek(run.where)
            done = 0
            while done < len(target):
                count = self.file.readinto(target[done:])  # type: ignore[attr-defined]
                if not count:
                    target[done:] = bytes(len(target) - done)  # as QEMU reads beyond a file's end
                    break
                done += count
        except OSError as error:
            raise StorageError.from_os_error(error, "read", Path(self.file.name)) from error

    def _unpacked(self, entry: int) -> bytes:
        shift = 62 - (self.cluster_bits - 8)
        offset = entry & ((1 << shift) - 1)
        sectors = (entry >> shift & ((1 << (self.cluster_bits - 8)) - 1)) + 1
        packed = files.read_at(self.file, offset, sectors * _SECTOR - offset % _SECTOR)
        cluster = 1 << self.cluster_bits
        try:
            if files.read_at(self.file, _COMPRESSION_TYPE, 1) == b"\1" and self._has_compression_type():
                data = zstandard.ZstdDecompressor().stream_reader(packed).read(cluster)
            else:
                data = zlib.decompressobj(-15).decompress(packed, cluster)
        except (zlib.error, zstandard.ZstdError) as error:
            raise StorageError.corrupt(f"{self.file.name} is damaged: a cluster cannot be decompressed.") from error
        if len(data) < cluster:
            raise StorageError.corrupt(f"{self.file.name} is damaged: a compressed cluster is cut short.")
        return data

    def _has_compression_type(self) -> bool:
        header = files.read_at(self.file, 0, _COMPRESSION_TYPE)
        return int.from_bytes(header[4:8]) >= 3 and int.from_bytes(header[100:104]) > _COMPRESSION_TYPE


class ImageReader:
    """What a disk shows: its own file and all below. For one thread; `close` it."""

    def __init__(self, paths: Sequence[Path]) -> None:
        """`paths`: the chain, leaf first. :raise StorageError: missing, io, corrupt, unsupported."""
        self._layers: list[_Layer] = []
        try:
            for path in paths:
                self._layers.append(_Layer(path))
        except BaseException:
            self.close()
            raise
        self.size = self._layers[0].size

    def close(self) -> None:
        """Close the files."""
        for layer in self._layers:
            layer.file.close()

    def holding(self, block_size: int) -> Iterator[int]:
        """The numbers of the blocks with data in them, in order. All others are zero.

        :raise StorageError: io, corrupt.
        """
        position = 0
        while position < self.size:
            used = min(layer.next_used(position) for layer in self._layers)
            position = max(position, used - used % block_size)
            if position >= self.size:
                break
            if self._has_data(0, position, min(position + block_size, self.size)):
                yield position // block_size
            position += block_size

    def _has_data(self, level: int, start: int, end: int) -> bool:
        for run in self._layers[level].pieces(start, end):  # not `runs`: the first cluster tells most often
            if run.kind >= DATA:
                return True
            deeper = run.kind == NOTHING and level + 1 < len(self._layers)
            if deeper and self._has_data(level + 1, run.start, run.end):
                return True
        return False

    def read_into(self, offset: int, target: memoryview) -> None:
        """Fill `target` with what the disk shows from `offset` on. :raise StorageError: io, corrupt."""
        self._read(0, offset, target)

    def _read(self, level: int, offset: int, target: memoryview) -> None:
        layer = self._layers[level]
        for run in layer.runs(offset, offset + len(target)):
            part = target[run.start - offset : run.end - offset]
            if run.kind >= DATA:
                layer.read(run, part)
            elif run.kind == NOTHING and level + 1 < len(self._layers):
                self._read(level + 1, run.start, part)
            else:
                part[:] = bytes(len(part))


def _numbers(table: bytes) -> tuple[int, ...]:
    return struct.unpack(f">{len(table) // 8}Q", table[: len(table) & ~7])


def _first_used(table: bytes, start: int) -> int:
    """Where the first byte that is not zero is, from `start` on; -1: there is none."""
    while start < len(table):
        if not start % len(_EMPTY) and table[start : start + len(_EMPTY)] == _EMPTY:
            start += len(_EMPTY)
            continue
        end = start - start % len(_EMPTY) + len(_EMPTY)
        found = _USED.search(table, start, end)
        if found is not None:
            return found.start()
        start = end
    return -1


def _follows(last: Run, run: Run) -> bool:
    return run.kind == DATA and last.where + (last.end - last.start) == run.where
