"""An ISO storage repository: a folder of install media."""

from __future__ import annotations

import contextlib
import stat
from dataclasses import dataclass
from pathlib import Path

from app.storage import files
from app.storage.errors import StorageError

_SUFFIX = ".iso"


@dataclass(frozen=True, slots=True)
class IsoImage:
    """One image: its *location*, which is its bare file name, and its *size* in bytes."""

    location: str
    size: int


class IsoRepository:
    """The ISO images of the folder *root*. Reads only."""

    def __init__(self, root: Path) -> None:
        self.root = root

    def list_images(self) -> list[IsoImage]:
        """All ``*.iso`` files and links to files directly in the folder, by name. Broken links are left out.

        :raise StorageError: missing or io, if the folder cannot be read.
        """
        try:
            paths = sorted(path for path in self.root.iterdir() if _is_location(path.name))
        except OSError as error:
            raise StorageError.from_os_error(error, "read the ISO folder", self.root) from error
        images = []
        for path in paths:
            with contextlib.suppress(OSError):
                status = path.stat()
                if stat.S_ISREG(status.st_mode):
                    images.append(IsoImage(path.name, status.st_size))
        return images

    def path(self, location: str) -> Path:
        """The file of the image *location*, checked to be there and readable.

        :raise StorageError: missing (also for anything that is not the bare name of an ISO file), io, unsupported.
        """
        if not _is_location(location):
            raise StorageError.missing(f"{location!r} is not the name of an ISO image.")
        path = self.root / location
        files.open_regular(path).close()
        return path


def _is_location(name: str) -> bool:
    bare = not any(character in name for character in "/\\:\0")
    return bare and not name.startswith(".") and name.lower().endswith(_SUFFIX)
