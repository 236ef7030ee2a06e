"""Exporting a VM, template or snapshot to an .xva file."""

from __future__ import annotations

import asyncio
import re
import threading
import time
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager, closing, contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import BinaryIO, Final

from app.api import VBD, VDI, VM, ConnectionLost, Failure, Ref, Task, VBDType, VMOperation
from app.api.streams import Chunk, Download
from app.api.types import is_null
from app.client import part_files
from app.client.leftovers import Leftover, leftover
from app.client.manifests import write_manifest
from app.client.pace import Pace
from app.client.part_files import Saver, free_bytes, part_of, publish
from app.client.session import Session
from app.client.stream_tasks import EXPORT, StreamTask, stream_task
from app.client.threads import in_thread, to_its_end
from app.client.transfer_types import ExportOptions, ExportPlan, ExportResult, Report, no_report
from app.client.verification import SUMMARY, Findings, verify

__all__ = ["export_vm", "free_bytes", "plan_export", "proposed_name"]

_AT_LEAST: Final = 1 << 20
"""Bytes that are written at once, however small the pieces are that arrive."""
_ASK_SECONDS: Final = 0.5
_REFUSED_NAME: Final = re.compile(r'[\x00-\x1f<>:"/\\|?*]+')
_LONGEST_NAME: Final = 200
"""Bytes of a proposed name: file systems take 255, with all endings and a number."""
_growing: set[Path] = set()
_REFUSED_TO_GO_ON: Final = ("OPERATION_NOT_ALLOWED", "INVALID_VALUE")


async def plan_export(session: Session, vm: Ref[VM]) -> ExportPlan:
    """What exporting a halted or suspended VM, a template or a snapshot would be.

    :raise Failure: VM_BAD_POWER_STATE and the like, if it cannot be exported now.
    """
    await session.VM.assert_operation_valid(vm, VMOperation.export)
    record = await session.get_record(VM, vm)
    drives = [await session.get_record(VBD, vbd) for vbd in record.VBDs]
    held = [vbd.VDI for vbd in drives if vbd.type is not VBDType.CD and not is_null(vbd.VDI)]
    disks = [await session.get_record(VDI, vdi) for vdi in held]
    memory = 0
    if not is_null(record.suspend_VDI):
        memory = (await session.get_record(VDI, record.suspend_VDI)).physical_utilisation
    virtual = sum(disk.virtual_size for disk in disks)
    return ExportPlan(
        file_name=proposed_name(record.name_label),
        virtual_bytes=virtual,
        data_bytes=min(virtual, await _held_bytes(session, vm, record, disks)),
        disks=len(disks),
        memory_bytes=memory,
    )


def proposed_name(name: str) -> str:
    """What the file of a VM of this name may be called, on any file system."""
    kept = " ".join(_REFUSED_NAME.sub(" ", name).split())[:120]
    short = kept.encode(errors="ignore")[:_LONGEST_NAME].decode(errors="ignore").strip(" .")
    return f"{short or 'export'}.xva"


async def _held_bytes(session: Session, vm: Ref[VM], record: VM, disks: list[VDI]) -> int:
    """What the disks hold with all they build on; of a server that cannot say, what their own files hold."""
    own = sum(disk.physical_utilisation for disk in disks)
    owner = record.snapshot_of if record.is_a_snapshot else vm
    with suppress(Failure, KeyError, ValueError):
        figures = (await session.VM.get_chain_health(owner))[vm]
        return max(own, int(figures["exclusive"]) + int(figures["shared"]))
    return own


@dataclass
class _Export:
    """One export under way."""

    session: Session
    vm: Ref[VM]
    path: Path
    options: ExportOptions
    report: Report
    resumed_at: int = 0
    note: str = ""

    @property
    def can_resume(self) -> bool:
        """Whether what is written is of use to a later export: a compressed stream cannot be gone on with."""
        return self.options.compression == "none" and not self.options.metadata

    def query(self, task: StreamTask, begun: Leftover | None) -> tuple[str, dict[str, str]]:
        """The handler's path and query."""
        query = {"ref": self.vm, **task.query}
        if self.options.metadata:
            query["export_snapshots"] = "true" if self.options.include_snapshots else "false"
            if self.options.excluded_device_types:
                query["excluded_device_types"] = ",".join(self.options.excluded_device_types)
            return "/export_metadata", query
        if self.options.compression != "none":
            query["use_compression"] = self.options.compression
        if self.options.preserve_power_state:
            query["preserve_power_state"] = "true"
        if begun is not None:
            query |= begun.query
        return "/export", query


async def export_vm(
    session: Session, vm: Ref[VM], path: Path, options: ExportOptions | None = None, report: Report = no_report
) -> ExportResult:
    """Write a VM, template or snapshot to the new file `path`.

    It grows as `path` + ".part" (0600) and gets its name when it is whole, durable and, if wanted, verified.

    :raise FileExistsError: `path` is there already.
    :raise Failure: the engine's reason; IMPORT_ERROR… when the verification found something.
    :raise ConnectionLost: what was written is kept for a resumption.
    :raise OSError: it cannot be written, for one the disk is full.
    """
    if path.exists():
        raise FileExistsError(f"{path} exists already")
    with _alone(path):
        return await _exported(_Export(session, vm, path, options or ExportOptions(), report))


@contextmanager
def _alone(path: Path) -> Iterator[None]:
    """:raise FileExistsError: another export of ours is writing the same file."""
    whole = path.absolute()
    if whole in _growing:
        raise FileExistsError(f"{path} is being written by another export")
    _growing.add(whole)
    try:
        yield
    finally:
        _growing.discard(whole)


