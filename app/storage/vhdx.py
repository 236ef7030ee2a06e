"""Reading the header of VHDX disk images.

Facts about the format come from Microsoft's open specification [MS-VHDX]. Numbers are little endian.
"""

from __future__ import annotations

import struct
import uuid
from collections.abc import Mapping
from typing import BinaryIO

from app.storage import files
from app.storage.errors import StorageError

MAGIC = b"vhdxfile"

_KIB = 1024
_HEADERS = (64 * _KIB, 128 * _KIB)
_REGION_TABLES = (192 * _KIB, 256 * _KIB)
_HEADER_SIZE = 4 * _KIB
_TABLE_SIZE = 64 * _KIB
_MAX_ENTRIES = 2047
_METADATA_REGION = uuid.UUID("8b7ca206-4790-4b9a-b8fe-575f050f886e").bytes_le
_BAT_REGION = uuid.UUID("2dc27766-f623-4200-9d64-115e9bfd4a08").bytes_le
_FILE_PARAMETERS = uuid.UUID("caa16737-fa36-4d43-b3b6-33f0aa44e76b").bytes_le
_VIRTUAL_DISK_SIZE = uuid.UUID("2fa54224-cd1b-4876-b211-5dbed83bf4b8").bytes_le
_HAS_PARENT = 2


def virtual_size(file: BinaryIO, file_size: int) -> int:
    """The size in bytes of the disk in *file*, which begins with `MAGIC`.

    :raise StorageError: corrupt, or unsupported for a differencing disk or one not closed cleanly.
    """
    _check_log(file)
    regions = _regions(file, file_size)
    if _METADATA_REGION not in regions or _BAT_REGION not in regions:
        raise _damaged(file, "a region is missing")
    items = _metadata(file, *regions[_METADATA_REGION])
    parameters, size = items.get(_FILE_PARAMETERS, b""), items.get(_VIRTUAL_DISK_SIZE, b"")
    if len(parameters) < 8 or len(size) < 8:
        raise _damaged(file, "its size is missing")
    if struct.unpack_from("<II", parameters)[1] & _HAS_PARENT:
        raise StorageError.unsupported(
            f"{file.name} is a differencing disk that needs its parent. Merge it first, or import the whole disk."
        )
    return int.from_bytes(size[:8], "little")


def _damaged(file: BinaryIO, reason: str) -> StorageError:
    return StorageError.corrupt(f"{file.name} is damaged or cut short: {reason}.")


def _check_log(file: BinaryIO) -> None:
    """Refuse an image whose log has not been replayed: what it shows would not be what was written."""
    headers = [files.read_at(file, offset, _HEADER_SIZE) for offset in _HEADERS]
    valid = [header for header in headers if header.startswith(b"head") and _is_sound(header, _HEADER_SIZE)]
    if not valid:
        raise _damaged(file, "it has no valid header")
    current = max(valid, key=lambda header: int.from_bytes(header[8:16], "little"))
    if any(current[48:64]):
        raise StorageError.unsupported(
            f"{file.name} was not closed cleanly: its VM is running or has crashed. Start and shut down that VM first."
        )


def _regions(file: BinaryIO, file_size: int) -> Mapping[bytes, tuple[int, int]]:
    for offset in _REGION_TABLES:
        table = files.read_at(file, offset, _TABLE_SIZE)
        if table.startswith(b"regi") and _is_sound(table, _TABLE_SIZE):
            return _parse_regions(file, table, file_size)
    raise _damaged(file, "its region table is not valid")


def _parse_regions(file: BinaryIO, table: bytes, file_size: int) -> Mapping[bytes, tuple[int, int]]:
    count = int.from_bytes(table[8:12], "little")
    if count > _MAX_ENTRIES:
        raise _damaged(file, "its region table is too long")
    regions: dict[bytes, tuple[int, int]] = {}
    for position in range(16, 16 + count * 32, 32):
        guid, offset, length, required = struct.unpack_from("<16sQII", table, position)
        if guid not in (_METADATA_REGION, _BAT_REGION):
            if required & 1:
                raise StorageError.unsupported(f"{file.name} needs a feature that is not known.")
            continue
        if offset < 1024 * _KIB or offset + length > file_size:
            raise _damaged(file, "a region lies outside the file")
        regions[guid] = (offset, length)
    return regions


def _metadata(file: BinaryIO, offset: int, length: int) -> Mapping[bytes, bytes]:
    table = files.read_at(file, offset, min(length, _TABLE_SIZE))
    if len(table) < _TABLE_SIZE or not table.startswith(b"metadata"):
        raise _damaged(file, "its metadata table is missing")
    count = int.from_bytes(table[10:12], "little")
    if count > _MAX_ENTRIES:
        raise _damaged(file, "its metadata table is too long")
    items: dict[bytes, bytes] = {}
    for position in range(32, 32 + count * 32, 32):
        guid, item_offset, item_length = struct.unpack_from("<16sII", table, position)
        if item_offset + item_length > length:
            raise _damaged(file, "its metadata lies outside its region")
        if guid in (_FILE_PARAMETERS, _VIRTUAL_DISK_SIZE):
            items[guid] = files.read_at(file, offset + item_offset, min(item_length, 16))
    return items


def _is_sound(data: bytes, size: int) -> bool:
    """Whether the CRC-32C in bytes 4 to 8, computed with these bytes zero, is right."""
    return len(data) == size and _crc32c(data[:4] + bytes(4) + data[8:]) == int.from_bytes(data[4:8], "little")


def _crc_table() -> tuple[int, ...]:
    table = []
    for value in range(256):
        for _ in range(8):
            value = value >> 1 ^ (0x82F63B78 if value & 1 else 0)
        table.append(value)
    return tuple(table)


_CRC_TABLE = _crc_table()


def _crc32c(data: bytes) -> int:
    crc = 0xFFFF_FFFF
    for byte in data:
        crc = crc >> 8 ^ _CRC_TABLE[(crc ^ byte) & 0xFF]
    return crc ^ 0xFFFF_FFFF
