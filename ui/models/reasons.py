"""Why an operation on a VM is not possible now, in a sentence worked out from its record."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final

from app.api import VM, VMOperation, VMPowerState
from ui.models.states import STATE_WORDS, doing

_STATES: Final[Mapping[VMOperation, frozenset[VMPowerState]]] = {
    VMOperation.start: frozenset({VMPowerState.Halted}),
    VMOperation.clean_shutdown: frozenset({VMPowerState.Running}),
    VMOperation.clean_reboot: frozenset({VMPowerState.Running}),
    VMOperation.suspend: frozenset({VMPowerState.Running}),
    VMOperation.resume: frozenset({VMPowerState.Suspended}),
    VMOperation.pause: frozenset({VMPowerState.Running}),
    VMOperation.unpause: frozenset({VMPowerState.Paused}),
    VMOperation.hard_shutdown: frozenset({VMPowerState.Running, VMPowerState.Paused, VMPowerState.Suspended}),
    VMOperation.hard_reboot: frozenset({VMPowerState.Running, VMPowerState.Paused}),
    VMOperation.destroy: frozenset({VMPowerState.Halted, VMPowerState.Suspended}),
    VMOperation.changing_VCPUs: frozenset({VMPowerState.Halted}),
    VMOperation.clone: frozenset({VMPowerState.Halted}),
    VMOperation.copy: frozenset({VMPowerState.Halted}),
    VMOperation.make_into_template: frozenset({VMPowerState.Halted}),
    VMOperation.export: frozenset({VMPowerState.Halted, VMPowerState.Suspended}),
}
_EXPORT_ELSE: Final = "export a snapshot of it, or shut it down first"
_COPY_ELSE: Final = "shut it down first, or make a VM from a snapshot of it"
_INSTEAD: Final[Mapping[tuple[VMOperation, VMPowerState], str]] = {
    (VMOperation.start, VMPowerState.Running): "It is running already.",
    (VMOperation.start, VMPowerState.Suspended): "It is suspended: resume it instead.",
    (VMOperation.start, VMPowerState.Paused): "It is paused: unpause it instead.",
    (VMOperation.clean_shutdown, VMPowerState.Halted): "It is shut down already.",
    (VMOperation.clean_shutdown, VMPowerState.Paused): "It is paused: unpause it first, so that the guest can answer.",
    (VMOperation.clean_shutdown, VMPowerState.Suspended): "It is suspended: resume it first.",
    (VMOperation.clean_reboot, VMPowerState.Paused): "It is paused: unpause it first, so that the guest can answer.",
    (VMOperation.clean_reboot, VMPowerState.Suspended): "It is suspended: resume it first.",
    (VMOperation.suspend, VMPowerState.Suspended): "It is suspended already.",
    (VMOperation.suspend, VMPowerState.Paused): "It is paused: unpause it first.",
    (VMOperation.pause, VMPowerState.Paused): "It is paused already.",
    (VMOperation.hard_shutdown, VMPowerState.Halted): "It is shut down already.",
    (VMOperation.destroy, VMPowerState.Running): "It is running: shut it down first.",
    (VMOperation.destroy, VMPowerState.Paused): "It is paused: shut it down first.",
    (VMOperation.copy, VMPowerState.Running): f"It is running: {_COPY_ELSE}.",
    (VMOperation.copy, VMPowerState.Paused): f"It is paused: {_COPY_ELSE}.",
    (VMOperation.copy, VMPowerState.Suspended): f"It is suspended: {_COPY_ELSE}.",
    (VMOperation.export, VMPowerState.Running): f"It is running: {_EXPORT_ELSE}.",
    (VMOperation.export, VMPowerState.Paused): f"It is paused: {_EXPORT_ELSE}.",
    (VMOperation.make_into_template, VMPowerState.Running): "It is running: shut it down first.",
    (VMOperation.make_into_template, VMPowerState.Paused): "It is paused: shut it down first.",
    (VMOperation.make_into_template, VMPowerState.Suspended): "It is suspended: resume it and shut it down first.",
}


def why_not(vm: VM, operation: VMOperation) -> str:
    """Why the engine does not allow `operation` on this VM now; "" where it does."""
    if operation in vm.allowed_operations:
        return ""
    if operation in vm.blocked_operations:
        return f"This is blocked for it: {vm.blocked_operations[operation]}."
    if vm.is_default_template:
        return "It is a built-in template."
    if vm.is_a_template and operation is not VMOperation.destroy:
        return "It is a snapshot." if vm.is_a_snapshot else "It is a template."
    if vm.current_operations:
        return f"It is {doing(vm)}."
    return _by_state(vm, operation) or "The engine does not allow this now."


def why_not_states(vm: VM, operation: VMOperation) -> str:
    """The same for an operation that the engine does not publish: by power state and by what is under way."""
    return f"It is {doing(vm)}." if vm.current_operations else _by_state(vm, operation)


def _by_state(vm: VM, operation: VMOperation) -> str:
    if vm.power_state in _STATES.get(operation, frozenset(VMPowerState)):
        return ""
    return _INSTEAD.get((operation, vm.power_state), f"It is {STATE_WORDS[vm.power_state]}.")
