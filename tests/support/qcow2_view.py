"""What a guest sees of a qcow2 image, read by a few lines of the tests' own: no code of ours, no process of QEMU.

The format is that of QEMU's docs/interop/qcow2.txt. A view holds only what is not zero, so that comparing the many
small images of a fault sweep takes a millisecond. tests/engine/storage/test_qcow2_view.py holds it against QEMU.
"""

from __future__ import annotations

import hashlib
import os
import struct
from pathlib import Path
from typing import NamedTuple

BLOCK = 4096
_ZEROS = bytes(BLOCK)
_HEADER = struct.Struct(">4sIQIIQIIQ")
_OFFSET = 0x00FF_FFFF_FFFF_FE00
_COMPRESSED = 1 << 62
_READS_AS_ZEROS = 1
_EXTENDED_L2 = 1 << 4
_DATA_FILE = 1 << 2


class View(NamedTuple):
    """A disk: its size, and its blocks of `BLOCK` bytes that are not zero, by their offset."""

    size: int
    blocks: dict[int, bytes]

    def digest(self) -> str:
        """The same for two disks that show the same."""
        found = hashlib.sha256(str(self.size).encode())
        for offset in sorted(self.blocks):
            found.update(offset.to_bytes(8))
            found.update(self.blocks[offset])
        return found.hexdigest()

    def read(self, offset: int, length: int) -> bytes:
        """Bytes at any place."""
        first = offset - offset % BLOCK
        data = b"".join(self.blocks.get(place, _ZEROS) for place in range(first, offset + length, BLOCK))
        return data[offset - first : offset - first + length]


def view(path: Path) -> View:
    """The image at `path`, seen through its chain of parents in the same folder.

    :raise ValueError: it is no qcow2 image, or one of a kind that we never make.
    :raise OSError: as the file system says.
    """
    chain = [_Layer(path)]
    while chain[-1].parent:
        chain.append(_Layer(path.parent / chain[-1].parent))
    blocks: dict[int, bytes] = {}
    for layer in reversed(chain):
        layer.lay_over(blocks)
    size = chain[0].size
    return View(size, {offset: data for offset, data in blocks.items() if offset < size and data != _ZEROS})


class _Layer:
    """One file of a chain."""

    def __init__(self, path: Path) -> None:
        self._data = path.read_bytes()
        magic, version, name_at, name_length, bits, self.size, crypt, l1_entries, l1 = _HEADER.unpack_from(self._data)
        features = int.from_bytes(self._data[72:80]) if version >= 3 else 0
        if magic != b"QFI\xfb" or crypt or features & _DATA_FILE:
            raise ValueError(f"{path} is not an image of ours")
        self.parent = os.fsdecode(self._data[name_at : name_at + name_length]) if name_at else ""
        self._cluster = 1 << bits
        self._extended = bool(features & _EXTENDED_L2)
        self._tables = [e & _OFFSET for (e,) in struct.iter_unpack(">Q", self._data[l1 : l1 + 8 * l1_entries])]

    def lay_over(self, blocks: dict[int, bytes]) -> None:
        """Change the blocks of the parents as this file does."""
        width = 16 if self._extended else 8
        per_table = self._cluster // width
        for number, table in enumerate(self._tables):
            if table == 0:
                continue
            entries = self._data[table : table + self._cluster]
            for index in range(per_table):
                entry = entries[index * width : (index + 1) * width]
                if any(entry):
                    self._lay_cluster(blocks, (number * per_table + index) * self._cluster, entry)

    def _lay_cluster(self, blocks: dict[int, bytes], guest: int, entry: bytes) -> None:
        where = int.from_bytes(entry[:8])
        if where & _COMPRESSED:
            raise ValueError("we make no compressed clusters")
        host = where & _OFFSET
        piece = self._cluster // 32 if self._extended else self._cluster
        states = int.from_bytes(entry[8:]) if self._extended else 0
        for number in range(self._cluster // piece):
            if self._extended:
                present, zero = states >> number & 1, states >> (32 + number) & 1
            else:
                zero = where & _READS_AS_ZEROS
                present = host != 0 and not zero
            if present or zero:
                self._lay_piece(blocks, guest + number * piece, host + number * piece if present else None, piece)

    def _lay_piece(self, blocks: dict[int, bytes], guest: int, host: int | None, length: int) -> None:
        for step in range(0, length, BLOCK):
            if host is None:
                blocks.pop(guest + step, None)
            else:
                # The file may end within its last cluster.
                blocks[guest + step] = self._data[host + step : host + step + BLOCK].ljust(BLOCK, b"\0")
