"""Reading and writing qcow2 headers ourselves.

Facts about the format come from QEMU's specification, docs/interop/qcow2.txt ("Header", "Header extensions",
"Host cluster management"). All numbers in a qcow2 file are big endian.
"""

from __future__ import annotations

import os
import struct
from dataclasses import dataclass
from pathlib import Path
from typing import BinaryIO

from app import crash_points
from app.storage import files
from app.storage.errors import StorageError

MAGIC = b"QFI\xfb"
SECTOR = 512
MAX_VIRTUAL_SIZE = 64 << 40
CLUSTER_BITS = 17
"""What we write: 128 KiB clusters, which with extended L2 entries are handed out in pieces of 4 KiB."""

_CLUSTER = 1 << CLUSTER_BITS
_MAX_BACKING_NAME = 1023
_MAX_L1_BYTES = 32 << 20
_V2 = struct.Struct(">4sIQIIQIIQQIIQ")
_V3_TAIL = struct.Struct(">QQQII")
_V3_LENGTH = slice(100, 104)
_BACKING_NAME = struct.Struct(">8xQI")
_USUAL_HEADER = 4096
_EXTENSION = struct.Struct(">II")
_FEATURE = struct.Struct(">BB46s")

_END = 0
_BACKING_FORMAT = 0xE2792ACA
_FEATURE_NAMES = 0x6803F857
_DATA_FILE_NAME = 0x44415441

_DIRTY = 1 << 0
_CORRUPT = 1 << 1
_DATA_FILE = 1 << 2
_EXTENDED_L2 = 1 << 4
_KNOWN_BITS = 5
_OFFSET_MASK = 0x00FF_FFFF_FFFF_FE00


@dataclass(frozen=True, slots=True)
class Qcow2Header:
    """What the header of a qcow2 file says. Sizes in bytes. The features are told, not judged."""

    version: int
    virtual_size: int
    file_size: int
    cluster_bits: int
    backing_file: str | None
    backing_format: str | None
    data_file: bool
    data_file_name: str | None
    dirty: bool
    corrupt: bool
    extended_l2: bool
    encrypted: bool
    snapshot_count: int
    unknown_features: tuple[str, ...]
    l1_offset: int
    l1_entries: int

    @property
    def cluster_size(self) -> int:
        return 1 << self.cluster_bits


def read_header(path: Path) -> Qcow2Header:
    """Read the header of the qcow2 file *path*, versions 2 and 3.

    :raise StorageError: missing, io, corrupt (not qcow2, cut short or contradictory) or unsupported (another version).
    """
    with files.open_regular(path) as file:
        return read_open_header(file)


def read_open_header(file: BinaryIO) -> Qcow2Header:
    """As `read_header`, for a file that is open already."""
    file_size = os.fstat(file.fileno()).st_size
    fixed = files.read_at(file, 0, _V2.size + _V3_TAIL.size)
    if len(fixed) < _V2.size or not fixed.startswith(MAGIC):
        raise StorageError.corrupt(f"{file.name} is not a qcow2 image, or it is cut short.")
    cluster_bits = int.from_bytes(fixed[20:24])
    if not 9 <= cluster_bits <= 21:
        raise StorageError.corrupt(f"{file.name} is damaged: a cluster size of 2^{cluster_bits} cannot be.")
    header = files.read_at(file, 0, _header_reach(fixed, 1 << cluster_bits))
    return _Parser(file.name, header, file_size).parse()


def _header_reach(fixed: bytes, cluster: int) -> int:
    """How much of the first cluster the header can take: usually little, and chains have many headers to read.

    Extensions end where the parent's name begins; a header without one, or an odd one, may take the whole cluster.
    """
    name_offset, name_length = _BACKING_NAME.unpack_from(fixed)
    start = int.from_bytes(fixed[_V3_LENGTH]) if int.from_bytes(fixed[4:8]) >= 3 else _V2.size
    usual = start <= name_offset and name_offset + name_length <= _USUAL_HEADER
    return min(cluster, _USUAL_HEADER) if usual else cluster


