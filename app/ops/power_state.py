"""Recording what a VM's guest does: the store transactions behind starting, stopping and resuming."""

from __future__ import annotations

from app.api import EPOCH, NULL, VBD, VDI, VIF, VM, Console, Ref, VMGuestMetrics, VMMetrics, VMPowerState
from app.api.enums import ConsoleProtocol
from app.api.types import is_null, new_ref
from app.ops.context import Context
from app.store import Transaction


def mark_running(context: Context, tx: Transaction, vm: str, *, paused: bool = False, booted: bool = True) -> None:
    """Record that the VM has a guest now; `booted` is false when it continues from a memory image."""
    record = tx.get(VM, vm)
    state = VMPowerState.Paused if paused else VMPowerState.Running
    tx.update(VM, vm, power_state=state, resident_on=context.host, domid=max(record.domid, 0) or 1, domarch="x86_64")
    for vbd in record.VBDs:
        tx.update(VBD, vbd, currently_attached=True)
    for vif in record.VIFs:
        tx.update(VIF, vif, currently_attached=True)
    if not record.consoles:
        for protocol in (ConsoleProtocol.rfb, ConsoleProtocol.vt100):
            ref = new_ref()
            tx.create(Console(protocol=protocol, location=f"/console?ref={ref}", VM=Ref(vm)), ref)
    if not is_null(record.metrics):
        fresh = {"start_time": context.now()} if booted else {}
        tx.update(
            VMMetrics,
            record.metrics,
            memory_actual=record.memory_dynamic_max,
            VCPUs_number=record.VCPUs_at_startup,
            last_updated=context.now(),
            **fresh,
        )


def state_of_guest(context: Context, vm: str) -> VMPowerState:
    """What a guest that was let run does: QEMU may have stopped it at once, for a disk that refuses a write.

    The news of that can come before the operation that let it run is recorded, which must not cover it.
    """
    still = context.driver.state(context.store.get(VM, vm).uuid) in ("io-error", "crashed")
    return VMPowerState.Paused if still else VMPowerState.Running


def mark_down(context: Context, tx: Transaction, vm: str, state: VMPowerState = VMPowerState.Halted) -> None:
    """Record that the VM has no guest any more: Halted, or Suspended with its memory image."""
    record = tx.get(VM, vm)
    tx.update(VM, vm, power_state=state, resident_on=NULL, domid=-1)
    for vbd in record.VBDs:
        tx.update(VBD, vbd, currently_attached=False)
    for vif in record.VIFs:
        tx.update(VIF, vif, currently_attached=False)
    tx.delete_all(Console, record.consoles)
    if not is_null(record.guest_metrics):
        tx.update(VMGuestMetrics, record.guest_metrics, live=False)
    if not is_null(record.metrics) and state is VMPowerState.Halted:
        tx.update(VMMetrics, record.metrics, memory_actual=0, start_time=EPOCH, last_updated=context.now())


def drop_memory_image(context: Context, tx: Transaction, vm: str) -> list[tuple[str, str]]:
    """Take the memory image from a suspended VM or checkpoint; answer (SR, image) pairs to discard after the commit."""
    record = tx.get(VM, vm)
    if is_null(record.suspend_VDI):
        return []
    image = context.store.find(VDI, record.suspend_VDI)
    tx.update(VM, vm, suspend_VDI=NULL)
    if image is None:
        return []
    tx.delete(VDI, record.suspend_VDI)
    return [(image.SR, image.location)]
