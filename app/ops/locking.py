"""Operation locks: who works on which object, published in current_operations for the time it takes."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Iterator, Sequence
from contextlib import asynccontextmanager, contextmanager

from app.api import SR, VBD, VDI, VM, Failure, VDIOperation, VDIType, VMOperation
from app.ops.context import Context
from app.ops.rules import allowed_operations, sr_operations, vbd_operations, vdi_operations, why_not
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
    """The error that an operation on a VM would meet now, or None. :raise Failure: HANDLE_INVALID."""
    vm = context.store.get(VM, ref)
    return why_not(ref, vm, op, agent=context.driver.has_agent(vm.uuid))


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
    agent = context.driver.has_agent(vm.uuid)
    store.publish(VM, ref, allowed_operations=allowed_operations(ref, vm, agent=agent))
    for vbd_ref in vm.VBDs:
        vbd = store.find(VBD, vbd_ref)
        if vbd is not None:
            store.publish(VBD, vbd_ref, allowed_operations=vbd_operations(vbd, vm.power_state))
            refresh_vdi(context, vbd.VDI)


def refresh_vdi(context: Context, ref: str) -> None:
    """Publish what is possible on a disk now."""
    store = context.store
    vdi = store.find(VDI, ref)
    if vdi is None:
        return
    sr = store.find(SR, vdi.SR)
    attached = any((vbd := store.find(VBD, b)) is not None and vbd.currently_attached for b in vdi.VBDs)
    held = attached or vdi.type is VDIType.suspend
    is_iso = sr is not None and sr.type == "iso"
    store.publish(VDI, ref, allowed_operations=vdi_operations(vdi, held, is_iso))


def refresh_all(context: Context) -> None:
    """Publish what is possible on every object; done once when the engine opens."""
    for ref, sr in list(context.store.all(SR).items()):
        context.store.publish(SR, ref, allowed_operations=sr_operations(sr.type == "iso"))
    for vdi in list(context.store.all(VDI)):
        refresh_vdi(context, vdi)
    for vm in list(context.store.all(VM)):
        refresh_vm(context, vm)
