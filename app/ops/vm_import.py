"""/import and /import_metadata: VMs and templates from .xva streams.

The disks are written first, under names that the journal calls rubbish until the store holds them; one transaction at
the end makes everything of the file exist at once. So a failure, a cancellation or a kill leaves nothing.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import AsyncIterator, Iterator, Mapping
from contextlib import ExitStack
from typing import Any, Final

from app import crash_points
from app.api import SR, VBD, VDI, VM, Ref, Task
from app.api.failure import handle_invalid
from app.api.streams import Chunk
from app.ops.context import Context
from app.ops.images import begin_making, finish_discard
from app.ops.import_plan import Plan, PlannedDisk, plan, require_replaceable
from app.ops.import_records import FindDisk, Recorder
from app.ops.intake import Intake, taken
from app.ops.locking import refresh_vm
from app.ops.storage_ops import update_space
from app.ops.stream_threads import in_own_thread
from app.ops.task import TaskHandle, current
from app.ops.translate import failures
from app.ops.vm_export import REPORT_SECONDS
from app.storage.image_writer import new_image
from app.storage.memory_writer import new_memory_image
from app.xva import ova
from app.xva.ova import Described
from app.xva.reader import Block, Reader

OBJECTS_MADE: Final = "object_creation"


async def import_vm(
    context: Context, query: Mapping[str, str], body: AsyncIterator[Chunk], length: int | None
) -> list[Ref[VM]]:
    """PUT /import: `sr_id` or `sr_uuid`, `restore`, `force`. Reads no further than the archive's end."""
    task = current()
    sr = _sr_in(context, query)
    async with taken(task, body) as intake:
        reader = await in_own_thread(Reader, intake)
        description = ova.parse(await in_own_thread(reader.ova))
        made = plan(context, description, sr, task.ref, restore=_is(query, "restore"), force=_is(query, "force"))
        _note_objects(context, task)
        with failures():
            if length is not None and reader.compression == "none":
                await asyncio.to_thread(context.files(sr).require_free, length)
            entry = begin_making(context, made.images())
            try:
                await in_own_thread(_Writing(context, made, task, intake, length).run, reader)
                crash_points.reach("vm_import.disks_written")
                task.point_of_no_return()
                refs = _record(context, made)
                crash_points.reach("vm_import.recorded")
            finally:
                finish_discard(context, entry)
    _refresh(context, refs, sr)
    return refs


async def import_metadata(
    context: Context, query: Mapping[str, str], body: AsyncIterator[Chunk], _length: int | None
) -> list[Ref[VM]]:
    """PUT /import_metadata: `restore`, `force`, `dry_run`, and `vdi:UUID=UUID` for disks that are others here.

    Disks are found by their uuid. One that is not here, or that another VM holds, is an error unless `force` is given.
    """
    task = current()
    async with taken(task, body) as intake:
        reader = await in_own_thread(Reader, intake)
        description = ova.parse(await in_own_thread(reader.ova))
    sr = context.default_sr()
    whole = plan(context, description, sr, task.ref, restore=_is(query, "restore"), force=_is(query, "force"))
    made = Plan(description, sr, whole.restore, whole.force, task.ref, (), frozenset(), whole.vm_of, whole.replaced)
    _note_objects(context, task)
    find_disk = _known_disks(context, query, made)
    if _is(query, "dry_run"):
        _try_out(context, made, find_disk)
        return []
    task.point_of_no_return()
    refs = _record(context, made, find_disk)
    crash_points.reach("vm_import.metadata_recorded")
    _refresh(context, refs, sr)
    return [ref for ref in refs if not context.store.get(VM, ref).is_a_snapshot] or refs


def _sr_in(context: Context, query: Mapping[str, str]) -> Ref[SR]:
    """Where the disks go. :raise Failure: HANDLE_INVALID, UUID_INVALID, DEFAULT_SR_NOT_FOUND; it takes no disks."""
    if query.get("sr_uuid"):
        sr = context.store.by_uuid(SR, query["sr_uuid"])
    elif query.get("sr_id"):
        sr = Ref(query["sr_id"])
        if context.store.find(SR, sr) is None:
            raise handle_invalid("SR", sr)
    else:
        sr = context.default_sr()
    context.files(sr)
    return sr


