"""The commands of the VM menu, in XenCenter's words."""

from __future__ import annotations

from PySide6.QtGui import QGuiApplication

from app.api import VM
from ui.base.commands import ENABLED, Command, CommandState, Selection, disabled
from ui.base.workspace import Workspace
from ui.machines import power
from ui.machines.delete_vm import can_delete, delete
from ui.machines.properties import can_show_properties, show_properties


def copy_uuid(workspace: Workspace, selection: Selection) -> None:
    """Copy the UUIDs of the chosen VMs, one a line."""
    records = (workspace.cache.get(VM, ref) for cls, ref in selection if cls == "VM")
    QGuiApplication.clipboard().setText("\n".join(vm.uuid for vm in records if vm is not None))


def can_copy_uuid(workspace: Workspace, selection: Selection) -> CommandState:
    """Enabled with any VM, template or snapshot chosen."""
    some = any(cls == "VM" and workspace.cache.get(VM, ref) is not None for cls, ref in selection)
    return ENABLED if some else disabled("Choose a VM first.")


def register(workspace: Workspace) -> None:
    """Register the commands of VMs. Deleting has no shortcut of its own: the tree binds Del to it."""
    workspace.commands.add(*_power_commands(), *_other_commands())


def _power_commands() -> list[Command]:
    return [
        Command(id="vm.start", title="&Start", icon="play", shortcut="Ctrl+B", run=power.start, state=power.can_start),
        Command(
            id="vm.shutdown",
            title="Sh&ut Down",
            icon="power",
            shortcut="Ctrl+E",
            run=power.shut_down,
            state=power.can_shut_down,
        ),
        Command(
            id="vm.reboot", title="&Reboot", icon="restart", shortcut="Ctrl+R", run=power.reboot, state=power.can_reboot
        ),
        Command(
            id="vm.suspend",
            title="Su&spend",
            icon="suspend",
            shortcut="Ctrl+Y",
            run=power.suspend,
            state=power.can_suspend,
        ),
        Command(
            id="vm.resume",
            title="R&esume",
            icon="resume",
            shortcut="Ctrl+Shift+Y",
            run=power.resume,
            state=power.can_resume,
        ),
        Command(id="vm.pause", title="&Pause", icon="pause", run=power.pause, state=power.can_pause),
        Command(id="vm.unpause", title="U&npause", icon="resume", run=power.unpause, state=power.can_unpause),
        Command(
            id="vm.force_shutdown",
            title="&Force Shut Down…",
            icon="force-stop",
            run=power.force_shut_down,
            state=power.can_force_shut_down,
        ),
        Command(
            id="vm.force_reboot",
            title="Force Re&boot…",
            icon="force-restart",
            run=power.force_reboot,
            state=power.can_force_reboot,
        ),
    ]


def _other_commands() -> list[Command]:
    return [
        Command(id="vm.delete", title="&Delete VM…", icon="delete", run=delete, state=can_delete),
        Command(
            id="vm.properties",
            title="P&roperties…",
            icon="settings",
            shortcut="Alt+Return",
            run=show_properties,
            state=can_show_properties,
        ),
        Command(id="vm.copy_uuid", title="Copy &UUID", icon="copy", run=copy_uuid, state=can_copy_uuid),
    ]
