"""Merging two images of a chain, of which no guest uses either: the child's data moves down into its parent.

The child stays whole until the caller discards it, and it hides every place of the parent that is written. So the disk
shows the same at each moment, wherever a kill falls, and the whole can be done again.
"""

from __future__ import annotations

import asyncio
import os

from app import crash_points
from app.storage import allocation, files, qcow2, qemu_img
from app.storage.errors import StorageError
from app.storage.file_repository import FileRepository
from app.storage.qemu_img import Progress


async def commit(
    repository: FileRepository,
    child_id: str,
    *,
    speed: int = 0,
    progress: Progress | None = None,
    cancel: asyncio.Event | None = None,
) -> None:
    """Copy what *child_id* holds into its parent; durable and proven on return. The child stays as it is.

    :param speed: bytes a second at most; 0 is as fast as it goes.
    :raise StorageError: as `qemu_img.run`; io, if data did not arrive.
    """
    parent_id = repository.parent(child_id)
    if parent_id is None:
        raise StorageError.missing(f"{repository.image_path(child_id)} has no parent to be merged into.")
    # -d: otherwise the child would be emptied, after the parent's data left QEMU and before it is known to be safe.
    limit = ["-r", str(speed)] if speed else []
    arguments = ["commit", "-p", "-d", "-f", "qcow2", *limit, str(repository.image_path(child_id))]
    await qemu_img.run(arguments, progress=progress, cancel=cancel)
    crash_points.reach("storage.merge_copied")
    await asyncio.to_thread(prove, repository, parent_id, child_id)


def prove(repository: FileRepository, target_id: str, source_id: str) -> None:
    """Return when all that *source_id* holds is on the disk in *target_id* too. Takes a moment: call it in a thread.

    :raise StorageError: io, if something is lacking; as `allocation.lacking`.
    """
    target = repository.image_path(target_id)
    try:
        files.sync_file(target)
    except OSError as error:
        raise StorageError.from_os_error(error, "sync", target) from error
    lacking = allocation.lacking(target, repository.image_path(source_id))
    if lacking:
        raise StorageError.io(f"{target} lacks {lacking} bytes of what was to be merged into it.")


def secure_header(repository: FileRepository, image_id: str) -> None:
    """Make sure that the header of an image can be written anew: its cluster has a place on the disk afterwards.

    QEMU writes a header as a whole cluster, of which ours fill a small part. When a commit's last step fails to, QEMU
    7.2 ends with an assertion, and the guest with it; so that step is not begun on a full disk.

    :raise StorageError: no_space, missing, io.
    """
    path = repository.image_path(image_id)
    size = repository.header(image_id).cluster_size
    try:
        with path.open("r+b") as file:
            if hasattr(os, "posix_fallocate"):
                os.posix_fallocate(file.fileno(), 0, size)
    except OSError as error:
        raise StorageError.from_os_error(error, "set space aside for the header of", path) from error


def expect_parent(repository: FileRepository, image_id: str, parent_id: str) -> None:
    """Return when the header of an image is on the disk and names *parent_id* ("": none). To be called in a thread.

    :raise StorageError: io, if it names another; as `FileRepository.header`.
    """
    path = repository.image_path(image_id)
    try:
        files.sync_file(path)
    except OSError as error:
        raise StorageError.from_os_error(error, "sync", path) from error
    found = repository.parent(image_id) or ""
    if found != parent_id:
        raise StorageError.io(f"{path} names the parent {found or 'none'}, not {parent_id or 'none'}.")


def protect(repository: FileRepository, image_id: str) -> None:
    """Make an image read-only again after a merge that was broken off. Not synced: nothing in it that counts is new.

    :raise StorageError: missing, io.
    """
    path = repository.image_path(image_id)
    try:
        path.chmod(0o444)
    except OSError as error:
        raise StorageError.from_os_error(error, "change the mode of", path) from error


async def set_parent(repository: FileRepository, image_id: str, parent_id: str) -> None:
    """Let the header of an image that nobody has open name *parent_id*. Does nothing if it does already.

    The content is the caller's business: both parents must show the same where the image holds nothing.

    :raise StorageError: as `FileRepository.header`; io, no_space, tool.
    """
    if repository.parent(image_id) == parent_id:
        return
    path, name = repository.image_path(image_id), repository.image_path(parent_id).name
    frozen = repository.is_frozen(image_id)
    if frozen:
        repository.thaw(image_id)
    try:
        if not await asyncio.to_thread(qcow2.rename_parent, path, name):
            # It names none, because QEMU made a base of it: the header has to be laid out anew.
            await qemu_img.run(["rebase", "-u", "-f", "qcow2", "-F", "qcow2", "-b", name, str(path)])
            await asyncio.to_thread(files.sync_file, path)
    except OSError as error:
        raise StorageError.from_os_error(error, "change the parent of", path) from error
    finally:
        if frozen:
            repository.freeze(image_id)
    crash_points.reach("storage.parent_set")
