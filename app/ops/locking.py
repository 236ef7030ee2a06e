"""Operation locks: who works on which object, published in current_operations for the time it takes."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Iterator, Sequence
from contextlib import asynccontextmanager, contextmanager

from app.api import SR, VBD, VDI, VM, Failure, VBDType, VDIOperation, VMOperation
from app.ops.context import Context
from app.ops.disk_rules import Holder, holder_of, sr_operations, vbd_operations, vdi_operations, why_not_disk
from app.ops.quiesce import is_possible
from app.ops.rules import allowed_operations, why_not
from app.ops.task import current

PATIENCE_SECONDS = 10.0
"""How long a call waits for another operation on the same object before OTHER_OPERATION_IN_PROGRESS."""

Claim = tuple[str, VMOperation]


@asynccontextmanager
async def operation(context: Context, *claims: Claim) -> AsyncIterator[None]:
    """Hold the given (VM, operation) pairs, all or none.

    :raise Failure: the first rule that one of them breaks.
    """
    task = current()
    await _wait_for(context, claims)
    for ref, op in claims:
        _set_operations(context, ref, {**context.store.get(VM, ref).current_operations, task.ref: op})
    try:
        yield
    finally:
        for ref, _ in claims:
            vm = context.store.find(VM, ref)
            if vm is not None:
                remaining = {t: op for t, op in vm.current_operations.items() if t != task.ref}
                _set_operations(context, ref, remaining)


async def _wait_for(context: Context, claims: Sequence[Claim]) -> None:
    deadline = asyncio.get_running_loop().time() + PATIENCE_SECONDS
    while True:
        failure = next(_refusals(context, claims), None)
        if failure is None:
            return
        if failure.code != "OTHER_OPERATION_IN_PROGRESS" or asyncio.get_running_loop().time() > deadline:
            raise failure
        current().describe("Waiting for another operation on this VM")
        current().check()
        await asyncio.sleep(0.05)


def _refusals(context: Context, claims: Sequence[Claim]) -> Iterator[Failure]:
    for ref, op in claims:
        failure = refusal(context, ref, op)
        if failure is not None:
            yield failure


def refusal(context: Context, ref: str, op: VMOperation) -> Failure | None:
    """The error that the operation on a VM would meet now, or None. :raise Failure: HANDLE_INVALID."""
    vm = context.store.get(VM, ref)
    return why_not(ref, vm, op, _disks_of(context, vm), agent=is_possible(context, vm))


def _disks_of(context: Context, vm: VM) -> list[VDI]:
    vbds = (context.store.find(VBD, ref) for ref in vm.VBDs)
    found = (context.store.find(VDI, vbd.VDI) for vbd in vbds if vbd is not None and vbd.type is VBDType.Disk)
    return [vdi for vdi in found if vdi is not None]


@contextmanager
def disk_operation(context: Context, vdis: Sequence[str], op: VDIOperation) -> Iterator[None]:
    """Publish that the current task works on these disks; the VM that holds them is claimed by `operation`."""
    task = current()
    for ref in vdis:
        known = context.store.get(VDI, ref).current_operations
        context.store.publish(VDI, ref, current_operations={**known, task.ref: op})
        refresh_vdi(context, ref)
    try:
        yield
    finally:
        for ref in vdis:
            vdi = context.store.find(VDI, ref)
            if vdi is not None:
                remaining = {t: o for t, o in vdi.current_operations.items() if t != task.ref}
                context.store.publish(VDI, ref, current_operations=remaining)
                refresh_vdi(context, ref)


def _set_operations(context: Context, ref: str, operations: dict[str, VMOperation]) -> None:
    context.store.publish(VM, ref, current_operations=operations)
    refresh_vm(context, ref)


def refresh_vm(context: Context, ref: str) -> None:
    """Publish what is possible on a VM, its drives and disks now."""
    store = context.store
    vm = store.find(VM, ref)
    if vm is None:
        return
    possible_now = allowed_operations(ref, vm, _disks_of(context, vm), agent=is_possible(context, vm))
    store.publish(VM, ref, allowed_operations=possible_now)
    for vbd_ref in vm.VBDs:
        vbd = store.find(VBD, vbd_ref)
        if vbd is not None:
            possible = vbd_operations(vbd, vm.power_state, of_snapshot=vm.is_a_snapshot)
            store.publish(VBD, vbd_ref, allowed_operations=possible)
            refresh_vdi(context, vbd.VDI)


def refresh_vdi(context: Context, ref: str) -> None:
    """Publish what is possible on a disk now."""
    store = context.store
    vdi = store.find(VDI, ref)
    if vdi is None:
        return
    operations = vdi_operations(vdi, _holders(context, vdi), is_iso=_is_iso(context, vdi))
    store.publish(VDI, ref, allowed_operations=operations)


def require_disk_operation(context: Context, ref: str, op: VDIOperation) -> VDI:
    """The record of a disk that the operation may go ahead on. :raise Failure: the first rule that it breaks."""
    vdi = context.store.get(VDI, ref)
    failure = why_not_disk(ref, vdi, op, _holders(context, vdi), is_iso=_is_iso(context, vdi))
    if failure is not None:
        raise failure
    return vdi


def _holders(context: Context, vdi: VDI) -> list[Holder]:
    found = (context.store.find(VBD, ref) for ref in vdi.VBDs)
    return [holder_of(vbd, context.store.find(VM, vbd.VM)) for vbd in found if vbd is not None]


def _is_iso(context: Context, vdi: VDI) -> bool:
    sr = context.store.find(SR, vdi.SR)
    return sr is not None and sr.type == "iso"


def refresh(context: Context, cls: str, ref: str) -> None:
    """Publish what is possible on an object that a client has changed: its settings may forbid something."""
    if cls == "VM":
        refresh_vm(context, ref)
    vdi = context.store.find(VDI, ref) if cls == "VDI" else None
    if vdi is not None:
        refresh_vdi(context, ref)
        for vbd in (context.store.find(VBD, held_by) for held_by in vdi.VBDs):
            if vbd is not None:
                refresh_vm(context, vbd.VM)


def refresh_all(context: Context) -> None:
    """Publish what is possible on every object; done once when the engine opens."""
    for ref, sr in list(context.store.all(SR).items()):
        context.store.publish(SR, ref, allowed_operations=sr_operations(sr.type == "iso"))
    for vdi in list(context.store.all(VDI)):
        refresh_vdi(context, vdi)
    for vm in list(context.store.all(VM)):
        refresh_vm(context, vm)
