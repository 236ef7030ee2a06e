"""What a terminal would be told in place of the commands on VMs and templates, and of their dialogs."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from typing import Final

from app.api import VM, VMOperation
from app.client import ObjectCache
from ui.base.commands import Selection, XeLine
from ui.base.workspace import Workspace
from ui.base.xe_lines import always, into, line, of_each, together
from ui.machines.creation import Way
from ui.models.names import unique_name, vm_names

#: by the end of a command's id: what is typed, its flags, and the operation that says which VMs take part
POWER: Final[Mapping[str, tuple[str, tuple[str, ...], VMOperation]]] = {
    "start": ("vm-start", (), VMOperation.start),
    "shutdown": ("vm-shutdown", (), VMOperation.clean_shutdown),
    "reboot": ("vm-reboot", (), VMOperation.clean_reboot),
    "suspend": ("vm-suspend", (), VMOperation.suspend),
    "resume": ("vm-resume", (), VMOperation.resume),
    "pause": ("vm-pause", (), VMOperation.pause),
    "unpause": ("vm-unpause", (), VMOperation.unpause),
    "force_shutdown": ("vm-shutdown", ("--force",), VMOperation.hard_shutdown),
    "force_reboot": ("vm-reboot", ("--force",), VMOperation.hard_reboot),
}


def power_lines(operation: VMOperation, vms: Iterable[VM]) -> str:
    """A line for each of these VMs."""
    command, flags, _ = next(entry for entry in POWER.values() if entry[2] is operation)
    return together(*(line(command, *flags, uuid=vm.uuid) for vm in vms))


def copy_line(cache: ObjectCache, vm: VM, name: str, way: Way) -> str:
    """A copy of a VM or template, fast or in full."""
    if not way.full:
        return line("vm-clone", uuid=vm.uuid, new_name_label=name)
    return line("vm-copy", uuid=vm.uuid, new_name_label=name, **into(cache, way.sr))


def delete_line(vm: VM, *, with_snapshots: bool) -> str:
    """What deletes a VM or template, after a question. xe takes the snapshots along unless it is told to keep them."""
    kept = {"keep_snapshots": "true"} if vm.snapshots and not with_snapshots else {}
    if vm.is_a_template:
        return line("template-uninstall", template_uuid=vm.uuid, **kept)
    return line("vm-uninstall", uuid=vm.uuid, **kept)


def template_line(vm: VM) -> str:
    """What turns a VM into a template."""
    return line("vm-param-set", uuid=vm.uuid, is_a_template="true")


def recreate_line(snapshot: VM) -> str:
    """What makes the VM of a snapshot again."""
    return line("snapshot-revert", snapshot_uuid=snapshot.uuid)


def _allowed(operation: VMOperation) -> Callable[[VM], bool]:
    return lambda vm: operation in vm.allowed_operations


def _power(name: str) -> XeLine:
    command, flags, operation = POWER[name]
    return of_each(VM, lambda vm: line(command, *flags, uuid=vm.uuid), _allowed(operation))


def _copy(vm: VM) -> str:
    fast = VMOperation.clone in vm.allowed_operations or VMOperation.copy not in vm.allowed_operations
    return line("vm-clone" if fast else "vm-copy", uuid=vm.uuid, new_name_label=f"Copy of {vm.name_label}")


def _new(vm: VM) -> str:
    return line("vm-install", template_uuid=vm.uuid, new_name_label=f"{vm.name_label} copy")


def _at_once(workspace: Workspace, selection: Selection) -> str:
    """With the name that it would get."""
    taken = vm_names(workspace.cache)

    def one(vm: VM) -> str:
        return line("vm-install", template_uuid=vm.uuid, new_name_label=unique_name(vm.name_label, taken))

    return of_each(VM, one)(workspace, selection)


_DELETE: Final = of_each(VM, lambda vm: delete_line(vm, with_snapshots=False), _allowed(VMOperation.destroy))

LINES: Final[Mapping[str, XeLine]] = {
    **{f"vm.{name}": _power(name) for name in POWER},
    "vm.new": always(line("vm-install", template="TEMPLATE", new_name_label="NAME")),
    "vm.copy": of_each(VM, _copy),
    "vm.convert_to_template": of_each(VM, template_line, _allowed(VMOperation.make_into_template)),
    "vm.delete": _DELETE,
    "vm.properties": of_each(VM, lambda vm: line("vm-param-list", uuid=vm.uuid)),
    "template.new_vm": of_each(VM, _new),
    "template.quick_create": _at_once,
    "template.copy": of_each(VM, _copy),
    "template.convert_to_vm": of_each(
        VM,
        lambda vm: line("template-param-set", uuid=vm.uuid, is_a_template="false"),
        lambda vm: not (vm.is_default_template or vm.current_operations),
    ),
    "template.delete": _DELETE,
    "snapshot.recreate_vm": of_each(VM, recreate_line),
}
