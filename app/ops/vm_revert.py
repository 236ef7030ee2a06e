"""VM.revert: put a VM back to a snapshot, without ever being without a state to go back to.

Order: journal, new overlays on the frozen images, end the guest, one store transaction that moves the disks to the
overlays, then the old images go. Until the transaction the VM is what it was; after it, it is the snapshot. A
checkpoint's memory image is shared before the guest ends: after the transaction the VM is Suspended with an image of
its own, and the checkpoint keeps its own, so that it can be gone back to again.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Mapping
from typing import Any, Final

from app import crash_points
from app.api import (
    NULL,
    VBD,
    VDI,
    VIF,
    VM,
    Failure,
    Ref,
    VBDType,
    VMCalls,
    VMGuestMetrics,
    VMMetrics,
    VMOperation,
    VMPowerState,
)
from app.api.types import is_null, new_ref, new_uuid
from app.ops.context import Context, Operations
from app.ops.disks import check_depth, disks
from app.ops.images import discarding, leaf_and_bases
from app.ops.locking import operation, refresh_vm
from app.ops.memory_images import record_shared_image
from app.ops.power_state import drop_memory_image, mark_down
from app.ops.snapshot_metadata import fields_to_restore
from app.ops.task import current
from app.ops.translate import failures
from app.ops.vm_power import stop_guest
from app.ops.vm_snapshot import copy_record
from app.storage.journal import Entry
from app.store import Transaction

REVERT: Final = "vm_revert"


class VMRevertOps(Operations, VMCalls):
    """VM.revert."""

    async def revert(self, snapshot: Ref[VM]) -> None:
        record = self.store.get(VM, snapshot)
        if not record.is_a_snapshot:
            raise Failure("VM_REVERT_FAILED", snapshot, NULL)
        vm = record.snapshot_of
        claims = ((snapshot, VMOperation.revert), (vm, VMOperation.reverting))
        async with operation(self.context, *claims), self.context.alone_with(vm):
            await revert(self.context, snapshot, vm)


async def revert(
    context: Context, snapshot: Ref[VM], vm: Ref[VM], *, when_prepared: Callable[[], Awaitable[None]] | None = None
) -> None:
    """Revert; the caller holds both.

    :param when_prepared: awaited when all is in place and nothing has changed yet; if it fails, nothing will.
    :raise Failure: the VM is as it was, or switched off at the most.
    """
    plan = plan_revert(context, snapshot, vm)
    with failures(vm):
        entry = context.journal.begin(REVERT, **plan)
    crash_points.reach("vm_revert.journaled")
    try:
        with failures(vm):
            for sr, pairs in overlays(plan).items():
                context.files(sr).create_overlays(pairs)
            await share_memory(context, plan)
        crash_points.reach("vm_revert.overlays_written")
        if when_prepared is not None:
            await when_prepared()
        current().progress(0.3)
        current().point_of_no_return()
        await stop_guest(context, vm)
        crash_points.reach("vm_revert.guest_stopped")
        current().progress(0.6)
        commit(context, plan)
        crash_points.reach("vm_revert.committed")
        entry.end()
    except BaseException:
        await context.settle(vm, entry)
        if not _committed(context, plan):
            raise
    current().progress(0.9)


def plan_revert(context: Context, snapshot: Ref[VM], vm: Ref[VM]) -> dict[str, Any]:
    """What a recovery needs to complete or undo the revert, as JSON; `vm` may be one that is still to be made.

    :raise Failure: SR_BACKEND_FAILURE_109, 46.
    """
    now = {disk.vdi_ref: vdi for disk, vdi in disks(context.store, vm)} if context.store.find(VM, vm) else {}
    moved, made = [], []
    for disk, frozen in disks(context.store, snapshot):
        check_depth(context, frozen)
        item = {
            "vbd": disk.vbd_ref,
            "sr": frozen.SR,
            "frozen": frozen.location,
            "frozen_vdi": disk.vdi_ref,
            "overlay": context.files(frozen.SR).new_id(),
        }
        current_disk = now.get(frozen.snapshot_of)
        if current_disk is not None and current_disk.SR == frozen.SR:
            moved.append({**item, "vdi": frozen.snapshot_of, "old": current_disk.location})
        else:
            made.append({**item, "vdi": new_ref()})
    plan = {"vm": vm, "snapshot": snapshot, "moved": moved, "made": made, "marker": new_uuid()}
    return {**plan, "memory": _memory_plan(context, snapshot)}


def _memory_plan(context: Context, snapshot: Ref[VM]) -> dict[str, str]:
    """The image for the VM beside the checkpoint's; empty if the snapshot has no memory."""
    source = context.store.get(VM, snapshot).suspend_VDI
    vdi = context.store.find(VDI, source)
    if vdi is None:
        return {}
    return {"vdi": source, "sr": vdi.SR, "source": vdi.location, "image": context.files(vdi.SR).new_id()}


