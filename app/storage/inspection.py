"""Looking at a disk image from outside, before any tool opens it.

qemu-img guesses formats and follows the file names it finds in headers, so a prepared image could show any file of
ours. This reader decides the format, and refuses whatever names another file.
"""

from __future__ import annotations

import os
from dataclasses import dataclass
from pathlib import Path
from typing import BinaryIO, Literal

from app.storage import files, qcow2, vhd, vhdx, vmdk
from app.storage.errors import StorageError

ImageFormat = Literal["qcow2", "vmdk", "vpc", "vhdx", "raw"]
"""QEMU's names; ``vpc`` is VHD."""

SECTOR = 512
_HEAD = 2 * 1024

_FOREIGN = (
    (64, b"\x7f\x10\xda\xbe", "a VirtualBox VDI image"),
    (0, b"QED\0", "a QED image"),
    (0, b"WithoutFreeSpace", "a Parallels image"),
    (0, b"WithouFreSpacExt", "a Parallels image"),
    (0, b"Bochs Virtual HD Image", "a Bochs image"),
    (0, b"LUKS\xba\xbe", "an encrypted LUKS volume"),
    (0, vmdk.OLD_MAGIC, "an ESX VMDK image of the old kind"),
    (0, b"\xbe\xba\xfe\xca\0\0\0\0", "an ESX VMDK image of the seSparse kind"),
)
_PACKED = (
    (0, b"\x1f\x8b", "a gzip archive"),
    (0, b"\xfd7zXZ\0", "an xz archive"),
    (0, b"BZh", "a bzip2 archive"),
    (0, b"\x28\xb5\x2f\xfd", "a zstd archive"),
    (0, b"PK\x03\x04", "a zip archive"),
    (0, b"7z\xbc\xaf\x27\x1c", "a 7z archive"),
    (257, b"ustar", "a tar archive, perhaps an OVA or XVA"),
)
# A VMDK descriptor's -flat.vmdk is raw.
_NAMED_FORMATS = (".qcow2", ".vmdk", ".vhd", ".vhdx")


@dataclass(frozen=True, slots=True)
class ImageFacts:
    """What a disk image is. Sizes in bytes; *note* is a sentence the user should see before importing, or empty.

    *problem* says why an image of our own repository cannot be read; it is empty for all that `inspect` returns.
    """

    format: ImageFormat
    virtual_size: int
    file_size: int
    note: str = ""
    problem: str = ""


def inspect(path: Path) -> ImageFacts:
    """Find out what the disk image *path* is and refuse what cannot be imported safely. Reads headers and tables only.

    :raise StorageError: missing, io, corrupt, or unsupported, with a sentence that says why and what to do.
    """
    with files.open_regular(path) as file:
        size = os.fstat(file.fileno()).st_size
        if size == 0:
            raise StorageError.corrupt(f"{path} is empty.")
        facts = _inspect(file, size)
    if facts.virtual_size == 0:
        raise StorageError.corrupt(f"{path} describes a disk of no size.")
    if facts.virtual_size > qcow2.MAX_VIRTUAL_SIZE:
        raise StorageError.unsupported(f"{path} describes a disk of more than 64 TiB, which is too large.")
    return facts


def _inspect(file: BinaryIO, size: int) -> ImageFacts:
    head = files.read_at(file, 0, _HEAD)
    tail = files.read_at(file, max(0, size - vhd.FOOTER_SIZE), vhd.FOOTER_SIZE)
    if head.startswith(qcow2.MAGIC):
        return _inspect_qcow2(file)
    if head.startswith(vmdk.MAGIC):
        return ImageFacts("vmdk", vmdk.virtual_size(file, size), size)
    if head.lstrip().startswith(vmdk.TEXT_MAGIC):
        raise vmdk.refuse_descriptor(file.name)
    if head.startswith(vhdx.MAGIC):
        return _whole_sectors("vhdx", file, vhdx.virtual_size(file, size), size)
    if head.startswith(vhd.COOKIE) or tail.startswith(vhd.COOKIE):
        return _whole_sectors("vpc", file, vhd.virtual_size(file, size), size)
    _refuse_foreign(file.name, head)
    _refuse_lost_format(file.name)
    return _raw(size)


def _whole_sectors(image_format: ImageFormat, file: BinaryIO, virtual_size: int, size: int) -> ImageFacts:
    if virtual_size % SECTOR:
        raise StorageError.corrupt(f"{file.name} is damaged: its virtual size is not a whole number of sectors.")
    return ImageFacts(image_format, virtual_size, size)


def _inspect_qcow2(file: BinaryIO) -> ImageFacts:
    header = qcow2.read_open_header(file)
    name = file.name
    refusals = (
        (
            header.backing_file is not None,
            f"{name} is an overlay that needs its parent {header.backing_file!r}. "
            "Flatten it first: qemu-img convert -f qcow2 -O qcow2 SOURCE TARGET.",
        ),
        (header.data_file or header.data_file_name is not None, f"{name} keeps its data in another file."),
        (header.encrypted, f"{name} is encrypted. Decrypt it first."),
        (
            bool(header.unknown_features),
            f"{name} uses features that are not known: {', '.join(header.unknown_features)}.",
        ),
        (
            header.dirty,
            f"{name} was not closed cleanly: its VM is running or has crashed. "
            "Shut it down, or repair the image: qemu-img check -r all FILE.",
        ),
    )
    for refused, sentence in refusals:
        if refused:
            raise StorageError.unsupported(sentence)
    if header.corrupt:
        raise StorageError.corrupt(f"{name} is marked as damaged. Repair it first: qemu-img check -r all FILE.")
    qcow2.check_open_mappings(file, header)
    note = "Only its present state is imported, not the snapshots inside it." if header.snapshot_count else ""
    facts = _whole_sectors("qcow2", file, header.virtual_size, header.file_size)
    return ImageFacts(facts.format, facts.virtual_size, facts.file_size, note)


def _refuse_foreign(name: str, head: bytes) -> None:
    for offset, magic, what in _FOREIGN:
        if head.startswith(magic, offset):
            raise StorageError.unsupported(f"{name} is {what}, which cannot be imported. Convert it to qcow2 first.")
    for offset, magic, what in _PACKED:
        if head.startswith(magic, offset):
            raise StorageError.unsupported(f"{name} is {what}, not a disk image. Unpack it first.")


def _refuse_lost_format(name: str) -> None:
    """A fixed VHD without its end, for one, looks raw; its name tells that it is not."""
    path = Path(name)
    if path.suffix.lower() in _NAMED_FORMATS and not path.stem.lower().endswith("-flat"):
        raise StorageError.corrupt(f"{name} is damaged or cut short: its content is not what its name says.")


def _raw(size: int) -> ImageFacts:
    virtual_size = -(-size // SECTOR) * SECTOR
    note = ""
    if virtual_size != size:
        note = f"Its size is not a whole number of sectors; {virtual_size - size} zero bytes are added at the end."
    return ImageFacts("raw", virtual_size, size, note)
