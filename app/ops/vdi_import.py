"""/import_raw_vdi: a new disk, or another content for one that is there, from a stream."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Mapping
from contextlib import AsyncExitStack
from pathlib import Path
from typing import Final

from app import crash_points
from app.api import SR, VDI, Failure, Ref, VDIOperation
from app.api.failure import handle_invalid, invalid_value
from app.api.streams import Chunk
from app.ops.context import Context
from app.ops.images import base_copy_of, begin_making, discarding, finish_discard, leaf_and_bases
from app.ops.intake import Intake, taken
from app.ops.locking import refresh_vdi
from app.ops.records import check_name
from app.ops.storage_ops import update_space
from app.ops.stream_threads import in_own_thread
from app.ops.task import TaskHandle, current
from app.ops.translate import failures
from app.ops.vdi_copy import holding
from app.ops.vdi_export import QEMU_FORMATS, vdi_in
from app.storage import files as storage_files
from app.storage.file_repository import FileRepository
from app.storage.image_writer import new_image
from app.storage.inspection import ImageFormat, inspect

_PIECE: Final = 1 << 20
_SECTOR: Final = 512
_FORMATS: Final[Mapping[str, ImageFormat]] = {"raw": "raw", "vhd": "vpc", "qcow2": "qcow2"}


async def import_raw_vdi(
    context: Context, query: Mapping[str, str], body: AsyncIterator[Chunk], length: int | None
) -> Ref[VDI]:
    """PUT /import_raw_vdi: `vdi`, or `sr_id` or `sr_uuid` for a new disk; `format`: raw, vhd or qcow2.

    `name_label` names a new disk, an extension. The length of raw content for one has to be known.
    """
    image_format = query.get("format", "raw")
    if image_format not in _FORMATS:
        raise invalid_value("format", image_format)
    if query.get("chunked") == "true":
        raise Failure("IMPORT_ERROR_CANNOT_HANDLE_CHUNKED")
    if query.get("vdi"):
        return await _replace(context, vdi_in(context, query), image_format, body)
    sr = _sr_in(context, query)
    name = check_name(query.get("name_label", ""))
    files = context.files(sr)
    image = files.new_id()
    with failures():
        entry = begin_making(context, [(sr, image)])
        try:
            size = await _write(files, image, image_format, body, None if length is None else _sectors(length))
            crash_points.reach("vdi_import.image_written")
            current().point_of_no_return()
            fields = {"physical_utilisation": files.physical_utilisation(image), "location": image}
            with context.store.transaction() as tx:
                made = tx.create(VDI(name_label=name, SR=sr, virtual_size=size, **fields))  # type: ignore[arg-type]
            crash_points.reach("vdi_import.recorded")
        finally:
            finish_discard(context, entry)
    refresh_vdi(context, made)
    update_space(context, sr)
    return made


def _sr_in(context: Context, query: Mapping[str, str]) -> Ref[SR]:
    if query.get("sr_uuid"):
        return context.store.by_uuid(SR, query["sr_uuid"])
    sr: Ref[SR] = Ref(query.get("sr_id") or context.default_sr())
    if context.store.find(SR, sr) is None:
        raise handle_invalid("SR", sr)
    return sr


async def _replace(context: Context, ref: Ref[VDI], image_format: str, body: AsyncIterator[Chunk]) -> Ref[VDI]:
    """Give a disk a new image with the content; it moves there when that is whole. What it held goes."""
    async with holding(context, ref, VDIOperation.copy) as record:
        if record.is_a_snapshot or record.read_only:
            raise Failure("VDI_READONLY", ref)
        await context.merging.leave_alone(record.SR)
        files = context.files(record.SR)
        image = files.new_id()
        with failures():
            entry = begin_making(context, [(record.SR, image)])
            try:
                size = await _write(files, image, image_format, body, record.virtual_size)
                if size != record.virtual_size:
                    raise invalid_value("virtual_size", size)
                current().point_of_no_return()
                _move(context, ref, image)
                crash_points.reach("vdi_import.moved")
            finally:
                finish_discard(context, entry)
    refresh_vdi(context, ref)
    update_space(context, record.SR)
    return ref


def _move(context: Context, ref: Ref[VDI], image: str) -> None:
    with discarding(context) as discard, context.store.transaction() as tx:
        vdi = tx.get(VDI, ref)
        files = context.files(vdi.SR)
        config = {key: value for key, value in vdi.sm_config.items() if key != "vhd-parent"}
        used = files.physical_utilisation(image)
        tx.update(VDI, ref, location=image, physical_utilisation=used, sm_config=config)
        if files.children_map().get(vdi.location):
            tx.create(base_copy_of(vdi))
        else:
            discard.begin(leaf_and_bases(context, tx, vdi.SR, vdi.location))


async def _write(
    files: FileRepository, image: str, image_format: str, body: AsyncIterator[Chunk], size: int | None
) -> int:
    """Make the image; answer its virtual size in bytes. :raise Failure: the content does not fit, or is damaged."""
    task = current()
    async with AsyncExitStack() as stack:
        intake = await stack.enter_async_context(taken(task, body))
        if image_format == "raw":
            if not size:
                raise invalid_value("Content-Length", 0)
            await in_own_thread(_write_raw, files.image_path(image), size, intake, task)
            return size
        spool = storage_files.part_path(files.image_path(files.new_id()))
        stack.callback(storage_files.remove_quietly, spool)
        await in_own_thread(_spool, spool, intake)
        facts = await asyncio.to_thread(inspect, spool)
        if QEMU_FORMATS[image_format] != facts.format:
            raise invalid_value("format", image_format)
        await task.unless_cancelled(files.import_image(spool, facts.format, image))
        return facts.virtual_size


def _write_raw(path: Path, size: int, intake: Intake, task: TaskHandle) -> None:
    position = 0
    with new_image(path, size) as writer:
        while piece := intake.read(_PIECE):
            if position + len(piece) > size:
                raise invalid_value("virtual_size", size)
            writer.write(position, piece)
            position += len(piece)
        if _sectors(position) != size and position != size:
            raise Failure("IMPORT_ERROR_PREMATURE_EOF")
        task.check()


def _spool(path: Path, intake: Intake) -> None:
    storage_files.remove_quietly(path)
    with storage_files.create_private(path) as file:
        while piece := intake.read(_PIECE):
            file.write(piece)


def _sectors(size: int) -> int:
    return -(-size // _SECTOR) * _SECTOR
