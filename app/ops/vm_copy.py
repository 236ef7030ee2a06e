"""VM.copy: a VM or template with disks of its own, in any repository of disks.

The source is held for the time it takes, so nothing writes to the images that are read. Until the store holds the
copies they are rubbish, as any image being made: a kill or a cancellation leaves nothing.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from contextlib import AbstractAsyncContextManager, AsyncExitStack
from dataclasses import dataclass
from typing import Any

from app import crash_points
from app.api import SR, VDI, VM, Ref, VDIOperation, VMCalls, VMOperation
from app.api.failure import not_allowed
from app.api.types import is_null, new_ref, new_uuid
from app.ops.context import Context, Operations
from app.ops.disks import disks, require_disk
from app.ops.images import begin_making, finish_discard
from app.ops.locking import disk_operation, operation, refresh_vm
from app.ops.records import check_name
from app.ops.storage_ops import update_space
from app.ops.task import current
from app.ops.translate import failures
from app.ops.vm_clone import FRESH_DISK, record_twin
from app.ops.vm_snapshot import copy_record
from app.store import Transaction


class VMCopyOps(Operations, VMCalls):
    """VM.copy."""

    async def copy(self, vm: Ref[VM], new_name: str, sr: Ref[SR]) -> Ref[VM]:
        record = self.store.get(VM, vm)
        check_name(new_name)
        if not is_null(sr) and self.store.get(SR, sr).type == "iso":
            raise not_allowed("Cannot copy a VM's disks to an ISO SR")
        owner = record.snapshot_of if record.is_a_snapshot else vm
        async with operation(self.context, (vm, VMOperation.copy)), AsyncExitStack() as reading:
            # Only to begin with: what was done before must be settled. The claim keeps the images as they are.
            async with self.context.alone_with(owner):
                pieces = _pieces(self.context, vm, sr)
                for piece in pieces:
                    await reading.enter_async_context(_read(self.context, piece))
            with disk_operation(self.context, [piece.vdi_ref for piece in pieces], VDIOperation.copy):
                return await copy(self.context, vm, new_name, pieces)


@dataclass(frozen=True)
class Piece:
    """One disk to copy: from the image of `vdi` to a new image in `sr`."""

    vdi_ref: Ref[VDI]
    vdi: VDI
    sr: Ref[SR]
    image: str


def _read(context: Context, piece: Piece) -> AbstractAsyncContextManager[None]:
    """Keeps merges away from the images while they are copied."""
    with failures():
        return context.merging.reading(piece.vdi.SR, context.files(piece.vdi.SR).chain(piece.vdi.location))


def _pieces(context: Context, vm: Ref[VM], sr: Ref[SR]) -> list[Piece]:
    pieces = []
    for disk, vdi in disks(context.store, vm):
        require_disk(context, vdi, disk.vdi_ref)
        target = vdi.SR if is_null(sr) else sr
        pieces.append(Piece(disk.vdi_ref, vdi, target, context.files(target).new_id()))
    return pieces


async def copy(context: Context, vm: Ref[VM], name: str, pieces: Sequence[Piece]) -> Ref[VM]:
    """Copy the disks and record the VM; the caller holds the source. :raise Failure: nothing has changed then."""
    plan = {"vm": vm, "clone": new_ref(), "uuid": new_uuid(), "name": name}
    with failures(vm):
        entry = begin_making(context, [(piece.sr, piece.image) for piece in pieces])
        try:
            await copy_images(context, pieces)
            crash_points.reach("vm_copy.images_written")
            current().point_of_no_return()
            _commit(context, plan, pieces)
            crash_points.reach("vm_copy.committed")
        finally:
            finish_discard(context, entry)
    refresh_vm(context, vm)
    refresh_vm(context, plan["clone"])
    for sr in {piece.sr for piece in pieces}:
        update_space(context, sr)
    return Ref(plan["clone"])


async def copy_images(context: Context, pieces: Sequence[Piece]) -> None:
    """Write the new images one after the other. :raise Failure: TASK_CANCELLED, SR_BACKEND_FAILURE_44, 46."""
    async with AsyncExitStack() as reading:
        for piece in pieces:
            chain = context.files(piece.vdi.SR).chain(piece.vdi.location)
            await reading.enter_async_context(context.merging.reading(piece.vdi.SR, chain))
        await _copy_images(context, pieces)


async def _copy_images(context: Context, pieces: Sequence[Piece]) -> None:
    task = current()
    task.describe("Looking how much there is to copy")
    sizes = [await context.files(p.vdi.SR).flat_size(p.vdi.location) for p in pieces]
    for sr in {piece.sr for piece in pieces}:
        # All at once, before the first of them is written.
        context.files(sr).require_free(sum(size for p, size in zip(pieces, sizes, strict=True) if p.sr == sr))
    whole, done = sum(sizes), 0
    for number, (piece, size) in enumerate(zip(pieces, sizes, strict=True), 1):
        task.describe(f"Copying disk {number} of {len(pieces)}")
        source, target = context.files(piece.vdi.SR), context.files(piece.sr)

        def report(fraction: float, done: int = done, size: int = size) -> None:
            task.progress(0.95 * (done + fraction * size) / whole)

        work = source.flatten(piece.vdi.location, piece.image, into=target, progress=report)
        await task.unless_cancelled(work)
        crash_points.reach("vm_copy.image_written")
        done += size
    task.describe("")


def _commit(context: Context, plan: Mapping[str, Any], pieces: Sequence[Piece]) -> None:
    with context.store.transaction() as tx:
        disk_of: dict[str, str] = {piece.vdi_ref: record_copy(context, tx, piece) for piece in pieces}
        record_twin(tx, plan, disk_of)


def record_copy(context: Context, tx: Transaction, piece: Piece, **fields: Any) -> Ref[VDI]:
    """Record the new disk behind a piece whose image is written."""
    files = context.files(piece.sr)
    config = {key: value for key, value in piece.vdi.sm_config.items() if key != "vhd-parent"}
    own = {
        "SR": piece.sr,
        "location": piece.image,
        "physical_utilisation": files.physical_utilisation(piece.image),
        "sm_config": config,
        **fields,
    }
    return tx.create(copy_record(piece.vdi, **FRESH_DISK, **own))