async def share_memory(context: Context, plan: Mapping[str, Any]) -> None:
    """Make the VM's own image of a checkpoint's memory. :raise StorageError: nothing is made then."""
    memory = plan["memory"]
    if memory:
        files = context.files(memory["sr"])
        await asyncio.to_thread(files.share_memory, memory["source"], memory["image"])
        crash_points.reach("vm_revert.memory_shared")


def overlays(plan: Mapping[str, Any]) -> dict[str, list[tuple[str, str]]]:
    """By repository, the new overlays and the frozen images under them."""
    pairs: dict[str, list[tuple[str, str]]] = {}
    for disk in (*plan["moved"], *plan["made"]):
        pairs.setdefault(disk["sr"], []).append((disk["overlay"], disk["frozen"]))
    return pairs


def _committed(context: Context, plan: Mapping[str, Any]) -> bool:
    vm = context.store.find(VM, plan["vm"])
    return vm is not None and vm.generation_id == _generation(plan)


def _generation(plan: Mapping[str, Any]) -> str:
    """A revert gives the VM this generation id: it tells guests, and a recovery, that the state changed."""
    return str(plan["marker"])


def commit(context: Context, plan: Mapping[str, Any]) -> None:
    """Move the VM to the snapshot's state in one transaction, then free what only the old state used."""
    vm: Ref[VM] = Ref(plan["vm"])
    snapshot: Ref[VM] = Ref(plan["snapshot"])
    with discarding(context) as discard:
        with context.store.transaction() as tx:
            dropped = drop_memory_image(context, tx, vm)
            mark_down(context, tx, vm, VMPowerState.Suspended if plan["memory"] else VMPowerState.Halted)
            before, source = tx.get(VM, vm), tx.get(VM, snapshot)
            replace_disks(context, tx, vm, plan)
            replace_networks(tx, vm, snapshot)
            _restore_figures(tx, before, source)
            fields = fields_to_restore(source, before)
            hang_memory(tx, vm, plan["memory"])
            tx.update(VM, vm, **{**fields, "parent": snapshot, "generation_id": _generation(plan)})
            context.post(tx, "VM_SNAPSHOT_REVERTED", 5, vm, _news(before, source))
            freed = [image for d in plan["moved"] for image in leaf_and_bases(context, tx, d["sr"], d["old"])]
            discard.begin([*dropped, *freed])
        refresh_vm(context, vm)
        refresh_vm(context, snapshot)
        crash_points.reach("vm_revert.recorded")


def hang_memory(tx: Transaction, vm: Ref[VM], memory: Mapping[str, str]) -> None:
    """After a checkpoint the VM is Suspended: what it did then goes on when it is resumed."""
    if memory:
        record_shared_image(tx, vm, tx.get(VDI, memory["vdi"]), memory["image"])


def _news(vm: VM, snapshot: VM) -> str:
    return f"VM '{vm.name_label}' (uuid: {vm.uuid}) reverted to '{snapshot.name_label}' (uuid: {snapshot.uuid})"


