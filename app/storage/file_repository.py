"""A file storage repository: a folder of qcow2 images and memory images with names that never change.

::

    img/<id>.qcow2   a disk image: a base, or an overlay that names its parent, <id>.qcow2 in the same folder
    mem/<id>.ram     the memory of a checkpoint or of a suspended VM
    trash/           images on their way out
    */.*.part        images being made; whole files have their name, and only whole files

File names carry no roles: who is active, frozen or hidden is known from the headers and to the caller.
"""

from __future__ import annotations

import asyncio
import contextlib
import errno
import os
import shutil
from collections.abc import Iterable, Mapping, Sequence, Set
from dataclasses import dataclass
from pathlib import Path

from app import crash_points
from app.storage import files, image_build, inspection, qcow2, qemu_img
from app.storage.chains import ImageChains, allocated, checked
from app.storage.errors import StorageError
from app.storage.inspection import ImageFormat
from app.storage.qemu_img import Progress

_MEMORY_SUFFIX = ".ram"
_FROZEN = 0o444
_ACTIVE = 0o600
_NO_LINKS = (errno.EPERM, errno.EMLINK, errno.EOPNOTSUPP, errno.ENOTSUP, errno.ENOSYS)


@dataclass(frozen=True, slots=True)
class SpaceUsage:
    """The file system under a repository, in bytes: its size, what is used of it by anyone, and what is free for us."""

    physical_size: int
    physical_utilisation: int
    free: int


