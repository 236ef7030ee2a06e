"""VM.destroy and VM.uninstall: remove VMs, templates and snapshots, with or without their disks."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from contextlib import AbstractAsyncContextManager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Final

from app import crash_points
from app.api import (
    VBD,
    VDI,
    VIF,
    VM,
    Console,
    Failure,
    Ref,
    VBDType,
    VMCalls,
    VMGuestMetrics,
    VMMetrics,
    VMOperation,
    VMPowerState,
)
from app.api.types import is_null
from app.log import get
from app.ops.context import Context, Operations
from app.ops.disks import Reader
from app.ops.images import discarding, release_all
from app.ops.locking import operation, refresh_vdi, refresh_vm
from app.ops.power_state import drop_memory_image, mark_down
from app.ops.screenshots import drop_blobs, remove_files
from app.ops.task import current
from app.ops.translate import failures
from app.ops.vm_lock import lift_expired, require_unlocked
from app.ops.vm_power import stop_guest
from app.storage.journal import Entry
from app.store import Transaction

log = get(__name__)

FORGET: Final = "forget_guests"


class VMDestroyOps(Operations, VMCalls):
    """Removing VMs."""

    async def destroy(self, vm: Ref[VM]) -> None:
        lift_expired(self.context, [vm])
        async with operation(self.context, (vm, VMOperation.destroy)), self._alone(vm):
            await remove(self.context, [vm], with_disks=False)

    async def uninstall(self, vm: Ref[VM], with_snapshots: bool = False) -> None:
        record = self.store.get(VM, vm)
        snapshots = sorted(record.snapshots) if with_snapshots else []
        lift_expired(self.context, [vm, *snapshots])
        require_unlocked(self.context, vm, snapshots)
        # The snapshots are claimed before the guest is stopped: from now on none of them can be locked any more.
        async with operation(self.context, *((ref, VMOperation.destroy) for ref in snapshots)):
            if record.power_state in (VMPowerState.Running, VMPowerState.Paused):
                await self._switch_off(vm)
            async with operation(self.context, (vm, VMOperation.destroy)), self._alone(vm):
                await remove(self.context, [vm, *snapshots], with_disks=True)

    async def _switch_off(self, vm: Ref[VM]) -> None:
        async with operation(self.context, (vm, VMOperation.hard_shutdown)), self._alone(vm):
            await stop_guest(self.context, vm)
            with self.store.transaction() as tx:
                mark_down(self.context, tx, vm)

    def _alone(self, vm: Ref[VM]) -> AbstractAsyncContextManager[None]:
        record = self.store.get(VM, vm)
        return self.context.alone_with(record.snapshot_of if record.is_a_snapshot else vm)


@dataclass
class _Removal:
    """What goes with the VMs, gathered in the transaction that takes them out."""

    owned: list[str] = field(default_factory=list)
    images: list[tuple[str, str]] = field(default_factory=list)
    pictures: list[Path] = field(default_factory=list)
    relatives: set[str] = field(default_factory=set)


async def remove(context: Context, vms: Iterable[Ref[VM]], *, with_disks: bool) -> None:
    """Take the records out in one transaction, and free the disks they own if asked to."""
    doomed = list(vms)
    current().point_of_no_return()
    uuids = [context.store.get(VM, vm).uuid for vm in doomed if not context.store.get(VM, vm).is_a_snapshot]
    forgetting: Entry | None = None
    try:
        with discarding(context) as discard:
            with context.store.transaction() as tx:
                removal = _take_out(context, tx, doomed, with_disks=with_disks)
                discard.begin(removal.images)
                forgetting = _begin_forget(context, uuids)
            crash_points.reach("vm_destroy.recorded")
    finally:
        if forgetting is not None:
            await forget(context, forgetting)
    remove_files(removal.pictures)
    for relative in removal.relatives:
        refresh_vm(context, relative)
    for vdi in removal.owned:
        refresh_vdi(context, vdi)


def _take_out(context: Context, tx: Transaction, doomed: Sequence[Ref[VM]], *, with_disks: bool) -> _Removal:
    removal = _Removal()
    for vm in doomed:
        record = tx.get(VM, vm)
        removal.relatives |= {record.snapshot_of, record.parent, *record.children, *record.snapshots}
        removal.pictures += drop_blobs(context, tx, record)
        removal.owned += owned_disks(tx, vm)
        removal.images += drop_memory_image(context, tx, vm)
        _remove_records(tx, vm)
    if with_disks:
        removal.images += release_all(context, tx, removal.owned)
    return removal


def _begin_forget(context: Context, uuids: Sequence[str]) -> Entry | None:
    if not uuids:
        return None
    with failures():
        return context.journal.begin(FORGET, guests=list(uuids))


async def forget(context: Context, entry: Entry) -> None:
    """Remove what the driver keeps about the guests of VMs that are gone; then the entry ends. Safe to repeat."""
    known = {vm.uuid for vm in context.store.all(VM).values()}
    try:
        with failures():
            for uuid in entry.facts["guests"]:  # type: ignore[union-attr]
                if uuid not in known:
                    await context.driver.forget(str(uuid))
            entry.end()
    except Failure as failure:
        log.warning("what is left of a guest goes at the next start", entry=entry.id, error=str(failure))


def owned_disks(reader: Reader, vm: str) -> list[str]:
    """The disks that go with the VM: its own, and held by nothing else."""
    found: list[str] = []
    for vbd_ref in reader.get(VM, vm).VBDs:
        vbd = reader.get(VBD, vbd_ref)
        if vbd.type is VBDType.Disk and "owner" in vbd.other_config and not is_null(vbd.VDI):
            vdi = reader.get(VDI, vbd.VDI)
            if vdi.VBDs == {vbd_ref}:
                found.append(vbd.VDI)
    return found


def _remove_records(tx: Transaction, vm: Ref[VM]) -> None:
    record = tx.get(VM, vm)
    tx.delete_all(VBD, record.VBDs)
    tx.delete_all(VIF, record.VIFs)
    tx.delete_all(Console, record.consoles)
    tx.delete(VMMetrics, record.metrics)
    tx.delete(VMGuestMetrics, record.guest_metrics)
    for child in record.children:
        tx.update(VM, child, parent=record.parent)
    tx.delete(VM, vm)
