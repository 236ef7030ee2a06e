"""VDI.clone and VDI.copy: single disks, also those that a destroyed snapshot has left behind."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, asynccontextmanager

from app import crash_points
from app.api import SR, VBD, VDI, VM, Ref, VDICalls, VDIOperation, VMOperation
from app.api.failure import not_allowed
from app.api.types import NO_MAP, StringMap, new_ref
from app.log import get
from app.ops.context import Context, Operations
from app.ops.disks import check_depth
from app.ops.images import base_copy_of, begin_making, finish_discard
from app.ops.locking import disk_operation, operation, refresh_vdi, require_disk_operation
from app.ops.storage_ops import update_space
from app.ops.task import current
from app.ops.translate import failures
from app.ops.vm_clone import FRESH_DISK
from app.ops.vm_copy import Piece, copy_images, record_copy
from app.ops.vm_snapshot import copy_record
from app.storage.errors import StorageError
from app.store import Transaction

log = get(__name__)


class VDICopyOps(Operations, VDICalls):
    """Copies of disks."""

    async def clone(self, vdi: Ref[VDI], driver_params: StringMap = NO_MAP) -> Ref[VDI]:
        async with holding(self.context, vdi, VDIOperation.clone) as record:
            await self.context.merging.leave_alone(record.SR)
            return clone_disk(self.context, vdi)

    async def copy(self, vdi: Ref[VDI], sr: Ref[SR]) -> Ref[VDI]:
        if self.store.get(SR, sr).type == "iso":
            raise not_allowed("Cannot copy a disk to an ISO SR")
        async with holding(self.context, vdi, VDIOperation.copy) as record:
            # A merge may have moved the disk to another image by the time it has stopped.
            await self.context.merging.leave_alone(record.SR)
            record = self.store.get(VDI, vdi)
            return await _copy(self.context, Piece(vdi, record, sr, self.context.files(sr).new_id()))


@asynccontextmanager
async def holding(context: Context, vdi: Ref[VDI], op: VDIOperation) -> AsyncIterator[VDI]:
    """The record of a disk while it is held, with the VMs and snapshots that it hangs on, for the same operation.

    :raise Failure: the first rule of the disk or of one of them that it breaks.
    """
    record = require_disk_operation(context, vdi, op)
    vms = sorted({context.store.get(VBD, vbd).VM for vbd in record.VBDs})
    async with operation(context, *((vm, VMOperation(op.value)) for vm in vms)):
        async with AsyncExitStack() as settled:
            for owner in sorted({_owner(context, vm) for vm in vms}):
                await settled.enter_async_context(context.alone_with(owner))
            record = require_disk_operation(context, vdi, op)
        with disk_operation(context, [vdi], op):
            yield record


def _owner(context: Context, vm: str) -> str:
    record = context.store.get(VM, vm)
    return record.snapshot_of if record.is_a_snapshot else vm


def clone_disk(context: Context, ref: Ref[VDI]) -> Ref[VDI]:
    """Put an overlay on the disk's image, and one for the disk itself if it may be written later; the caller holds it.

    :raise Failure: SR_BACKEND_FAILURE_44, 46, 109; nothing has changed then.
    """
    vdi = context.store.get(VDI, ref)
    check_depth(context, vdi)
    files = context.files(vdi.SR)
    overlays = [files.new_id() for _ in range(1 if _is_frozen(context, vdi) else 2)]
    made: Ref[VDI] = new_ref()
    with failures():
        entry = begin_making(context, [(vdi.SR, overlay) for overlay in overlays])
        try:
            files.create_overlays([(overlay, vdi.location) for overlay in overlays])
            crash_points.reach("vdi_clone.overlays_written")
            current().point_of_no_return()
            with context.store.transaction() as tx:
                fresh = _on_overlay(context, vdi, overlays[0])
                tx.create(copy_record(vdi, **FRESH_DISK, **fresh), made)
                if len(overlays) > 1:
                    _move_on(context, tx, ref, vdi, overlays[1])
            crash_points.reach("vdi_clone.committed")
            _freeze(context, vdi)
        finally:
            finish_discard(context, entry)
    refresh_vdi(context, made)
    return made


def _is_frozen(context: Context, vdi: VDI) -> bool:
    """Whether nothing will write to the image: it is a snapshot's, or only templates and snapshots hold it."""
    holders = [context.store.get(VM, context.store.get(VBD, vbd).VM) for vbd in vdi.VBDs]
    return vdi.is_a_snapshot or (bool(holders) and all(vm.is_a_template or vm.is_a_snapshot for vm in holders))


def _on_overlay(context: Context, vdi: VDI, overlay: str) -> dict[str, object]:
    return {
        "location": overlay,
        "physical_utilisation": context.files(vdi.SR).physical_utilisation(overlay),
        "sm_config": {**vdi.sm_config, "vhd-parent": vdi.location},
    }


def _move_on(context: Context, tx: Transaction, ref: Ref[VDI], vdi: VDI, overlay: str) -> None:
    tx.create(base_copy_of(vdi))
    tx.update(VDI, ref, **_on_overlay(context, vdi, overlay))


def _freeze(context: Context, vdi: VDI) -> None:
    """After the commit: until then a guest may have to write to it. The clone is good without."""
    try:
        context.files(vdi.SR).freeze(vdi.location)
    except StorageError as error:
        log.warning("a base copy could not be made read-only", image=vdi.location, error=error.message)


async def _copy(context: Context, piece: Piece) -> Ref[VDI]:
    with failures():
        entry = begin_making(context, [(piece.sr, piece.image)])
        try:
            await copy_images(context, [piece])
            current().point_of_no_return()
            with context.store.transaction() as tx:
                made = record_copy(context, tx, piece)
            crash_points.reach("vdi_copy.committed")
        finally:
            finish_discard(context, entry)
    refresh_vdi(context, made)
    update_space(context, piece.sr)
    return made
