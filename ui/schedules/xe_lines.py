"""What a terminal would be told in place of the commands on schedules."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final

from app.api import VM, VMSS, Ref
from ui.base.commands import Selection, XeLine
from ui.base.workspace import Workspace
from ui.base.xe_lines import always, line, of_each

_NEW: Final = {"type": "snapshot", "frequency": "daily", "schedule:hour": "0", "schedule:min": "0"}


def _assign(workspace: Workspace, selection: Selection) -> str:
    """To the schedule that the VM has, or to one that a person has to name."""

    def one(vm: VM) -> str:
        schedule = workspace.cache.get(VMSS, vm.snapshot_schedule)
        return line("vm-param-set", uuid=vm.uuid, snapshot_schedule=schedule.uuid if schedule else "SCHEDULE")

    return of_each(VM, one)(workspace, selection)


def _delete(workspace: Workspace, selection: Selection) -> str:
    """Its VMs leave it first."""

    def one(schedule: VMSS) -> str:
        vms = (workspace.cache.get(VM, Ref(ref)) for ref in sorted(schedule.VMs))
        leaving = [line("vm-param-set", uuid=vm.uuid, snapshot_schedule="") for vm in vms if vm is not None]
        return "\n".join((*leaving, line("vmss-destroy", uuid=schedule.uuid)))

    return of_each(VMSS, one)(workspace, selection)


LINES: Final[Mapping[str, XeLine]] = {
    "pool.schedules": always(line("vmss-list")),
    "schedule.new": always(line("vmss-create", name_label="NAME", **_NEW)),
    "vm.schedules": _assign,
    "schedule.toggle": of_each(
        VMSS, lambda vmss: line("vmss-param-set", uuid=vmss.uuid, enabled="false" if vmss.enabled else "true")
    ),
    "schedule.run": of_each(VMSS, lambda vmss: line("vmss-snapshot-now", uuid=vmss.uuid)),
    "schedule.delete": _delete,
    "schedule.properties": of_each(VMSS, lambda vmss: line("vmss-param-list", uuid=vmss.uuid)),
}
