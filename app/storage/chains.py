"""Reading a folder of qcow2 images that name each other as parents."""

from __future__ import annotations

import contextlib
import logging
import os
import re
import time
import uuid
from pathlib import Path

from app.storage import qcow2
from app.storage.errors import StorageError
from app.storage.inspection import ImageFacts
from app.storage.qcow2 import Qcow2Header

log = logging.getLogger(__name__)

_ID = re.compile(r"[0-9a-f]{8}-[0-9a-f]{4}-4[0-9a-f]{3}-[89ab][0-9a-f]{3}-[0-9a-f]{12}")
_IMAGE_SUFFIX = ".qcow2"
_SETTLED_NS = 1_000_000_000
"""The age from which a file's time of change tells it from all later changes; file systems count in 4 ms or so."""


class ImageChains:
    """The images of one folder: their names, headers, chains and sizes. Changes nothing."""

    def __init__(self, folder: Path) -> None:
        self._images = folder
        self._read_before: dict[str, tuple[tuple[int, int, int], str | None]] = {}

    def new_id(self) -> str:
        """An id no image has."""
        return str(uuid.uuid4())

    def image_path(self, image_id: str) -> Path:
        """Where the disk image *image_id* is, or would be. :raise StorageError: missing, if that is no id."""
        return self._images / (checked(image_id) + _IMAGE_SUFFIX)

    def exists(self, image_id: str) -> bool:
        """Whether there is a disk image of this id."""
        return self.image_path(image_id).exists()

    def image_ids(self) -> list[str]:
        """The ids of all disk images. :raise StorageError: io."""
        return list(self._names())

    def _names(self) -> dict[str, str]:
        """By id the paths of all disk images, as text: with tens of thousands, making `Path`s takes longest."""
        try:
            with os.scandir(self._images) as entries:
                found = sorted((entry.name, entry.path) for entry in entries if entry.name.endswith(_IMAGE_SUFFIX))
        except OSError as error:
            raise StorageError.from_os_error(error, "read the storage folder", self._images) from error
        ids = ((name.removesuffix(_IMAGE_SUFFIX), path) for name, path in found)
        return {image_id: path for image_id, path in ids if _ID.fullmatch(image_id)}

    def is_frozen(self, image_id: str) -> bool:
        """Whether nobody may write to the image. :raise StorageError: missing, io."""
        return not self._status(image_id).st_mode & 0o222

    # Chains

    def header(self, image_id: str) -> Qcow2Header:
        """What the header says. :raise StorageError: as `qcow2.read_header`."""
        return qcow2.read_header(self.image_path(image_id))

    def parent(self, image_id: str) -> str | None:
        """The id of the image below, or None for a base.

        :raise StorageError: as `header`; corrupt if the parent is not an image of this repository.
        """
        return self._parent_in(self.header(image_id), image_id)

    def _parent_in(self, header: Qcow2Header, image_id: str) -> str | None:
        name = header.backing_file
        if name is None:
            return None
        parent_id = name.removesuffix(_IMAGE_SUFFIX)
        if not name.endswith(_IMAGE_SUFFIX) or not _ID.fullmatch(parent_id):
            path = self.image_path(image_id)
            raise StorageError.corrupt(f"{path} names the parent {name!r}, which is not an image of this storage.")
        return parent_id

    def chain(self, image_id: str) -> tuple[str, ...]:
        """The image and all below it, leaf first.

        :raise StorageError: missing (an image of the chain, named), corrupt (a loop, a damaged header), io.
        """
        return tuple(link_id for link_id, _ in self._links(image_id))

    def _links(self, image_id: str) -> list[tuple[str, Qcow2Header]]:
        links: dict[str, Qcow2Header] = {}
        child: str | None = None
        following: str | None = image_id
        while following is not None:
            if following in links:
                raise StorageError.corrupt(f"The chain of {self.image_path(image_id)} goes round in a circle.")
            links[following] = header = self._header_below(child, following)
            child, following = following, self._parent_in(header, following)
        return list(links.items())

    def _header_below(self, child: str | None, image_id: str) -> Qcow2Header:
        path = self.image_path(image_id)
        if child is not None and not path.exists():
            raise StorageError.missing(f"The disk image {path}, parent of {child}, is missing.")
        return self.header(image_id)

    def depth(self, image_id: str) -> int:
        """How many images the chain has; 1 for a base. :raise StorageError: as `chain`."""
        return len(self._links(image_id))

    def children_map(self) -> dict[str, frozenset[str]]:
        """For every image of the repository, those directly on it. Unreadable images count as having no parent.

        :raise StorageError: io, if the folder cannot be read.
        """
        names = self._names()
        children: dict[str, list[str]] = {}
        for image_id, path in names.items():
            try:
                parent_id = self._known_parent(image_id, _status(path))
            except StorageError as error:
                log.warning("Storage %s: %s", self._images, error.message)
                continue
            if parent_id is not None:
                children.setdefault(parent_id, []).append(image_id)
        for gone in self._read_before.keys() - names.keys():
            self._read_before.pop(gone, None)
        return {image_id: frozenset(children.get(image_id, ())) for image_id in names}

    def known_parent(self, image_id: str) -> str | None:
        """As `parent`, but the header is only read if the file has changed since: for looking at very many images.

        :raise StorageError: as `parent`.
        """
        return self._known_parent(image_id, self._status(image_id))

    def _known_parent(self, image_id: str, status: os.stat_result) -> str | None:
        signature = (status.st_ino, status.st_ctime_ns, status.st_size)
        before = self._read_before.get(image_id)
        if before is not None and before[0] == signature:
            return before[1]
        parent_id = self.parent(image_id)
        # A change just now may be followed by another that the file system's clock cannot tell from it.
        if time.time_ns() - status.st_ctime_ns > _SETTLED_NS:
            self._read_before[image_id] = (signature, parent_id)
        return parent_id

    def verify(self, image_id: str) -> None:
        """Check that the whole chain can be read and is of the kind we make; to be called before a VM starts.

        Reads headers and first-level tables only, so data damaged in place is not found.

        :raise StorageError: missing, io, corrupt, unsupported; the sentence names the file.
        """
        for link_id, header in self._links(image_id):
            path = self.image_path(link_id)
            if header.corrupt:
                raise StorageError.corrupt(f"{path} is marked as damaged.")
            if header.encrypted or header.data_file or header.data_file_name is not None or header.unknown_features:
                raise StorageError.unsupported(f"{path} uses features of qcow2 that are not supported here.")
            if header.backing_file is not None and header.backing_format != "qcow2":
                raise StorageError.corrupt(f"{path} names its parent without the format qcow2.")
            if header.virtual_size == 0:
                raise StorageError.corrupt(f"{path} describes a disk of no size.")
            qcow2.check_mappings(path)

    def virtual_size(self, image_id: str) -> int:
        """The size of the disk as a guest sees it, in bytes. :raise StorageError: as `header`."""
        return self.header(image_id).virtual_size

    def physical_utilisation(self, image_id: str) -> int:
        """What this image alone takes on the file system, in bytes. :raise StorageError: missing, io."""
        return allocated(self._status(image_id))

    def _status(self, image_id: str) -> os.stat_result:
        return _status(self.image_path(image_id))

    def scan(self) -> dict[str, ImageFacts]:
        """Facts about every disk image; for one that cannot be read, its `ImageFacts.problem`.

        :raise StorageError: io, if the folder cannot be read.
        """
        return {image_id: self._facts(image_id) for image_id in self.image_ids()}

    def _facts(self, image_id: str) -> ImageFacts:
        try:
            header = self.header(image_id)
        except StorageError as error:
            size = 0
            with contextlib.suppress(OSError):
                size = self.image_path(image_id).stat().st_size
            return ImageFacts("qcow2", 0, size, problem=error.message)
        return ImageFacts("qcow2", header.virtual_size, header.file_size)


def _status(path: str | Path) -> os.stat_result:
    try:
        return os.stat(path)  # noqa: PTH116 - a Path of each would take three times as long
    except OSError as error:
        raise StorageError.from_os_error(error, "read the disk image", Path(path)) from error


def checked(image_id: str) -> str:
    """*image_id* itself. :raise StorageError: missing, if it is not the id of an image."""
    if not _ID.fullmatch(image_id):
        raise StorageError.missing(f"{image_id!r} is not the id of an image.")
    return image_id


def allocated(status: os.stat_result) -> int:
    """What a file takes on the file system, in bytes."""
    blocks: int | None = getattr(status, "st_blocks", None)  # absent on Windows
    return status.st_size if blocks is None else blocks * 512
