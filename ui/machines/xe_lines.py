"""What a terminal would be told in place of the commands on VMs and templates."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Final

from app.api import VM
from ui.base.commands import XeLine
from ui.base.xe_lines import always, line, of_each


def _by_uuid(command: str, *flags: str) -> XeLine:
    return of_each(VM, lambda vm: line(command, *flags, uuid=vm.uuid))


def _new(make: Callable[[VM, str], str]) -> XeLine:
    return of_each(VM, lambda vm: make(vm, f"{vm.name_label} copy"))


LINES: Final[Mapping[str, XeLine]] = {
    "vm.new": always(line("vm-install", template="TEMPLATE", new_name_label="NAME")),
    "vm.start": _by_uuid("vm-start"),
    "vm.shutdown": _by_uuid("vm-shutdown"),
    "vm.reboot": _by_uuid("vm-reboot"),
    "vm.suspend": _by_uuid("vm-suspend"),
    "vm.resume": _by_uuid("vm-resume"),
    "vm.pause": _by_uuid("vm-pause"),
    "vm.unpause": _by_uuid("vm-unpause"),
    "vm.force_shutdown": _by_uuid("vm-shutdown", "--force"),
    "vm.force_reboot": _by_uuid("vm-reboot", "--force"),
    "vm.copy": _new(lambda vm, name: line("vm-copy", uuid=vm.uuid, new_name_label=name)),
    "vm.convert_to_template": of_each(VM, lambda vm: line("vm-param-set", uuid=vm.uuid, is_a_template="true")),
    "vm.delete": _by_uuid("vm-uninstall"),
    "vm.properties": _by_uuid("vm-param-list"),
    "template.new_vm": _new(lambda vm, name: line("vm-install", template_uuid=vm.uuid, new_name_label=name)),
    "template.quick_create": _new(lambda vm, name: line("vm-install", template_uuid=vm.uuid, new_name_label=name)),
    "template.copy": _new(lambda vm, name: line("vm-copy", uuid=vm.uuid, new_name_label=name)),
    "template.convert_to_vm": of_each(VM, lambda vm: line("template-param-set", uuid=vm.uuid, is_a_template="false")),
    "template.delete": of_each(VM, lambda vm: line("template-uninstall", template_uuid=vm.uuid)),
    "snapshot.recreate_vm": of_each(VM, lambda vm: line("snapshot-revert", snapshot_uuid=vm.uuid)),
}
