"""VM.revert to a snapshot whose VM was destroyed: the VM is made again as it was, with its uuid.

Order: overlays on the frozen images, journaled as images being made, then one store transaction with the VM, its disks
and its networks, in which all snapshots of the old VM become the new one's. Before it nothing has changed.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import msgspec

from app import crash_points
from app.api import NULL, SR, VM, Host, Ref, VMGuestMetrics, VMMetrics, VMOperation, VMPowerState
from app.api.types import EPOCH, is_null, new_ref, new_uuid
from app.ops.context import Context
from app.ops.images import begin_making, finish_discard
from app.ops.locking import operation, refresh_vm
from app.ops.snapshot_metadata import fields_to_restore, unpack
from app.ops.task import current
from app.ops.translate import failures
from app.ops.vm_revert import (
    VMRevertOps,
    hang_memory,
    overlays,
    plan_revert,
    replace_disks,
    replace_networks,
    share_memory,
)
from app.ops.vm_snapshot import copy_record
from app.store import Transaction


class VMRecreateOps(VMRevertOps):
    """VM.revert, also where the VM is gone."""

    async def revert(self, snapshot: Ref[VM]) -> None:
        record = self.store.get(VM, snapshot)
        gone = record.snapshot_of
        if record.is_a_snapshot and self.store.find(VM, gone) is None:
            async with operation(self.context, (snapshot, VMOperation.revert)), self.context.alone_with(gone):
                # A sibling may have brought the VM back while we waited.
                if self.store.get(VM, snapshot).snapshot_of == gone:
                    await self.context.merging.give_way(self.store, snapshot)
                    await recreate(self.context, snapshot)
                    return
        await super().revert(snapshot)


async def recreate(context: Context, snapshot: Ref[VM]) -> Ref[VM]:
    """Make the VM of a snapshot again; the caller holds it. :raise Failure: nothing has changed then."""
    plan = plan_revert(context, snapshot, new_ref())
    with failures(snapshot):
        made = [(disk["sr"], disk["overlay"]) for disk in plan["made"]]
        memory = [(plan["memory"]["sr"], plan["memory"]["image"])] if plan["memory"] else []
        entry = begin_making(context, [*made, *memory])
        try:
            for sr, pairs in overlays(plan).items():
                context.files(sr).create_overlays(pairs)
            await share_memory(context, plan)
            crash_points.reach("vm_recreate.overlays_written")
            current().progress(0.5)
            current().point_of_no_return()
            _commit(context, plan)
            crash_points.reach("vm_recreate.committed")
        finally:
            finish_discard(context, entry)
    vm: Ref[VM] = Ref(plan["vm"])
    for ref in (vm, *context.store.get(VM, vm).snapshots):
        refresh_vm(context, ref)
    return vm


def _commit(context: Context, plan: Mapping[str, Any]) -> None:
    vm: Ref[VM] = Ref(plan["vm"])
    snapshot: Ref[VM] = Ref(plan["snapshot"])
    with context.store.transaction() as tx:
        source = tx.get(VM, snapshot)
        made = _record(context, tx, snapshot, source)
        if plan["memory"]:
            made = msgspec.structs.replace(made, power_state=VMPowerState.Suspended)
        tx.create(made, vm)
        for ref in _siblings(context, snapshot, source):
            tx.update(VM, ref, snapshot_of=vm)
        replace_disks(context, tx, vm, plan)
        replace_networks(tx, vm, snapshot)
        hang_memory(tx, vm, plan["memory"])
        body = f"VM '{made.name_label}' (uuid: {made.uuid}) was made again from '{source.name_label}'"
        context.post(tx, "VM_SNAPSHOT_REVERTED", 5, vm, f"{body} (uuid: {source.uuid})")


def _siblings(context: Context, snapshot: Ref[VM], source: VM) -> list[Ref[VM]]:
    """The snapshots of the VM that is gone; of one that was never known, this one alone."""
    if is_null(source.snapshot_of):
        return [snapshot]
    known = context.store.all(VM).items()
    return [ref for ref, vm in known if vm.is_a_snapshot and vm.snapshot_of == source.snapshot_of]


def _record(context: Context, tx: Transaction, snapshot: Ref[VM], source: VM) -> VM:
    """The VM's record as the snapshot has kept it; what refers to objects that are gone is left out."""
    recorded = unpack(source.snapshot_metadata)
    kept = recorded or source
    fields = {"name_label": source.name_label, **fields_to_restore(source, VM())}
    sr, host = kept.suspend_SR, kept.affinity
    return VM(**{
        **fields,
        "uuid": _uuid(context, recorded),
        "tags": kept.tags,
        "suspend_SR": sr if context.store.find(SR, sr) is not None else NULL,
        "affinity": host if context.store.find(Host, host) is not None else NULL,
        "appliance": NULL,
        "parent": snapshot,
        "generation_id": new_uuid(),
        "metrics": _metrics(tx, source),
        "guest_metrics": _guest_metrics(tx, source),
    })  # fmt: skip


def _uuid(context: Context, recorded: VM | None) -> str:
    """The VM's old uuid, unless it is not known or another object has it by now."""
    taken = {vm.uuid for vm in context.store.all(VM).values()}
    return recorded.uuid if recorded is not None and recorded.uuid not in taken else new_uuid()


def _metrics(tx: Transaction, source: VM) -> Ref[VMMetrics]:
    install_time = EPOCH if is_null(source.metrics) else tx.get(VMMetrics, source.metrics).install_time
    return tx.create(VMMetrics(install_time=install_time))


def _guest_metrics(tx: Transaction, source: VM) -> Ref[VMGuestMetrics]:
    if is_null(source.guest_metrics):
        return NULL
    return tx.create(copy_record(tx.get(VMGuestMetrics, source.guest_metrics), live=False))