class _Parser:
    """Takes the first cluster of a file apart, trusting nothing in it."""

    def __init__(self, name: str, data: bytes, file_size: int) -> None:
        self.name = name
        self.data = data
        self.file_size = file_size

    def damaged(self, reason: str) -> StorageError:
        return StorageError.corrupt(f"{self.name} is damaged: {reason}.")

    def parse(self) -> Qcow2Header:
        _, version, name_offset, name_length, cluster_bits, size, crypt, *tables = _V2.unpack_from(self.data)
        l1_entries, l1_offset, refcounts, _, snapshots, _ = tables
        if version not in (2, 3):
            raise StorageError.unsupported(f"{self.name} is a qcow image of version {version}; 2 and 3 are read.")
        features, length = self._version_3_fields() if version == 3 else (0, _V2.size)
        extensions = self._extensions(length, name_offset)
        self._check_tables(size, cluster_bits, l1_entries, l1_offset, refcounts, bool(features & _EXTENDED_L2))
        return Qcow2Header(
            version=version,
            virtual_size=size,
            file_size=self.file_size,
            cluster_bits=cluster_bits,
            backing_file=self._backing_file(name_offset, name_length),
            backing_format=_text(extensions.get(_BACKING_FORMAT)),
            data_file=bool(features & _DATA_FILE),
            data_file_name=_text(extensions.get(_DATA_FILE_NAME)),
            dirty=bool(features & _DIRTY),
            corrupt=bool(features & _CORRUPT),
            extended_l2=bool(features & _EXTENDED_L2),
            encrypted=crypt != 0,
            snapshot_count=snapshots,
            unknown_features=_unknown_features(features, extensions.get(_FEATURE_NAMES, b"")),
            l1_offset=l1_offset,
            l1_entries=l1_entries,
        )

    def _version_3_fields(self) -> tuple[int, int]:
        """Incompatible feature bits and header length."""
        if len(self.data) < _V2.size + _V3_TAIL.size:
            raise self.damaged("the header is cut short")
        incompatible, _, _, refcount_order, length = _V3_TAIL.unpack_from(self.data, _V2.size)
        if refcount_order > 6:
            raise self.damaged("its reference counts have an impossible width")
        if not _V2.size + _V3_TAIL.size <= length <= len(self.data) or length % 8:
            raise self.damaged("the header has an impossible length")
        return incompatible, length

    def _extensions(self, start: int, name_offset: int) -> dict[int, bytes]:
        end = name_offset if start <= name_offset <= len(self.data) else len(self.data)
        found: dict[int, bytes] = {}
        position = start
        while position + _EXTENSION.size <= end:
            kind, length = _EXTENSION.unpack_from(self.data, position)
            position += _EXTENSION.size
            if kind == _END:
                break
            if length > end - position:
                raise self.damaged("a header extension does not fit")
            found[kind] = self.data[position : position + length]
            position += (length + 7) & ~7
        return found

    def _backing_file(self, offset: int, length: int) -> str | None:
        if offset == 0:
            return None
        if length > _MAX_BACKING_NAME or offset + length > len(self.data):
            raise self.damaged("the name of its parent does not fit")
        return _text(self.data[offset : offset + length])

    def _check_tables(
        self, size: int, cluster_bits: int, l1_entries: int, l1_offset: int, refcounts: int, extended_l2: bool
    ) -> None:
        if size >= 1 << 63:
            raise self.damaged("its virtual size is impossible")
        if extended_l2 and cluster_bits < 14:
            raise self.damaged("its clusters are too small for extended L2 entries")
        entries_bits = cluster_bits - (4 if extended_l2 else 3)
        needed = -(-size >> (cluster_bits + entries_bits)) if size else 0
        if l1_entries < needed or l1_entries * 8 > _MAX_L1_BYTES:
            raise self.damaged("its L1 table does not fit its virtual size")
        if l1_offset % (1 << cluster_bits) or refcounts % (1 << cluster_bits) or refcounts == 0:
            raise self.damaged("a table is not where it can be")
        if l1_entries and not 0 < l1_offset <= self.file_size - l1_entries * 8:
            raise self.damaged("its L1 table lies outside the file, which may be cut short")
        if refcounts >= self.file_size:
            raise self.damaged("its reference counts lie outside the file, which may be cut short")