class FileRepository(ImageChains):
    """The images under *root*. Call `open` first. One process at a time; methods are for one thread.

    Every method that changes something is durable when it returns, and changes nothing when it raises `StorageError`.
    """

    def __init__(self, root: Path) -> None:
        super().__init__(root / "img")
        self.root = root
        self._memory = root / "mem"
        self._trash = root / "trash"

    def open(self) -> None:
        """Create what is missing, private to us, and remove disk images whose making was interrupted.

        Unfinished memory images and the trash are left to the recovery: a guest may still be writing there.

        :raise StorageError: no_space, io, in_use.
        """
        if not self.root.exists():
            files.make_private_folder(self.root)
        for folder in (self._images, self._memory, self._trash):
            files.make_private_folder(folder)
        _remove_parts(self._images)

    def memory_path(self, image_id: str) -> Path:
        """Where the memory image *image_id* is, or would be. :raise StorageError: missing, if that is no id."""
        return self._memory / (checked(image_id) + _MEMORY_SUFFIX)

    def memory_part_path(self, image_id: str) -> Path:
        """Where a memory image is written until `publish_memory` gives it its name."""
        return files.part_path(self.memory_path(image_id))

    # Making and freezing

    def create(self, image_id: str, virtual_size: int) -> None:
        """Make an empty disk. :raise StorageError: no_space, io, in_use, unsupported (the size)."""
        qcow2.write_image(self.image_path(image_id), virtual_size=virtual_size)

    def create_overlay(self, image_id: str, parent_id: str) -> None:
        """Make an empty overlay on *parent_id*, of its size. :raise StorageError: as `create_overlays`."""
        self.create_overlays([(image_id, parent_id)])

    def create_overlays(self, pairs: Sequence[tuple[str, str]]) -> None:
        """Make an empty overlay for each pair (new id, parent id): all of them, or none.

        :raise StorageError: missing or corrupt (a parent), no_space, io, in_use.
        """
        sizes = [self.virtual_size(parent_id) for _, parent_id in pairs]
        made: list[Path] = []
        try:
            for (image_id, parent_id), size in zip(pairs, sizes, strict=True):
                path, parent = self.image_path(image_id), self.image_path(parent_id)
                qcow2.write_image(path, virtual_size=size, backing_file=parent.name, sync_folder=False)
                made.append(path)
                crash_points.reach("storage.overlay_written")
            files.sync_folder(self._images)
        except (StorageError, OSError) as error:
            for path in made:
                files.remove_quietly(path)
            if isinstance(error, OSError):
                raise StorageError.from_os_error(error, "write the overlays in", self._images) from error
            raise

    def freeze(self, image_id: str) -> None:
        """Make an image read-only and durable. May take long if much was written to it: call it in a thread then.

        :raise StorageError: missing, io.
        """
        self._set_mode(image_id, _FROZEN, "storage.image_frozen")

    def thaw(self, image_id: str) -> None:
        """Make a frozen image writable again. :raise StorageError: missing, io."""
        self._set_mode(image_id, _ACTIVE, "storage.image_thawed")

    def _set_mode(self, image_id: str, mode: int, crash_point: str) -> None:
        path = self.image_path(image_id)
        try:
            path.chmod(mode)
            files.sync_file(path)
            crash_points.reach(crash_point)
        except OSError as error:
            raise StorageError.from_os_error(error, "change the mode of", path) from error

    def is_unused_overlay(self, image_id: str) -> bool:
        """True of an overlay that was never written to: it shows what its parent holds, so it can go without loss.

        :raise StorageError: missing, corrupt, io.
        """
        path = self.image_path(image_id)
        return qcow2.read_header(path).backing_file is not None and qcow2.is_empty(path)

    # Space

    def memory_utilisation(self, image_id: str) -> int:
        """What this memory image takes on the file system, in bytes. :raise StorageError: missing, io."""
        path = self.memory_path(image_id)
        try:
            return allocated(path.stat())
        except OSError as error:
            raise StorageError.from_os_error(error, "read the memory image", path) from error

    def usage(self) -> SpaceUsage:
        """Space on the file system. :raise StorageError: missing, io."""
        try:
            usage = shutil.disk_usage(self.root)
        except OSError as error:
            raise StorageError.from_os_error(error, "read the free space of", self.root) from error
        return SpaceUsage(usage.total, usage.used, usage.free)

    def require_free(self, size: int) -> None:
        """Refuse early what cannot fit. :raise StorageError: no_space, if fewer than *size* bytes are free."""
        free = self.usage().free
        if size > free:
            raise StorageError.no_space(
                f"{self.root} has {_readable(free)} free; {_readable(size)} is needed. Free some space and try again."
            )

    # Leaving

    def discard(self, image_ids: Iterable[str]) -> None:
        """Remove disk and memory images: first to the trash, all of them, then for good. Absent ones are ignored.

        :raise StorageError: in_use, if an image that stays needs one of them (nothing is changed then); io.
        """
        doomed = {checked(image_id) for image_id in image_ids}
        children = self.children_map()
        for parent_id in sorted(doomed & children.keys()):
            staying = children[parent_id] - doomed
            if staying:
                child = self.image_path(min(staying))
                raise StorageError.in_use(f"{self.image_path(parent_id)} cannot be removed: {child} is based on it.")
        self._move_to_trash(_leaves_first(doomed, children))
        self.empty_trash()

    def _move_to_trash(self, image_ids: Iterable[str]) -> None:
        try:
            for image_id in image_ids:
                for path in (self.image_path(image_id), self.memory_path(image_id)):
                    with contextlib.suppress(FileNotFoundError):
                        path.replace(self._trash / path.name)
                        crash_points.reach("storage.image_trashed")
            for folder in (self._trash, self._images, self._memory):
                files.sync_folder(folder)
            crash_points.reach("storage.trash_synced")
        except OSError as error:
            raise StorageError.from_os_error(error, "move images to", self._trash) from error

    def empty_trash(self) -> None:
        """Remove for good what is in the trash. :raise StorageError: io."""
        try:
            for path in self._trash.iterdir():
                path.unlink(missing_ok=True)
                crash_points.reach("storage.trash_unlinked")
            files.sync_folder(self._trash)
        except OSError as error:
            raise StorageError.from_os_error(error, "empty", self._trash) from error

    # Memory images

    def publish_memory(self, image_id: str) -> None:
        """Sync the finished `memory_part_path` and give it its name. May take long: call it in a thread.

        :raise StorageError: missing, no_space, io, in_use.
        """
        part, path = self.memory_part_path(image_id), self.memory_path(image_id)
        try:
            part.chmod(_FROZEN)
            files.sync_file(part)
            crash_points.reach("storage.memory_synced")
            files.publish(part, path)
        except OSError as error:
            raise StorageError.from_os_error(error, "keep the memory image", path) from error

    def share_memory(self, source_id: str, target_id: str) -> None:
        """Make *target_id* an image of the same memory: a link, or a copy where the file system knows no links.

        A copy may take long: call it in a thread. Either can go without the other.

        :raise StorageError: missing, no_space, io, in_use.
        """
        source, target = self.memory_path(source_id), self.memory_path(target_id)
        try:
            try:
                os.link(source, target)
            except OSError as error:
                if error.errno not in _NO_LINKS:
                    raise
                shutil.copyfile(source, self.memory_part_path(target_id))
                self.publish_memory(target_id)
                return
            crash_points.reach("storage.memory_linked")
            files.sync_folder(self._memory)
        except FileExistsError as error:
            raise StorageError.from_os_error(error, "share the memory image", source) from error
        except OSError as error:
            files.remove_quietly(self.memory_part_path(target_id))
            files.remove_quietly(target)
            raise StorageError.from_os_error(error, "share the memory image", source) from error

    def remove_memory_part(self, image_id: str) -> None:
        """Remove what was written of a memory image whose saving is over, by whatever name it begins with.

        :raise StorageError: io.
        """
        part = self.memory_part_path(image_id)
        try:
            for path in self._memory.glob(f"{part.name}*"):
                path.unlink(missing_ok=True)
        except OSError as error:
            raise StorageError.from_os_error(error, "remove", part) from error

    def remove_memory_parts(self) -> None:
        """Remove memory images whose saving was interrupted; only when no guest can be writing one.

        :raise StorageError: io.
        """
        _remove_parts(self._memory)

    # Images that take a while

    async def import_image(
        self,
        source: Path,
        image_format: ImageFormat,
        image_id: str,
        *,
        progress: Progress | None = None,
        cancel: asyncio.Event | None = None,
    ) -> None:
        """Make a disk image of the content of *source*, a file from outside, which is not changed.

        It is inspected again, and must be of *image_format*. On failure or cancellation nothing is left.

        :raise StorageError: as `inspection.inspect`; unsupported, if the format is another; no_space; in_use; io;
            corrupt; tool; cancelled, if *cancel* was set.
        """
        facts = await asyncio.to_thread(inspection.inspect, source)
        if facts.format != image_format:
            raise StorageError.unsupported(f"{source} is a {facts.format} image, not {image_format}.")
        await image_build.check_outside(source, image_format, cancel=cancel)
        self.require_free(await qemu_img.measure(source, image_format))
        async with image_build.published(self.image_path(image_id)) as part:
            await image_build.convert_outside(source, facts, part, progress=progress, cancel=cancel)

    async def write_raw(self, image_id: str, data: bytes, virtual_size: int) -> None:
        """Make a disk image of *virtual_size* bytes that begins with *data* and is zero after it.

        :raise StorageError: unsupported (the size), no_space, io, in_use, tool.
        """
        if not 0 < virtual_size <= qcow2.MAX_VIRTUAL_SIZE or virtual_size % qcow2.SECTOR or len(data) > virtual_size:
            raise StorageError.unsupported(f"{len(data)} bytes cannot begin a disk of {virtual_size} bytes.")
        path = self.image_path(image_id)
        async with image_build.published(path) as part:
            await image_build.convert_bytes(data, virtual_size, part, files.part_path(path.with_suffix(".raw")))

    async def flatten(
        self,
        source_id: str,
        target_id: str,
        *,
        into: FileRepository | None = None,
        progress: Progress | None = None,
        cancel: asyncio.Event | None = None,
    ) -> None:
        """Make *target_id*, here or *into* another repository, a base with all that the chain of *source_id* shows.

        Nobody may write to the source meanwhile; others may read it.

        :raise StorageError: as `verify`; no_space, io, in_use, tool; cancelled, if *cancel* was set.
        """
        await asyncio.to_thread(self.verify, source_id)
        source, target = self.image_path(source_id), into or self
        target.require_free(await self.flat_size(source_id))
        async with image_build.published(target.image_path(target_id)) as part:
            await qemu_img.convert(source, "qcow2", part, progress=progress, cancel=cancel, follow_parent=True)
            image_build.expect_size(part, self.virtual_size(source_id))

    async def flat_size(self, source_id: str) -> int:
        """Bytes that `flatten` needs. :raise StorageError: missing, io, corrupt, tool."""
        return await qemu_img.measure(self.image_path(source_id), "qcow2", follow_parent=True)


def _leaves_first(image_ids: Set[str], children: Mapping[str, Set[str]]) -> list[str]:
    """So ordered that an image still there always has its parent, wherever the removal is interrupted."""
    ordered: list[str] = []
    remaining = set(image_ids)
    while remaining:
        leaves = {image_id for image_id in remaining if not remaining & children.get(image_id, frozenset())}
        leaves = leaves or set(remaining)  # images in a circle have no order
        ordered += sorted(leaves)
        remaining -= leaves
    return ordered


def _remove_parts(folder: Path) -> None:
    try:
        for path in folder.glob(f".*{files.PART_SUFFIX}"):
            path.unlink(missing_ok=True)
    except OSError as error:
        raise StorageError.from_os_error(error, "tidy up", folder) from error


def _readable(size: int) -> str:
    for unit, factor in (("GiB", 1 << 30), ("MiB", 1 << 20), ("KiB", 1 << 10)):
        if size >= factor:
            return f"{size / factor:.1f} {unit}"
    return f"{size} bytes"