async def _exported(work: _Export) -> ExportResult:
    path = work.path
    started = time.monotonic()
    part = part_of(path)
    try:
        record, begun = await _written(work, part)
        findings = await _verified(work, part, record, begun)
        size = part.stat().st_size
        await to_its_end(lambda: publish(part, path), undo=lambda _: part_files.remove(path))
    except ConnectionLost:
        if not work.can_resume:
            part_files.remove(part)
        raise
    except BaseException:
        part_files.remove(part)
        raise
    manifest = None
    if work.options.manifest and findings is not None:
        manifest = await _signed(work, findings)
    seconds = time.monotonic() - started
    verified = work.options.verify and findings is not None
    return ExportResult(path, size, seconds, verified, manifest, work.resumed_at, work.note)


async def _signed(work: _Export, findings: Findings) -> Path:
    path, key_file = work.path, work.options.key_file

    def undo(manifest: Path) -> None:
        part_files.remove(manifest)
        part_files.remove(path)

    return await to_its_end(lambda: write_manifest(path, findings, key_file), undo)


async def _written(work: _Export, part: Path) -> tuple[Task, Leftover | None]:
    """Stream it into the growing file; answer the task's record and what it went on from."""
    begun = await _leftover(work, part)
    if begun is not None:
        try:
            return await _stream(work, part, begun), begun
        except Failure as failure:
            if failure.code not in _REFUSED_TO_GO_ON:
                raise
            work.note = "An interrupted export was there, but of something else or since changed; it began anew."
            work.resumed_at = 0
    return await _stream(work, part, None), None


async def _leftover(work: _Export, part: Path) -> Leftover | None:
    if not part.exists():
        return None
    if not work.options.resume or not work.can_resume:
        work.note = "An interrupted export was there, which could not be gone on with; it began anew."
        return None
    begun = await asyncio.to_thread(leftover, part)
    if begun is None:
        work.note = "An interrupted export was there, but nothing of it could be used; it began anew."
    else:
        work.resumed_at = begun.size
    return begun


async def _stream(work: _Export, part: Path, begun: Leftover | None) -> Task:
    pace = Pace(work.report, "preparing", None)
    keep = 0 if begun is None else begun.size
    async with stream_task(work.session, EXPORT) as task:
        path, query = work.query(task, begun)
        async with work.session.download(path, query) as download:
            total = None if download.length is None else download.length + keep
            pace = Pace(work.report, "writing", total, keep)
            with await to_its_end(lambda: part_files.opened(part, keep), undo=lambda made: made.close()) as file:
                async with _estimated(work.session, task, pace):
                    await save(download, file, pace)
        await task.result()
        pace.finish()
        return await task.ended()


@asynccontextmanager
async def _estimated(session: Session, task: StreamTask, pace: Pace) -> AsyncIterator[None]:
    """Meanwhile, where the stream's length is not known, ask now and then how far the engine is."""
    asking = asyncio.ensure_future(_estimate(session, task, pace)) if pace.total is None else None
    try:
        yield
    finally:
        if asking is not None:
            asking.cancel()
            with suppress(asyncio.CancelledError):
                await asking


async def _estimate(session: Session, task: StreamTask, pace: Pace) -> None:
    with suppress(Failure, ConnectionLost):  # the stream itself says what went wrong
        while True:
            await asyncio.sleep(_ASK_SECONDS)
            pace.estimate((await session.get_record(Task, task.ref)).progress)


async def save(download: Download, file: BinaryIO, pace: Pace) -> None:
    """Write a stream to a file from where it stands; while one piece is written the next one is on its way. Synced.

    :raise OSError: it cannot be written. :raise Failure, ConnectionLost: the stream's.
    """
    with closing(Saver(file, file.tell())) as saver:
        await _save(download, saver, pace)
        await in_thread(lambda _: saver.finish())


async def _save(download: Download, saver: Saver, pace: Pace) -> None:
    if download.pieces is not None:
        loop, pieces = asyncio.get_running_loop(), download.pieces

        def work(stop: threading.Event) -> None:
            for piece in pieces:
                if stop.is_set():
                    break
                loop.call_soon_threadsafe(pace.add, saver.write(piece))

        await in_thread(work, let_go=download.close)
    else:
        await _save_awaited(download.chunks, saver, pace)


async def _save_awaited(chunks: AsyncIterator[Chunk], saver: Saver, pace: Pace) -> None:
    pending = asyncio.ensure_future(_piece(chunks))
    try:
        while found := await pending:
            pending = asyncio.ensure_future(_piece(chunks))
            pace.add(await asyncio.to_thread(lambda pieces: sum(map(saver.write, pieces)), found))
    finally:
        pending.cancel()
        with suppress(asyncio.CancelledError, Exception):
            await pending


async def _piece(chunks: AsyncIterator[Chunk]) -> list[Chunk]:
    found: list[Chunk] = []
    size = 0
    while size < _AT_LEAST and (chunk := await anext(chunks, None)) is not None:
        found.append(chunk)
        size += len(chunk)
    return found


async def _verified(work: _Export, part: Path, record: Task, begun: Leftover | None) -> Findings | None:
    """Read the file again. :raise Failure: it is not what the engine has written."""
    if not (work.options.verify or work.options.manifest):
        return None
    told = {k.removeprefix(SUMMARY): v for k, v in record.other_config.items() if k.startswith(SUMMARY)}
    after = None if begun is None else begun.after
    pace = Pace(work.report, "verifying", part.stat().st_size)
    loop = asyncio.get_running_loop()

    def reach(done: int) -> None:
        loop.call_soon_threadsafe(pace.reach, done)

    found = await in_thread(lambda stop: verify(part, told, after, reach, stop, with_digest=work.options.manifest))
    pace.finish()
    return found
