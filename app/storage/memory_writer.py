"""Writing a memory image that comes as a stream."""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import BinaryIO

from app import crash_points
from app.storage import files
from app.storage.errors import StorageError

_FROZEN = 0o444


class MemoryWriter:
    """Fills an empty file in order."""

    def __init__(self, file: BinaryIO) -> None:
        self._file = file

    def write(self, offset: int, data: bytes | bytearray | memoryview) -> None:
        """What the image holds at `offset`. :raise OSError: as the file system says."""
        self._file.seek(offset)
        self._file.write(data)


@contextmanager
def new_memory_image(path: Path, near: Path) -> Iterator[MemoryWriter]:
    """A writer for the new memory image *path*. On leaving it is synced, frozen and published, for a thread to do.

    It grows beside *near*, among the disk images: what is unfinished there is removed when the repository is opened,
    while an unfinished memory image in its own folder may be one that a guest is still writing.

    :raise StorageError: in_use, no_space, io; nothing is left then.
    """
    part = files.part_path(near)
    try:
        files.remove_quietly(part)
        with files.create_private(part) as file:
            yield MemoryWriter(file)
            file.flush()
            os.fsync(file.fileno())
        part.chmod(_FROZEN)
        crash_points.reach("storage.memory_streamed")
        files.publish(part, path)
    except OSError as error:
        files.remove_quietly(part)
        raise StorageError.from_os_error(error, "write the memory image", path) from error
    except BaseException:
        files.remove_quietly(part)
        raise