def _text(data: bytes | None) -> str | None:
    return None if data is None else os.fsdecode(data)


def _unknown_features(incompatible: int, table: bytes) -> tuple[str, ...]:
    names: dict[int, str] = {}
    for position in range(0, len(table) - _FEATURE.size + 1, _FEATURE.size):
        kind, bit, name = _FEATURE.unpack_from(table, position)
        if kind == 0:
            names[bit] = name.split(b"\0")[0].decode("ascii", "replace")
    unknown = (bit for bit in range(_KNOWN_BITS, 64) if incompatible >> bit & 1)
    return tuple(names.get(bit) or f"feature bit {bit}" for bit in unknown)


def is_empty(path: Path) -> bool:
    """True if no guest data was ever written to this very file: not one L1 entry points anywhere.

    :raise StorageError: as `read_header`.
    """
    with files.open_regular(path) as file:
        header = read_open_header(file)
        return not any(files.read_at(file, header.l1_offset, header.l1_entries * 8))


def check_mappings(path: Path) -> None:
    """Check that no L1 entry of *path* points outside the file: finds most files that were cut short, and quickly.

    :raise StorageError: as `read_header`; corrupt if an entry points outside.
    """
    with files.open_regular(path) as file:
        check_open_mappings(file, read_open_header(file))


def check_open_mappings(file: BinaryIO, header: Qcow2Header) -> None:
    """As `check_mappings`, for a file that is open already."""
    table = files.read_at(file, header.l1_offset, header.l1_entries * 8)
    last = max((entry & _OFFSET_MASK for (entry,) in struct.iter_unpack(">Q", table[: len(table) & ~7])), default=0)
    if last >= header.file_size:
        raise StorageError.corrupt(f"{file.name} is damaged: a table lies outside the file, which may be cut short.")


def rename_parent(path: Path, name: str) -> bool:
    """Let the header name another parent, in place: one small write that no kill can tear. Durable on return.

    What the file shows is the caller's business. False, and nothing is changed, if the name is not as long as the one
    that stands there.

    :raise StorageError: as `read_header`; io.
    """
    try:
        with path.open("r+b", buffering=0) as file:
            if read_open_header(file).backing_file is None:
                return False
            offset, length = _BACKING_NAME.unpack_from(files.read_at(file, 0, _V2.size))
            data = os.fsencode(name)
            if len(data) != length:
                return False
            os.pwrite(file.fileno(), data, offset)
            os.fsync(file.fileno())
    except OSError as error:
        raise StorageError.from_os_error(error, "change the parent of", path) from error
    return True


def write_image(
    path: Path,
    *,
    virtual_size: int,
    backing_file: str | None = None,
    backing_format: str = "qcow2",
    sync_folder: bool = True,
) -> None:
    """Create *path*, an empty qcow2 image of *virtual_size* bytes, readable as all zeros or as its backing file.

    Version 3, 128 KiB clusters, extended L2 entries (QEMU 5.2 and later), mode 0600. *backing_file* is the bare name of
    a file in the same folder, so that a repository can be moved. The name appears only when the file is whole; durable
    on return, unless the caller syncs the folder itself after writing several.

    :raise StorageError: no_space, io, in_use (the name is taken), unsupported (size or backing name).
    """
    _check_request(virtual_size, backing_file)
    layout = _layout(virtual_size, backing_file, backing_format)
    part = files.part_path(path)
    try:
        files.remove_quietly(part)
        _write_part(part, layout)
        files.publish(part, path, sync=sync_folder)
    except FileExistsError:
        files.remove_quietly(part)
        raise StorageError.in_use(f"The disk image {path} exists already.") from None
    except OSError as error:
        files.remove_quietly(part)
        raise StorageError.from_os_error(error, "write the disk image", path) from error


