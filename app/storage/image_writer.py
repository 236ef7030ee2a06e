"""Writing a new qcow2 image from a stream of a disk's content, in one pass and with little memory.

Data and second-level tables are appended as they come; the first-level table, the reference counts and at last the
header follow. So the file is an image only when it is whole. The format: QEMU's docs/interop/qcow2.txt.
"""

from __future__ import annotations

import struct
from collections.abc import Iterator
from contextlib import closing, contextmanager
from pathlib import Path
from typing import BinaryIO, Final

from app import crash_points
from app.background_sync import BackgroundSync
from app.storage import files, qcow2
from app.storage.errors import StorageError

_BITS: Final = qcow2.CLUSTER_BITS
_CLUSTER: Final = 1 << _BITS
_REACH_BITS: Final = 2 * _BITS - 4
_COPIED: Final = 1 << 63
_ALL_SUBCLUSTERS: Final = 0xFFFF_FFFF
_ENTRY: Final = struct.Struct(">QQ")
_ZEROS: Final = bytes(_CLUSTER)
_PEEK: Final = 64
_COUNTS_IN_BLOCK: Final = _CLUSTER // 2

Data = bytes | bytearray | memoryview


class ImageWriter:
    """Fills an empty file. `write` in order of offsets, then `finish`."""

    def __init__(self, file: BinaryIO, virtual_size: int) -> None:
        """`virtual_size` in bytes. :raise StorageError: unsupported: no image can be of that size."""
        qcow2.check_size(virtual_size)
        self._file = file
        self._size = virtual_size
        self._clusters = 1
        self._l1 = [0] * -(-virtual_size >> _REACH_BITS)
        self._region = -1
        self._table = bytearray(_CLUSTER)
        self._partial: bytearray | None = None
        self._partial_at = 0
        self._sync = BackgroundSync(file.fileno())
        file.seek(_CLUSTER)

    def write(self, offset: int, data: Data) -> None:
        """What the disk holds at `offset`, which is never smaller than the end of the write before.

        :raise OSError: as the file system says.
        """
        view = memoryview(data)
        while len(view):
            start = offset & -_CLUSTER
            if self._partial is not None and self._partial_at != start:
                self._flush_partial()
            if self._partial is not None or offset != start or len(view) < _CLUSTER:
                taken = self._fill_partial(offset, start, view)
            else:
                taken = len(view) & -_CLUSTER
                self._append(start, view[:taken])
            view, offset = view[taken:], offset + taken

    def finish(self) -> None:
        """Complete the image; durable on return. :raise OSError: as the file system says."""
        self._flush_partial()
        self._flush_table()
        l1 = struct.pack(f">{len(self._l1)}Q", *self._l1)
        l1_at = self._append_whole(l1)
        counts_at, count_clusters = self._append_counts()
        self._file.truncate(self._clusters * _CLUSTER)
        self._file.flush()
        crash_points.reach("storage.image_streamed")
        self._file.seek(0)
        entries = len(self._l1)
        self._file.write(qcow2.header_bytes(self._size, l1_at, entries, counts_at, refcount_clusters=count_clusters))
        self._file.flush()
        crash_points.reach("storage.part_filled")
        self._sync.finish()

    def close(self) -> None:
        """Let go of the file."""
        self._sync.abandon()

    def _fill_partial(self, offset: int, start: int, view: memoryview) -> int:
        if self._partial is None:
            self._partial, self._partial_at = bytearray(_CLUSTER), start
        inside = offset - start
        taken = min(_CLUSTER - inside, len(view))
        self._partial[inside : inside + taken] = view[:taken]
        return taken

    def _flush_partial(self) -> None:
        partial, self._partial = self._partial, None
        if partial is not None:
            self._append(self._partial_at, memoryview(partial))

    def _append(self, start: int, view: memoryview) -> None:
        """Whole clusters; those of zeros only take no place. Neighbours are written together."""
        begun = 0
        for at in range(0, len(view), _CLUSTER):
            if _is_zero(view[at : at + _CLUSTER]):
                self._append_data(start + begun, view[begun:at])
                begun = at + _CLUSTER
        self._append_data(start + begun, view[begun:])

    def _append_data(self, start: int, view: memoryview) -> None:
        while len(view):
            region = start >> _REACH_BITS
            if region != self._region:
                self._flush_table()
                self._region = region
            within = start & ((1 << _REACH_BITS) - 1)
            taken = min(len(view), (1 << _REACH_BITS) - within)
            first = self._clusters
            self._file.write(view[:taken])
            self._sync.wrote(taken)
            self._clusters += taken >> _BITS
            for number in range(taken >> _BITS):
                host = (first + number) << _BITS | _COPIED
                _ENTRY.pack_into(self._table, ((within >> _BITS) + number) * _ENTRY.size, host, _ALL_SUBCLUSTERS)
            view, start = view[taken:], start + taken

    def _flush_table(self) -> None:
        if self._region >= 0:
            self._l1[self._region] = self._append_whole(self._table) | _COPIED
            self._table = bytearray(_CLUSTER)
            self._region = -1

    def _append_whole(self, content: Data) -> int:
        """Append clusters of our own bookkeeping; answer where they are."""
        place = self._clusters << _BITS
        self._file.seek(place)
        self._file.write(content)
        self._clusters += max(1, -(-len(content) >> _BITS))
        self._file.seek(self._clusters << _BITS)
        return place

    def _append_counts(self) -> tuple[int, int]:
        """Reference counts: each cluster has one. Answer where their table is, and of how many clusters."""
        blocks = table = 0
        while True:
            needed = -(-(self._clusters + blocks + table) // _COUNTS_IN_BLOCK)
            needed_table = -(-needed * 8 >> _BITS)
            if (needed, needed_table) == (blocks, table):
                break
            blocks, table = needed, needed_table
        total = self._clusters + blocks + table
        first = self._clusters << _BITS
        for number in range(blocks):
            counted = min(_COUNTS_IN_BLOCK, total - number * _COUNTS_IN_BLOCK)
            self._append_whole(b"\0\1" * counted)
        places = struct.pack(f">{blocks}Q", *(first + (number << _BITS) for number in range(blocks)))
        return self._append_whole(places), table


def _is_zero(cluster: memoryview) -> bool:
    return not any(cluster[:_PEEK]) and bytes(cluster) == _ZEROS


@contextmanager
def new_image(path: Path, virtual_size: int) -> Iterator[ImageWriter]:
    """A writer for the new image *path*. On leaving, the image is completed, synced and published, for a thread to do.

    If the body or anything after it fails, nothing is left.

    :raise StorageError: in_use (the name is taken), no_space, io, unsupported (the size).
    """
    part = files.part_path(path)
    if path.exists():
        raise StorageError.in_use(f"The disk image {path} exists already.")
    try:
        files.remove_quietly(part)
        with files.create_private(part) as file:
            crash_points.reach("storage.part_created")
            with closing(ImageWriter(file, virtual_size)) as writer:
                yield writer
                writer.finish()
        crash_points.reach("storage.part_synced")
        files.publish(part, path)
    except OSError as error:
        files.remove_quietly(part)
        raise StorageError.from_os_error(error, "write the disk image", path) from error
    except BaseException:
        files.remove_quietly(part)
        raise