def _is(query: Mapping[str, str], name: str) -> bool:
    return query.get(name, "").lower() in ("true", "1")


def _note_objects(context: Context, task: TaskHandle) -> None:
    """What clients of a XenServer look for before they send the disks."""
    known = context.store.find(Task, task.ref)
    if known is not None:
        context.store.publish(Task, task.ref, other_config={**known.other_config, OBJECTS_MADE: "complete"})


class _Writing:
    """Writes the disks of one import, in a thread."""

    def __init__(self, context: Context, made: Plan, task: TaskHandle, intake: Intake, length: int | None) -> None:
        self._files = context.files(made.sr)
        self._plan = made
        self._task = task
        self._intake = intake
        self._length = length
        self._loop = asyncio.get_running_loop()
        self._whole = sum(made.sizes().values())
        self._told = 0.0
        self._done = 0

    def run(self, reader: Reader) -> None:
        """:raise Failure: what is wrong with the archive; TASK_CANCELLED. :raise StorageError: no_space, io."""
        planned = {disk.described.id: disk for disk in self._plan.disks}
        current_disk = ""
        with ExitStack() as closing:
            writer: Any = None
            for block in reader.blocks(self._plan.sizes(), force=self._plan.force):
                if block.disk != current_disk:
                    closing.close()
                    current_disk = block.disk
                    disk = planned.get(block.disk)
                    writer = None if disk is None else closing.enter_context(self._writer(disk))
                if writer is not None:
                    writer.write(block.offset, block.data)
                self._tell(block)

    def _writer(self, disk: PlannedDisk) -> Any:
        if disk.is_memory:
            return new_memory_image(self._files.memory_path(disk.image), self._files.image_path(disk.image))
        return new_image(self._files.image_path(disk.image), disk.virtual_size)

    def _tell(self, block: Block) -> None:
        self._task.check()
        self._done += len(block.data)
        now = time.monotonic()
        if now - self._told < REPORT_SECONDS:
            return
        self._told = now
        total, done = (self._length, self._intake.received) if self._length else (self._whole, self._done)
        self._loop.call_soon_threadsafe(self._task.progress, 0.95 * min(1.0, done / max(1, total)))


def _record(context: Context, made: Plan, find_disk: FindDisk | None = None) -> list[Ref[VM]]:
    """Make everything of the file exist. :raise Failure: nothing does."""
    require_replaceable(context, made)
    written = {disk.described.id: disk.vdi for disk in made.disks}
    with context.store.transaction() as tx:
        recorder = Recorder(context, tx, made, lineage=find_disk is not None)
        for disk in made.disks:
            recorder.disk(disk)
        return [recorder.vm(vm, find_disk or (lambda vdi: written.get(vdi.id))) for vm in made.description.of("VM")]


class _DryRun(Exception):
    pass


def _try_out(context: Context, made: Plan, find_disk: FindDisk) -> None:
    """Raise what `_record` would. :raise Failure: it would fail."""
    try:
        with context.store.transaction() as tx:
            recorder = Recorder(context, tx, made, lineage=True)
            for vm in made.description.of("VM"):
                recorder.vm(vm, find_disk)
            raise _DryRun
    except _DryRun:
        return


def _known_disks(context: Context, query: Mapping[str, str], made: Plan) -> FindDisk:
    """Finds disks of this engine, each for one VM only."""
    other = {key.removeprefix("vdi:"): value for key, value in query.items() if key.startswith("vdi:")}
    refs = {vdi.uuid: ref for ref, vdi in context.store.all(VDI).items() if vdi.managed}
    replaced = {made.vm_of[identity] for identity in made.replaced}

    def find(described: Described) -> Ref[VDI] | None:
        uuid = described.text("uuid")
        ref = refs.get(other.get(uuid, uuid))
        if ref is None or any(holder not in replaced for holder in _holders(context, ref)):
            return None
        return ref

    return find


def _holders(context: Context, vdi: Ref[VDI]) -> Iterator[str]:
    for vbd in context.store.get(VDI, vdi).VBDs:
        yield context.store.get(VBD, vbd).VM


def _refresh(context: Context, refs: list[Ref[VM]], sr: Ref[SR]) -> None:
    for ref in refs:
        refresh_vm(context, ref)
    update_space(context, sr)
