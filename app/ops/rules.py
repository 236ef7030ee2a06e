"""Which operations are possible on a VM now, and the error for each that is not.

Pure functions over records, in XenAPI's order of tests: the first that fails is the error. Only operations that this
engine implements are ever offered.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping
from typing import Final

from app.api import VDI, VM, Failure, VMOperation, VMPowerState
from app.api.enums import OnBoot
from app.api.failure import bad_power_state, not_allowed, other_operation
from app.api.types import is_null
from app.ops.locks import BOUND, lock_of

Op = VMOperation
_HALTED: Final = frozenset({VMPowerState.Halted})
_AT_REST: Final = frozenset({VMPowerState.Halted, VMPowerState.Suspended})
_RUNNING: Final = frozenset({VMPowerState.Running})
_ANY: Final = frozenset(VMPowerState)

POWER_STATES: Final[Mapping[VMOperation, frozenset[VMPowerState]]] = {
    Op.snapshot: _ANY,
    Op.snapshot_with_quiesce: _RUNNING,
    Op.checkpoint: frozenset({VMPowerState.Paused, VMPowerState.Suspended, VMPowerState.Running}),
    Op.clone: _HALTED,
    Op.copy: _HALTED,
    Op.revert: _ANY,
    Op.reverting: _ANY,
    Op.provision: _HALTED,
    Op.start: _HALTED,
    Op.start_on: _HALTED,
    Op.pause: _RUNNING,
    Op.unpause: frozenset({VMPowerState.Paused}),
    Op.clean_shutdown: _RUNNING,
    Op.clean_reboot: _RUNNING,
    Op.hard_shutdown: frozenset({VMPowerState.Paused, VMPowerState.Suspended, VMPowerState.Running}),
    Op.shutdown: frozenset({VMPowerState.Paused, VMPowerState.Suspended, VMPowerState.Running}),
    Op.hard_reboot: frozenset({VMPowerState.Paused, VMPowerState.Running}),
    Op.suspend: _RUNNING,
    Op.resume: frozenset({VMPowerState.Suspended}),
    Op.power_state_reset: _ANY,
    Op.changing_static_range: _HALTED,
    Op.changing_dynamic_range: _HALTED,
    Op.changing_VCPUs: _HALTED,
    Op.make_into_template: _HALTED,
    Op.destroy: _AT_REST,
    Op.export: _AT_REST,
    Op.metadata_export: _ANY,
}
"""The power states in which each implemented operation is accepted; also the list of what is implemented."""

_HIDDEN: Final = frozenset({Op.reverting, Op.shutdown, Op.power_state_reset, Op.changing_VCPUs})
_ON_TEMPLATE: Final = frozenset(
    {
        Op.changing_dynamic_range, Op.changing_static_range, Op.changing_VCPUs, Op.clone, Op.copy, Op.provision,
        Op.export, Op.metadata_export,
    }
)  # fmt: skip
_ON_SNAPSHOT: Final = frozenset(
    {Op.revert, Op.clone, Op.copy, Op.destroy, Op.hard_shutdown, Op.export, Op.metadata_export}
)
_TOGETHER: Final = (frozenset({Op.clone, Op.copy, Op.export}), frozenset({Op.snapshot, Op.checkpoint}))
_KEEPING: Final = frozenset({Op.snapshot, Op.checkpoint, Op.snapshot_with_quiesce, Op.suspend})
CUT_SHORT: Final = frozenset({Op.suspend, Op.checkpoint})
"""What takes long on a guest that runs: a hard shutdown cancels it."""
_WAITED_FOR: Final = frozenset(
    {
        Op.clean_shutdown, Op.clean_reboot, Op.hard_reboot, Op.pause, Op.unpause, Op.resume, Op.snapshot,
        Op.snapshot_with_quiesce,
    }
)  # fmt: skip
"""What a hard shutdown waits for, milliseconds as a rule, or ends by ending the guest."""
# The order in which XenAPI names the expected states.
_STATE_ORDER: Final = (VMPowerState.Halted, VMPowerState.Paused, VMPowerState.Suspended, VMPowerState.Running)


def why_not(ref: str, vm: VM, op: VMOperation, disks: Iterable[VDI] = (), *, agent: bool = False) -> Failure | None:
    """The error that `op` on this VM with these disks would meet now, or None if it may go ahead.

    :param agent: an agent inside the guest answers and can hold its file systems.
    """
    if op in vm.blocked_operations:
        return Failure("OPERATION_BLOCKED", ref, vm.blocked_operations[op])
    # Here a lock binds until it is lifted; `vm_lock.lift_expired` does that when its time is over.
    if op in BOUND and (lock := lock_of(vm)) is not None:
        return Failure("OPERATION_BLOCKED", ref, lock.reason)
    if op not in POWER_STATES:
        return not_allowed(f"{op.value} is not implemented by this engine")
    tests = (_power_state, _conflict, _template, _snapshot, _wrong_kind, _special)
    failure = next((found for test in tests if (found := test(ref, vm, op)) is not None), None)
    if failure is None and op is Op.snapshot_with_quiesce and not agent:
        return Failure("VM_SNAPSHOT_WITH_QUIESCE_NOT_SUPPORTED", ref)
    return failure or _resetting(op, disks)


def allowed_operations(ref: str, vm: VM, disks: Collection[VDI] = (), *, agent: bool = False) -> frozenset[VMOperation]:
    """The advisory list of a VM with these disks; `agent` as for `why_not`."""
    offered = (op for op in POWER_STATES if op not in _HIDDEN)
    return frozenset(op for op in offered if why_not(ref, vm, op, disks, agent=agent) is None)


def _power_state(ref: str, vm: VM, op: VMOperation) -> Failure | None:
    states = POWER_STATES[op]
    if op in (Op.clone, Op.copy) and vm.is_a_snapshot:
        states = _HALTED | {VMPowerState.Suspended}
    if vm.power_state in states:
        return None
    expected = ", ".join(s.value.lower() for s in _STATE_ORDER if s in states)
    return bad_power_state(ref, expected, vm.power_state.value)


def _conflict(ref: str, vm: VM, op: VMOperation) -> Failure | None:
    for task, running in vm.current_operations.items():
        if not _together(op, running):
            return other_operation("VM", ref, running.value, task)
    return None


def _together(op: VMOperation, running: VMOperation) -> bool:
    if any(op in group and running in group for group in _TOGETHER):
        return True
    if op is Op.snapshot and running is Op.snapshot_with_quiesce:
        return True
    # Cutting the power must always be possible, except over what decides the state that the VM is left in.
    if op is Op.hard_shutdown:
        return running in CUT_SHORT or running in _WAITED_FOR
    return op is Op.hard_reboot and running in (Op.clean_shutdown, Op.clean_reboot)


def _template(ref: str, vm: VM, op: VMOperation) -> Failure | None:
    if not vm.is_a_template or vm.is_a_snapshot or op in _ON_TEMPLATE:
        return None
    if op is Op.destroy:
        return Failure("VM_CANNOT_DELETE_DEFAULT_TEMPLATE", ref) if vm.is_default_template else None
    return Failure("VM_IS_TEMPLATE", ref, op.value)


def _snapshot(ref: str, vm: VM, op: VMOperation) -> Failure | None:
    return Failure("VM_IS_SNAPSHOT", ref, op.value) if vm.is_a_snapshot and op not in _ON_SNAPSHOT else None


def _wrong_kind(_ref: str, vm: VM, op: VMOperation) -> Failure | None:
    if op is Op.provision and not vm.is_a_template:
        return Failure("PROVISION_ONLY_ALLOWED_ON_TEMPLATE")
    if op is Op.revert and not vm.is_a_snapshot:
        return Failure("REVERT_ONLY_ALLOWED_ON_SNAPSHOT")
    return None


def _special(ref: str, vm: VM, op: VMOperation) -> Failure | None:
    if vm.is_control_domain and op is not Op.metadata_export:
        return not_allowed("This operation is not allowed on a control domain")
    if op is Op.make_into_template and not is_null(vm.snapshot_schedule):
        return Failure("VM_ASSIGNED_TO_SNAPSHOT_SCHEDULE", ref, vm.snapshot_schedule)
    return None


def _resetting(op: VMOperation, disks: Iterable[VDI]) -> Failure | None:
    """A disk that forgets at each boot cannot be kept. A XenServer looks here too, not at the field VDI.on_boot."""
    if op in _KEEPING and any(vdi.sm_config.get("on_boot") == OnBoot.reset for vdi in disks):
        return Failure("VDI_ON_BOOT_MODE_INCOMPATIBLE_WITH_OPERATION")
    return None