def replace_disks(context: Context, tx: Transaction, vm: Ref[VM], plan: Mapping[str, Any]) -> None:
    """Disks that the snapshot knows go back and keep their identity; others are taken off the VM and kept."""
    tx.delete_all(VBD, tx.get(VM, vm).VBDs)
    disk_of: dict[str, str] = {}
    for disk in plan["moved"]:
        _move_disk(context, tx, disk)
        disk_of[disk["vbd"]] = disk["vdi"]
    for disk in plan["made"]:
        _make_disk(context, tx, disk)
        disk_of[disk["vbd"]] = disk["vdi"]
    for vbd_ref in tx.get(VM, plan["snapshot"]).VBDs:
        vbd = tx.get(VBD, vbd_ref)
        vdi = disk_of.get(vbd_ref, NULL) if vbd.type is VBDType.Disk else vbd.VDI
        tx.create(copy_record(vbd, VM=vm, VDI=vdi, currently_attached=False))


def _move_disk(context: Context, tx: Transaction, disk: Mapping[str, Any]) -> None:
    frozen = tx.get(VDI, disk["frozen_vdi"])
    files = context.files(disk["sr"])
    with failures():
        size = files.physical_utilisation(disk["overlay"])
    tx.update(
        VDI,
        disk["vdi"],
        location=disk["overlay"],
        virtual_size=frozen.virtual_size,
        physical_utilisation=size,
        sm_config={**frozen.sm_config, "vhd-parent": disk["frozen"]},
    )


def _make_disk(context: Context, tx: Transaction, disk: Mapping[str, Any]) -> None:
    """The VM's own disk is gone: it comes back as a new one, and its snapshots belong to that from now on."""
    frozen = tx.get(VDI, disk["frozen_vdi"])
    with failures():
        size = context.files(disk["sr"]).physical_utilisation(disk["overlay"])
    made = copy_record(
        frozen,
        VBDs=frozenset(),
        snapshots=frozenset(),
        is_a_snapshot=False,
        snapshot_of=NULL,
        location=disk["overlay"],
        physical_utilisation=size,
        sm_config={**frozen.sm_config, "vhd-parent": disk["frozen"]},
    )
    ref: Ref[VDI] = tx.create(made, Ref(disk["vdi"]))
    for other, vdi in context.store.all(VDI).items():
        same = vdi.snapshot_of == frozen.snapshot_of and not is_null(frozen.snapshot_of)
        if same or other == disk["frozen_vdi"]:
            tx.update(VDI, other, snapshot_of=ref)


def replace_networks(tx: Transaction, vm: Ref[VM], snapshot: Ref[VM]) -> None:
    """Give the VM the snapshot's network interfaces, hardware addresses and all."""
    tx.delete_all(VIF, tx.get(VM, vm).VIFs)
    for vif in tx.get(VM, snapshot).VIFs:
        tx.create(copy_record(tx.get(VIF, vif), VM=vm, currently_attached=False))


def _restore_figures(tx: Transaction, vm: VM, snapshot: VM) -> None:
    if not is_null(vm.metrics) and not is_null(snapshot.metrics):
        install_time = tx.get(VMMetrics, snapshot.metrics).install_time
        tx.update(VMMetrics, vm.metrics, install_time=install_time)
    if not is_null(vm.guest_metrics):
        tx.update(VMGuestMetrics, vm.guest_metrics, live=False)


def _drop_shared(context: Context, memory: Mapping[str, str] | None) -> None:
    if memory:
        files = context.files(memory["sr"])
        files.remove_memory_part(memory["image"])
        files.discard([memory["image"]])


async def recover(context: Context, entry: Entry) -> None:
    """Undo a revert that was not committed. Safe to repeat."""
    plan: dict[str, Any] = dict(entry.facts)
    # What a committed revert left over has a journal entry of its own.
    if not _committed(context, plan):
        with failures():
            for sr, pairs in overlays(plan).items():
                context.files(sr).discard(overlay for overlay, _ in pairs)
            _drop_shared(context, plan.get("memory"))
    entry.end()
    vm = context.store.find(VM, plan["vm"])
    if vm is not None and context.driver.state(vm.uuid) == "absent" and vm.power_state.value in ("Running", "Paused"):
        with context.store.transaction() as tx:
            mark_down(context, tx, plan["vm"])
            # Nobody else says so: it ended for a revert that did not happen, or unseen during it.
            context.post(tx, "VM_SHUTDOWN", 4, plan["vm"], f"VM '{vm.name_label}' is off: its revert was interrupted")
        refresh_vm(context, plan["vm"])
