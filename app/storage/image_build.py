"""Making images that take a while: each is built under a temporary name and published when it is whole."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

from app import crash_points
from app.storage import files, inspection, qcow2, qemu_img
from app.storage.errors import StorageError
from app.storage.qemu_img import Progress


@asynccontextmanager
async def published(path: Path) -> AsyncIterator[Path]:
    """Yield a private temporary file for the new image *path*; on leaving, sync and publish it.

    If the body or anything after it fails or is cancelled, nothing is left.

    :raise StorageError: in_use (the name is taken), no_space, io.
    """
    part = files.part_path(path)
    if path.exists():
        raise StorageError.in_use(f"The disk image {path} exists already.")
    try:
        files.remove_quietly(part)
        files.create_private(part).close()
        crash_points.reach("storage.part_created")
        yield part
        crash_points.reach("storage.part_filled")
        await asyncio.to_thread(files.sync_file, part)
        crash_points.reach("storage.part_synced")
        files.publish(part, path)
    except FileExistsError:
        files.remove_quietly(part)
        raise StorageError.in_use(f"The disk image {path} exists already.") from None
    except OSError as error:
        files.remove_quietly(part)
        raise StorageError.from_os_error(error, "write the disk image", path) from error
    except BaseException:
        files.remove_quietly(part)
        raise


async def convert_outside(
    source: Path,
    facts: inspection.ImageFacts,
    part: Path,
    *,
    progress: Progress | None = None,
    cancel: asyncio.Event | None = None,
) -> None:
    """Fill *part* with the content of *source*, a file from outside that was found to be *facts*.

    :raise StorageError: as `qemu_img.convert`.
    """
    await qemu_img.convert(source, facts.format, part, progress=progress, cancel=cancel)
    expect_size(part, facts.virtual_size)


async def check_outside(source: Path, image_format: str, *, cancel: asyncio.Event | None = None) -> None:
    """Refuse a damaged source: converting one that was cut short would silently give zeros.

    :raise StorageError: corrupt; or as `qemu_img.check`.
    """
    if image_format == "raw":
        return
    try:
        result = await qemu_img.check(source, image_format, cancel=cancel)
    except StorageError as error:
        if error.cause != "tool" or not error.stderr:
            raise
        reason = f"{source} is damaged or cut short, so QEMU cannot read it."
        raise StorageError.corrupt(reason, error.command, error.stderr) from error
    if not result.sound:
        found = result.corruptions + result.errors
        raise StorageError.corrupt(f"{source} is damaged or cut short: qemu-img check found {found} errors.")


def expect_size(part: Path, virtual_size: int) -> None:
    """:raise StorageError: tool, if the qcow2 image *part* has not the virtual size it should have."""
    made = qcow2.read_header(part).virtual_size
    if made != virtual_size:
        raise StorageError.tool(f"The new disk image has {made} bytes, not {virtual_size}. Nothing was changed.")


async def convert_bytes(data: bytes, virtual_size: int, part: Path, scratch: Path) -> None:
    """Fill *part* with a disk of *virtual_size* bytes that begins with *data*; *scratch* is a name we may use.

    :raise StorageError: no_space, io, or as `qemu_img.convert`.
    """
    try:
        files.remove_quietly(scratch)
        with files.create_private(scratch) as file:
            file.write(data)
            file.truncate(virtual_size)
        await qemu_img.convert(scratch, "raw", part)
    except OSError as error:
        raise StorageError.from_os_error(error, "write", scratch) from error
    finally:
        files.remove_quietly(scratch)
    expect_size(part, virtual_size)