def check_size(virtual_size: int) -> None:
    """:raise StorageError: unsupported: no image of ours can have this size."""
    if not 0 < virtual_size <= MAX_VIRTUAL_SIZE or virtual_size % SECTOR:
        raise StorageError.unsupported(
            f"A disk of {virtual_size} bytes cannot be made: it must be a multiple of 512 bytes, at most 64 TiB."
        )


def _check_request(virtual_size: int, backing_file: str | None) -> None:
    check_size(virtual_size)
    if backing_file is None:
        return
    if backing_file in ("", ".", "..") or "/" in backing_file or "\\" in backing_file or ":" in backing_file:
        raise StorageError.unsupported(f"{backing_file!r} cannot be a parent: it must be a file in the same folder.")
    if len(os.fsencode(backing_file)) > _MAX_BACKING_NAME:
        raise StorageError.unsupported("The name of the parent image is too long.")


def header_bytes(
    virtual_size: int, l1_offset: int, l1_entries: int, refcount_offset: int, *, refcount_clusters: int = 1
) -> bytes:
    """The header of an image without a parent, of the kind that `write_image` makes. Offsets in bytes."""
    extensions = _extension(_FEATURE_NAMES, _FEATURE.pack(0, 4, b"extended L2 entries")) + _EXTENSION.pack(_END, 0)
    length = _V2.size + _V3_TAIL.size + 8
    places = (l1_entries, l1_offset, refcount_offset, refcount_clusters, 0, 0)
    fixed = _V2.pack(MAGIC, 3, 0, 0, CLUSTER_BITS, virtual_size, 0, *places)
    return fixed + _V3_TAIL.pack(_EXTENDED_L2, 0, 0, 4, length) + bytes(8) + extensions


@dataclass(frozen=True, slots=True)
class _Layout:
    """An empty image: header, refcount table, one refcount block, then an L1 table of zeros up to *file_size*."""

    header: bytes
    refcount_table: bytes
    refcount_block: bytes
    file_size: int


def _layout(virtual_size: int, backing_file: str | None, backing_format: str) -> _Layout:
    name = os.fsencode(backing_file or "")
    extensions = b""
    if backing_file is not None:
        extensions += _extension(_BACKING_FORMAT, backing_format.encode("ascii"))
    # Names the one feature an older QEMU may not know, so that its refusal is readable.
    extensions += _extension(_FEATURE_NAMES, _FEATURE.pack(0, 4, b"extended L2 entries")) + _EXTENSION.pack(_END, 0)
    length = _V2.size + _V3_TAIL.size + 8
    name_offset = length + len(extensions) if name else 0
    l1_entries = -(-virtual_size >> (CLUSTER_BITS + CLUSTER_BITS - 4))
    clusters = 3 + -(-l1_entries * 8 >> CLUSTER_BITS)
    numbers = (3, name_offset, len(name), CLUSTER_BITS, virtual_size, 0, l1_entries, 3 * _CLUSTER, _CLUSTER, 1, 0, 0)
    return _Layout(
        header=_V2.pack(MAGIC, *numbers) + _V3_TAIL.pack(_EXTENDED_L2, 0, 0, 4, length) + bytes(8) + extensions + name,
        refcount_table=struct.pack(">Q", 2 * _CLUSTER),
        refcount_block=struct.pack(">H", 1) * clusters,
        file_size=clusters * _CLUSTER,
    )


def _extension(kind: int, data: bytes) -> bytes:
    return _EXTENSION.pack(kind, len(data)) + data + bytes(-len(data) % 8)


def _write_part(part: Path, layout: _Layout) -> None:
    with files.create_private(part) as file:
        file.truncate(layout.file_size)
        file.seek(_CLUSTER)
        file.write(layout.refcount_table)
        file.seek(2 * _CLUSTER)
        file.write(layout.refcount_block)
        file.seek(len(MAGIC))
        file.write(layout.header[len(MAGIC) :])
        file.flush()
        crash_points.reach("storage.image_body_written")
        file.seek(0)
        file.write(MAGIC)
        file.flush()
        os.fsync(file.fileno())
    crash_points.reach("storage.image_written")
