"""Reading the header of VMDK disk images: single sparse files, growable or stream-optimised.

Facts about the format come from VMware's "Virtual Disk Format 5.0" and from what QEMU's vmdk driver reads. Numbers are
little endian, offsets and sizes in sectors of 512 bytes.
"""

from __future__ import annotations

import re
import struct
from typing import BinaryIO

from app.storage import files
from app.storage.errors import StorageError

MAGIC = b"KDMV"
OLD_MAGIC = b"COWD"
TEXT_MAGIC = b"# Disk DescriptorFile"

_SECTOR = 512
_HEADER = struct.Struct("<4sIIQQQQIQQ")
_DIRECTORY_AT_END = (1 << 64) - 1
# QEMU looks for a parent in the 20 sectors after the first, whatever the header says; so must we.
_FIXED_DESCRIPTOR = (1 * _SECTOR, 20 * _SECTOR)
_MAX_DESCRIPTOR = 1 << 20
_NO_PARENT = "ffffffff"
_SINGLE_FILE_TYPES = ("monolithicsparse", "streamoptimized")


def virtual_size(file: BinaryIO, file_size: int) -> int:
    """The size in bytes of the disk in *file*, which begins with `MAGIC`.

    :raise StorageError: corrupt, or unsupported if data or a parent lies in another file.
    """
    header = files.read_at(file, 0, _SECTOR)
    if len(header) < _SECTOR:
        raise StorageError.corrupt(f"{file.name} is cut short.")
    _, version, _, capacity, _, descriptor_offset, descriptor_size, _, _, directory = _HEADER.unpack_from(header)
    if version not in (1, 2, 3):
        raise StorageError.unsupported(f"{file.name} is a VMDK image of version {version}, which is not known.")
    if capacity == 0 or not descriptor_offset or not descriptor_size:
        raise _several_files(file.name)
    declared = (descriptor_offset * _SECTOR, min(descriptor_size * _SECTOR, _MAX_DESCRIPTOR))
    for offset, length in (declared, _FIXED_DESCRIPTOR):
        _refuse_parent(file.name, files.read_at(file, offset, length))
    _check_type(file.name, files.read_at(file, *declared))
    if directory == _DIRECTORY_AT_END:
        capacity = _capacity_in_footer(file, file_size)
    elif not 0 < directory * _SECTOR < file_size:
        raise StorageError.corrupt(f"{file.name} is damaged or cut short: its directory lies outside the file.")
    return int(capacity) * _SECTOR


def refuse_descriptor(name: str) -> StorageError:
    """Why a text descriptor, a small file that lists the files holding the data, is not taken."""
    return _several_files(name)


def _several_files(name: str) -> StorageError:
    return StorageError.unsupported(
        f"{name} keeps its data in other files. Convert it to a single file first: "
        "qemu-img convert -f vmdk -O qcow2 SOURCE TARGET."
    )


def _refuse_parent(name: str, descriptor: bytes) -> None:
    text = descriptor.split(b"\0")[0].decode("latin-1")
    content_id = re.search(r"parentCID\s*=\s*([0-9a-fA-F]+)", text, re.IGNORECASE)
    other_parent = content_id is not None and content_id[1].lower() != _NO_PARENT
    if other_parent or b"parentfilenamehint" in descriptor.lower():
        raise StorageError.unsupported(
            f"{name} is a snapshot that needs its parent disk. Consolidate its snapshots first, then import it."
        )


def _check_type(name: str, descriptor: bytes) -> None:
    text = descriptor.decode("latin-1")
    found = re.search(r'createType\s*=\s*"?(\w+)', text, re.IGNORECASE)
    if found is None:
        raise StorageError.unsupported(
            f"{name} has no description: it is damaged, or only one part of a disk that is split into several files."
        )
    if found[1].lower() not in _SINGLE_FILE_TYPES:
        raise _several_files(name)


def _capacity_in_footer(file: BinaryIO, file_size: int) -> int:
    """A stream-optimised file ends in a copy of the header that knows where things are, and an empty marker sector."""
    footer = files.read_at(file, max(0, (file_size // _SECTOR - 2) * _SECTOR), _SECTOR)
    if len(footer) < _SECTOR or not footer.startswith(MAGIC):
        raise StorageError.corrupt(f"{file.name} is cut short: its end is missing.")
    _, _, _, capacity, _, _, _, _, _, directory = _HEADER.unpack_from(footer)
    if capacity == 0 or not 0 < directory * _SECTOR < file_size:
        raise StorageError.corrupt(f"{file.name} is damaged or cut short: its directory lies outside the file.")
    return int(capacity)
