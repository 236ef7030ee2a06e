"""Snapshots of several VMs taken at one instant: showing the group of one."""

from __future__ import annotations

from app.api import VM
from ui.base.commands import HIDDEN, CommandState, Selection
from ui.base.dialogs import ask
from ui.base.workspace import Workspace
from ui.snapshots import rules
from ui.snapshots.figures import group_of
from ui.snapshots.group_dialog import GroupDialog


def can_show_group(workspace: Workspace, selection: Selection) -> CommandState:
    """One snapshot that has a group; not shown for another."""
    if len(selection) != 1 or len(group_of(workspace.cache, selection[0][1])) < 2:
        return HIDDEN
    return rules.state("")


async def show_group(workspace: Workspace, selection: Selection) -> None:
    """Show the group; from there to one of its VMs, or on to reverting all of them."""
    dialog = GroupDialog(workspace, selection[0][1], workspace.window)
    revert = await ask(dialog, keep=True)
    shown = dialog.shown
    dialog.deleteLater()
    record = workspace.cache.get(VM, shown)
    if record is not None:
        workspace.show("VM", record.snapshot_of, "snapshots")
    elif revert:
        workspace.commands.run("snapshot.revert", selection)
