"""The commands of the VM menu, in XenCenter's words."""

from __future__ import annotations

from typing import Final

from PySide6.QtGui import QGuiApplication

from app.api import VM
from ui.base.commands import ENABLED, Command, CommandState, Selection, disabled
from ui.base.workspace import Workspace
from ui.base.xe_lines import with_xe
from ui.machines import orphans, power, templates
from ui.machines.copy_vm import can_copy, copy
from ui.machines.delete_vm import can_delete, delete
from ui.machines.new_vm_wizard import can_make_vm, new_vm
from ui.machines.properties import can_show_properties, show_properties
from ui.machines.xe_lines import LINES


def copy_uuid(workspace: Workspace, selection: Selection) -> None:
    """Copy the UUIDs of the chosen VMs, one a line."""
    records = (workspace.cache.get(VM, ref) for cls, ref in selection if cls == "VM")
    QGuiApplication.clipboard().setText("\n".join(vm.uuid for vm in records if vm is not None))


def can_copy_uuid(workspace: Workspace, selection: Selection) -> CommandState:
    """Enabled with any VM, template or snapshot chosen."""
    some = any(cls == "VM" and workspace.cache.get(VM, ref) is not None for cls, ref in selection)
    return ENABLED if some else disabled("Choose a VM first.")


#: id after "vm.", title, icon, shortcut, what it does, when it can
_POWER: Final = (
    ("start", "&Start", "play", "Ctrl+B", power.start, power.can_start),
    ("shutdown", "Sh&ut Down", "power", "Ctrl+E", power.shut_down, power.can_shut_down),
    ("reboot", "&Reboot", "restart", "Ctrl+R", power.reboot, power.can_reboot),
    ("suspend", "Su&spend", "suspend", "Ctrl+Y", power.suspend, power.can_suspend),
    ("resume", "R&esume", "resume", "Ctrl+Shift+Y", power.resume, power.can_resume),
    ("pause", "&Pause", "pause", "", power.pause, power.can_pause),
    ("unpause", "U&npause", "resume", "", power.unpause, power.can_unpause),
    ("force_shutdown", "&Force Shut Down…", "force-stop", "", power.force_shut_down, power.can_force_shut_down),
    ("force_reboot", "Force Re&boot…", "force-restart", "", power.force_reboot, power.can_force_reboot),
)
_OTHERS: Final = (
    ("new", "&New VM…", "plus", "Ctrl+N", new_vm, can_make_vm),
    ("copy", "&Copy VM…", "copy", "", copy, can_copy),
    (
        "convert_to_template",
        "Con&vert to Template…",
        "template",
        "",
        templates.convert_to_template,
        templates.can_convert_to_template,
    ),
    ("delete", "&Delete VM…", "delete", "", delete, can_delete),
    ("properties", "P&roperties…", "settings", "Alt+Return", show_properties, can_show_properties),
    ("copy_uuid", "Copy &UUID", "copy", "", copy_uuid, can_copy_uuid),
)
#: id after "template."
_TEMPLATES: Final = (
    ("new_vm", "&New VM from Template…", "plus", "", new_vm, templates.can_make_from_template),
    ("quick_create", "&Quick Create", "bolt", "", templates.quick_create, templates.can_quick_create),
    ("copy", "&Copy Template…", "copy", "", copy, can_copy),
    ("convert_to_vm", "Con&vert to VM", "vm", "", templates.convert_to_vm, templates.can_convert_to_vm),
    ("delete", "&Delete Template…", "delete", "", delete, templates.can_delete_templates),
)


def register(workspace: Workspace) -> None:
    """Register the commands of VMs. Deleting has no shortcut of its own: the tree binds Del to it."""
    commands = (
        Command(
            id="snapshot.recreate_vm",
            title="&Recreate VM…",
            icon="revert",
            run=orphans.recreate,
            state=orphans.can_recreate,
            scope="orphans",
        ),
        *(
            Command(id=f"{family}.{name}", title=title, icon=icon, shortcut=shortcut, run=run, state=state)
            for family, members in (("vm", (*_POWER, *_OTHERS)), ("template", _TEMPLATES))
            for name, title, icon, shortcut, run, state in members
        ),
    )
    workspace.commands.add(*with_xe(commands, LINES))
