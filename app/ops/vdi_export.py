"""/export_raw_vdi: one disk as a stream of its raw content, or as a VHD or qcow2 file."""

from __future__ import annotations

import asyncio
from collections.abc import Iterator, Mapping
from contextlib import closing
from pathlib import Path
from typing import Final

from app.api import VDI, Ref, VDIOperation
from app.api.failure import handle_invalid, invalid_value
from app.api.streams import Chunk
from app.ops.context import Context
from app.ops.outlet import Outlet
from app.ops.task import current
from app.ops.translate import failures
from app.ops.vdi_copy import holding
from app.ops.vm_export import CONTENT_TYPE, FileContent, counted
from app.storage import files as storage_files
from app.storage import qemu_img
from app.storage.image_reader import ImageReader

PIECE: Final = 4 << 20
_ZEROS: Final = bytes(PIECE)
QEMU_FORMATS: Final[Mapping[str, str]] = {"vhd": "vpc", "qcow2": "qcow2"}
_OPTIONS: Final[Mapping[str, Mapping[str, str]]] = {
    # Without force_size the size is rounded to what a geometry of cylinders and heads can have.
    "vhd": {"subformat": "dynamic", "force_size": "on"},
    "qcow2": {},
}


async def export(context: Context, query: Mapping[str, str], outlet: Outlet) -> None:
    """GET /export_raw_vdi: `vdi`, a reference or uuid; `format`: raw, vhd or qcow2."""
    ref = vdi_in(context, query)
    image_format = query.get("format", "raw")
    if image_format != "raw" and image_format not in QEMU_FORMATS:
        raise invalid_value("format", image_format)
    async with holding(context, ref, VDIOperation.copy) as record:
        await context.merging.leave_alone(record.SR)
        record = context.store.get(VDI, ref)
        files = context.files(record.SR)
        with failures():
            chain = await asyncio.to_thread(files.chain, record.location)
            async with context.merging.reading(record.SR, chain):
                name = f"{record.uuid}.{image_format}"
                if image_format == "raw":
                    with closing(await asyncio.to_thread(ImageReader, [files.image_path(i) for i in chain])) as reader:
                        outlet.begin(CONTENT_TYPE, name, reader.size)
                        await _pour(outlet, _raw(reader), reader.size)
                else:
                    await _converted(context, record, image_format, outlet, name)


def vdi_in(context: Context, query: Mapping[str, str]) -> Ref[VDI]:
    """The disk that a query names. :raise Failure: HANDLE_INVALID."""
    named = query.get("vdi", "")
    if context.store.find(VDI, named) is not None:
        return Ref(named)
    found = next((ref for ref, vdi in context.store.all(VDI).items() if named and vdi.uuid == named), None)
    if found is None:
        raise handle_invalid("VDI", named)
    return found


def _raw(reader: ImageReader) -> Iterator[bytearray | bytes]:
    position = 0
    for number in reader.holding(PIECE):
        yield from _hole(number * PIECE - position)
        position = number * PIECE
        piece = bytearray(min(PIECE, reader.size - position))
        reader.read_into(position, memoryview(piece))
        yield piece
        position += len(piece)
    yield from _hole(reader.size - position)


def _hole(size: int) -> Iterator[bytes]:
    for _ in range(size // PIECE):
        yield _ZEROS
    if size % PIECE:
        yield _ZEROS[: size % PIECE]


async def _converted(context: Context, record: VDI, image_format: str, outlet: Outlet, name: str) -> None:
    """By way of a file of ours: in these formats tables come before what they point to."""
    files, task = context.files(record.SR), current()
    part = storage_files.part_path(files.image_path(files.new_id()))
    files.require_free(await files.flat_size(record.location))
    try:
        task.describe("Converting the disk")
        work = qemu_img.convert(
            files.image_path(record.location),
            "qcow2",
            part,
            QEMU_FORMATS[image_format],
            _OPTIONS[image_format],
            progress=lambda fraction: task.progress(fraction / 2),
            follow_parent=True,
        )
        await task.unless_cancelled(work)
        task.describe("")
        await _send_file(part, outlet, name)
    finally:
        storage_files.remove_quietly(part)


async def _send_file(path: Path, outlet: Outlet, name: str) -> None:
    with closing(FileContent(path)) as content:
        outlet.begin(CONTENT_TYPE, name, content.size)
        await _pour(outlet, _pieces(content), content.size)


def _pieces(content: FileContent) -> Iterator[bytearray]:
    for start in range(0, content.size, PIECE):
        piece = bytearray(min(PIECE, content.size - start))
        content.read_into(start, memoryview(piece))
        yield piece


async def _pour(outlet: Outlet, chunks: Iterator[bytearray | bytes], total: int) -> None:
    task, loop = current(), asyncio.get_running_loop()

    def report(done: int) -> None:
        loop.call_soon_threadsafe(task.progress, 0.99 * done / total)

    counting: Iterator[Chunk] = counted(chunks, report)
    await outlet.pour(counting)
