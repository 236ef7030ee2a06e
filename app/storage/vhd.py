"""Reading the footer of VHD disk images, fixed and dynamic.

Facts about the format come from Microsoft's "Virtual Hard Disk Image Format Specification" 1.0. Numbers are big endian.
"""

from __future__ import annotations

import struct
from typing import BinaryIO

from app.storage import files
from app.storage.errors import StorageError

COOKIE = b"conectix"
FOOTER_SIZE = 512

_DYNAMIC_COOKIE = b"cxsparse"
_DYNAMIC_SIZE = 1024
_CHECKSUM_AT = 64
_DYNAMIC_CHECKSUM_AT = 36
_FIXED, _DYNAMIC, _DIFFERENCING = 2, 3, 4
_UNUSED = 0xFFFF_FFFF


def virtual_size(file: BinaryIO, file_size: int) -> int:
    """The size in bytes of the disk in *file*, which begins or ends with `COOKIE`.

    The size field counts, not the older geometry field: XenServer and Hyper-V do the same.

    :raise StorageError: corrupt, or unsupported for a differencing disk.
    """
    footer = files.read_at(file, max(0, file_size - FOOTER_SIZE), FOOTER_SIZE)
    if len(footer) < FOOTER_SIZE or not footer.startswith(COOKIE):
        raise StorageError.corrupt(f"{file.name} is cut short: its footer is missing.")
    _check_sum(file.name, footer, _CHECKSUM_AT)
    (size,) = struct.unpack_from(">Q", footer, 48)
    (kind,) = struct.unpack_from(">I", footer, 60)
    first = files.read_at(file, 0, FOOTER_SIZE)
    if kind == _DIFFERENCING:
        raise StorageError.unsupported(
            f"{file.name} is a differencing disk that needs its parent. Merge it first, or import the whole disk."
        )
    # QEMU believes a footer at the start before one at the end, so both must tell the same.
    if kind == _DYNAMIC and first == footer:
        _check_dynamic(file, file_size, footer, size)
    elif kind != _FIXED or first.startswith(COOKIE):
        raise StorageError.corrupt(f"{file.name} is damaged: the footers at its start and end differ.")
    elif size % FOOTER_SIZE or size > file_size - FOOTER_SIZE:
        raise StorageError.corrupt(f"{file.name} is cut short: it should hold {size} bytes of data.")
    return int(size)


def _check_dynamic(file: BinaryIO, file_size: int, footer: bytes, size: int) -> None:
    (offset,) = struct.unpack_from(">Q", footer, 16)
    header = files.read_at(file, offset, _DYNAMIC_SIZE)
    if len(header) < _DYNAMIC_SIZE or not header.startswith(_DYNAMIC_COOKIE):
        raise StorageError.corrupt(f"{file.name} is damaged: its dynamic header is missing.")
    _check_sum(file.name, header, _DYNAMIC_CHECKSUM_AT)
    table_offset, _, entries, block_size = struct.unpack_from(">QIII", header, 16)
    if block_size < FOOTER_SIZE or block_size & (block_size - 1) or entries * block_size < size:
        raise StorageError.corrupt(f"{file.name} is damaged: its block table does not fit its size.")
    if entries * 4 > file_size - table_offset or entries * 4 > 1 << 30:
        raise StorageError.corrupt(f"{file.name} is damaged: its block table lies outside the file.")
    table = files.read_at(file, table_offset, entries * 4)
    last = max((entry for (entry,) in struct.iter_unpack(">I", table) if entry != _UNUSED), default=0)
    if last * FOOTER_SIZE + block_size > file_size:
        raise StorageError.corrupt(f"{file.name} is cut short: blocks at its end are missing.")


def _check_sum(name: str, data: bytes, position: int) -> None:
    (stored,) = struct.unpack_from(">I", data, position)
    total = sum(data) - sum(data[position : position + 4])
    if stored != ~total & 0xFFFF_FFFF:
        raise StorageError.corrupt(f"{name} is damaged: a checksum is wrong.")
