"""Renaming a snapshot."""

from __future__ import annotations

from app.api import VM, Ref
from ui.base.commands import CommandState, Selection, disabled
from ui.base.dialogs import ask
from ui.base.workspace import Workspace
from ui.snapshots import rules
from ui.snapshots.details_pane import DetailsPane
from ui.snapshots.rename_dialog import RenameDialog


def can_rename(workspace: Workspace, selection: Selection) -> CommandState:
    """One snapshot."""
    if len(selection) != 1:
        return disabled("Choose one snapshot.")
    return rules.state(rules.why_no_rename(workspace.cache, selection[0][1]))


async def rename_snapshot(workspace: Workspace, selection: Selection) -> None:
    """Edit the name where it stands, in the details beside it; in a dialog where no details are shown."""
    snapshot: Ref[VM] = Ref(selection[0][1])
    if pane := _details_of(workspace, snapshot):
        pane.edit_name()
        return
    record = workspace.cache.get(VM, snapshot)
    dialog = RenameDialog(record or VM(), workspace.window)
    if await ask(dialog):
        await workspace.session.set(VM, snapshot, **dialog.changes())


def _details_of(workspace: Workspace, snapshot: str) -> DetailsPane | None:
    panes = workspace.window.findChildren(DetailsPane) if workspace.window is not None else []
    return next((pane for pane in panes if pane.isVisible() and pane.shows(snapshot)), None)
