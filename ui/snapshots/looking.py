"""Looking at the chains of a VM."""

from __future__ import annotations

from app.api import VM
from ui.base.commands import ENABLED, CommandState, Selection, disabled
from ui.base.dialogs import ask
from ui.base.workspace import Workspace
from ui.snapshots.health_dialog import HealthDialog


def can_show_health(workspace: Workspace, selection: Selection) -> CommandState:
    """One VM or template."""
    if len(selection) != 1 or selection[0][0] != "VM":
        return disabled("Choose one VM.")
    record = workspace.cache.get(VM, selection[0][1])
    return disabled("Choose a VM.") if record is None or record.is_a_snapshot else ENABLED


async def show_health(workspace: Workspace, selection: Selection) -> None:
    """Show how they are until the dialog is closed."""
    await ask(HealthDialog(workspace, selection[0][1], workspace.window))
