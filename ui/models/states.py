"""Power states in words, pictures and tones, and which VMs a selection holds."""

from __future__ import annotations

from typing import Final

from app.api import VM, Ref, VMOperation, VMPowerState
from app.client import ObjectCache
from ui.base.commands import Selection

Chosen = tuple[Ref[VM], VM]

STATE_WORDS: Final = {
    VMPowerState.Running: "running",
    VMPowerState.Paused: "paused",
    VMPowerState.Suspended: "suspended",
    VMPowerState.Halted: "shut down",
}
STATE_TONES: Final = {
    VMPowerState.Running: "good",
    VMPowerState.Paused: "attention",
    VMPowerState.Suspended: "info",
    VMPowerState.Halted: "secondary",
}

#: what is being done to a VM while the operation is under way: "it is being started"
DOING: Final = {
    VMOperation.snapshot: "having a snapshot taken",
    VMOperation.checkpoint: "having a snapshot with memory taken",
    VMOperation.snapshot_with_quiesce: "having a snapshot taken",
    VMOperation.clone: "being cloned",
    VMOperation.copy: "being copied",
    VMOperation.create_template: "being made into a template",
    VMOperation.make_into_template: "being made into a template",
    VMOperation.revert: "being reverted",
    VMOperation.reverting: "being reverted",
    VMOperation.provision: "being made",
    VMOperation.start: "starting",
    VMOperation.start_on: "starting",
    VMOperation.pause: "being paused",
    VMOperation.unpause: "being unpaused",
    VMOperation.clean_shutdown: "shutting down",
    VMOperation.shutdown: "shutting down",
    VMOperation.hard_shutdown: "being switched off",
    VMOperation.clean_reboot: "rebooting",
    VMOperation.hard_reboot: "rebooting",
    VMOperation.suspend: "being suspended",
    VMOperation.resume: "resuming",
    VMOperation.resume_on: "resuming",
    VMOperation.pool_migrate: "moving to another host",
    VMOperation.migrate_send: "moving to another pool",
    VMOperation.export: "being exported",
    VMOperation.metadata_export: "being exported",
    VMOperation.import_: "being imported",
    VMOperation.destroy: "being deleted",
}


def is_machine(vm: VM) -> bool:
    """Whether it is a VM that people run: no template, no snapshot, not the host's own domain."""
    return not (vm.is_a_template or vm.is_a_snapshot or vm.is_control_domain)


def is_template(vm: VM) -> bool:
    """Whether VMs are made from it: no VM, and no snapshot, which XenAPI calls a template too."""
    return vm.is_a_template and not vm.is_a_snapshot


def is_own_template(vm: VM) -> bool:
    """A template that somebody made, not a built-in one."""
    return is_template(vm) and not vm.is_default_template


def machines(cache: ObjectCache, selection: Selection) -> list[Chosen]:
    """The VMs among what is chosen, in that order."""
    found = ((Ref[VM](ref), cache.get(VM, ref)) for cls, ref in selection if cls == "VM")
    return [(ref, vm) for ref, vm in found if vm is not None and is_machine(vm)]


def doing(vm: VM) -> str:
    """What is being done to the VM now, "" when nothing is."""
    operation = next(iter(vm.current_operations.values()), None)
    return "" if operation is None else DOING.get(operation, "busy")


def state_words(vm: VM) -> str:
    """The power state, or what is being done to it."""
    return doing(vm) or STATE_WORDS[vm.power_state]


def state_icon(vm: VM) -> str:
    """The icon of the VM as it stands."""
    if vm.is_a_snapshot:
        memory, scheduled = vm.power_state is VMPowerState.Suspended, vm.is_vmss_snapshot
        return f"snapshot{'-memory' if memory else ''}{'-scheduled' if scheduled else ''}"
    if vm.is_a_template:
        return "template"
    return "vm-busy" if vm.current_operations else f"vm-{vm.power_state.value.lower()}"
