"""Single disks to and from files."""

from __future__ import annotations

import asyncio
import re
import time
from collections.abc import AsyncGenerator
from contextlib import suppress
from pathlib import Path
from typing import Final

from app.api import SR, VDI, ConnectionLost, Failure, Ref
from app.api.failure import invalid_value
from app.api.streams import Chunk
from app.api.types import is_null
from app.client import part_files
from app.client.exports import save
from app.client.pace import Pace
from app.client.part_files import part_of, publish
from app.client.session import Session
from app.client.stream_tasks import EXPORT_DISK, IMPORT_DISK, stream_task
from app.client.threads import to_its_end
from app.client.transfer_types import DiskFormat, ExportResult, Report, no_report

_PIECE: Final = 4 << 20
_SECTOR: Final = 512
_REF: Final = re.compile(r"OpaqueRef:[^<]+")
_QCOW2: Final = b"QFI\xfb"
_VHD: Final = b"conectix"


async def export_disk(
    session: Session, vdi: Ref[VDI], path: Path, disk_format: DiskFormat = "raw", report: Report = no_report
) -> ExportResult:
    """Write one disk to the new file `path`. Not verified: these formats have no hashes.

    :raise: as `export_vm`.
    """
    if path.exists():
        raise FileExistsError(f"{path} exists already")
    started, part = time.monotonic(), part_of(path)
    pace = Pace(report, "preparing", None)
    try:
        async with stream_task(session, EXPORT_DISK) as task:
            query = {"vdi": vdi, "format": disk_format, **task.query}
            async with session.download("/export_raw_vdi", query) as download:
                pace = Pace(report, "writing", download.length)
                with await to_its_end(lambda: part_files.opened(part, 0), undo=lambda made: made.close()) as file:
                    await save(download, file, pace)
            await task.result()
        size = part.stat().st_size
        await to_its_end(lambda: publish(part, path), undo=lambda _: part_files.remove(path))
    except BaseException:
        part_files.remove(part)
        raise
    pace.finish()
    return ExportResult(path, size, time.monotonic() - started, verified=False)


async def import_disk(
    session: Session,
    path: Path,
    disk_format: DiskFormat,
    sr: Ref[SR] | None = None,
    name: str = "",
    report: Report = no_report,
) -> Ref[VDI]:
    """Make a disk of a file. :raise: as `import_xva`."""
    size = (await asyncio.to_thread(path.stat)).st_size
    virtual_size = await asyncio.to_thread(_virtual_size, path, disk_format, size)
    where = await default_sr(session) if sr is None else sr
    fields = {"SR": where, "virtual_size": virtual_size, "name_label": name or path.stem, "type": "user"}
    vdi = await session.VDI.create(fields)
    try:
        await _fill(session, vdi, path, disk_format, size, report)
    except BaseException:
        await asyncio.shield(_destroyed(session, vdi))
        raise
    return vdi


async def _fill(
    session: Session, vdi: Ref[VDI], path: Path, disk_format: DiskFormat, size: int, report: Report
) -> None:
    pace = Pace(report, "reading", size)
    async with stream_task(session, IMPORT_DISK) as task:
        query = {"vdi": vdi, "format": disk_format, **task.query}
        chunks = _chunks(path, pace)
        try:
            await session.upload("/import_raw_vdi", query, chunks, size)
        finally:
            await close(chunks)
        await task.result()
    pace.finish()


async def _chunks(path: Path, pace: Pace) -> AsyncGenerator[Chunk, None]:
    with await asyncio.to_thread(path.open, "rb", 0) as file:
        while piece := await asyncio.to_thread(file.read, _PIECE):
            yield piece
            pace.add(len(piece))


async def close(chunks: AsyncGenerator[Chunk, None]) -> None:
    """Close what a stream is made from; whoever took it may be about to let go of it."""
    for _ in range(100):
        with suppress(RuntimeError):
            await chunks.aclose()
            break
        await asyncio.sleep(0.01)


async def _destroyed(session: Session, vdi: Ref[VDI]) -> None:
    with suppress(Failure, ConnectionLost):
        await session.VDI.destroy(vdi)


async def default_sr(session: Session) -> Ref[SR]:
    """Where new disks go. :raise Failure: DEFAULT_SR_NOT_FOUND."""
    for pool in await session.call("pool.get_all"):
        sr = await session.call("pool.get_default_SR", pool)
        if not is_null(sr):
            return Ref(sr)
    raise Failure("DEFAULT_SR_NOT_FOUND", "OpaqueRef:NULL")


def _virtual_size(path: Path, disk_format: DiskFormat, size: int) -> int:
    """What a guest would see, in bytes. :raise Failure: INVALID_VALUE: the file is of another format."""
    with path.open("rb") as file:
        head = file.read(_SECTOR)
        file.seek(max(0, size - _SECTOR))
        tail = file.read(_SECTOR)
    if disk_format == "raw":
        found = -(-size // _SECTOR) * _SECTOR
    elif disk_format == "qcow2" and head.startswith(_QCOW2):
        found = int.from_bytes(head[24:32])  # QEMU's docs/interop/qcow2.txt, "Header"
    elif disk_format == "vhd" and tail.startswith(_VHD):
        found = int.from_bytes(tail[48:56])  # Virtual Hard Disk Image Format Specification, "Hard Disk Footer Format"
    else:
        raise invalid_value("format", disk_format)
    if found == 0:
        raise invalid_value("virtual_size", 0)
    return found
