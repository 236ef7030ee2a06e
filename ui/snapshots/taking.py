"""Taking snapshots: the dialog, the task, the description."""

from __future__ import annotations

from app.api import VM, ConnectionLost, Failure, Ref
from ui.base.commands import CommandState, Selection, disabled
from ui.base.dialogs import ErrorDialog, ask
from ui.base.failures import explain
from ui.base.workspace import Workspace
from ui.snapshots import rules, words
from ui.snapshots.take_dialog import TakeDialog
from ui.snapshots.taking_many import can_take_snapshots, take_snapshots
from ui.snapshots.ways import remember_way


def can_take_snapshot(workspace: Workspace, selection: Selection) -> CommandState:
    """A VM that may be snapshotted, or several of which one may."""
    if not selection or any(cls != "VM" for cls, _ in selection):
        return disabled("Choose a VM.")
    if len(selection) > 1:
        return can_take_snapshots(workspace, [ref for _, ref in selection])
    return rules.state(rules.why_no_snapshot(workspace.cache, selection[0][1]))


async def take_snapshot(workspace: Workspace, selection: Selection) -> None:
    """Ask, take it, and write down the description. Of several VMs: ask once, and take all."""
    if len(selection) > 1:
        await take_snapshots(workspace, [ref for _, ref in selection])
        return
    vm: Ref[VM] = Ref(selection[0][1])
    dialog = TakeDialog(workspace, vm, workspace.window)
    if not await ask(dialog):
        return
    wish = dialog.wish()
    if (record := workspace.cache.get(VM, vm)) is not None:
        remember_way(workspace.settings, record, wish.way)
    title = f"Taking a snapshot of {words.name_of(workspace.cache, vm)}"
    snapshot = await workspace.run_task(title, wish.way.start(workspace.session, vm, wish.name), ("VM", vm))
    if wish.description and snapshot:
        try:
            await workspace.session.set(VM, Ref(snapshot), name_description=wish.description)
        except (Failure, ConnectionLost) as error:
            await say(workspace, f"“{wish.name}” was taken, but has no description", error)
    if wish.lock and snapshot:
        workspace.commands.run("snapshot.lock", (("VM", snapshot),))


async def say(workspace: Workspace, what: str, error: Failure | ConnectionLost) -> None:
    """Tell that one step of several did not work: what was done and what was not, then why."""
    explained = explain(error, workspace.cache)
    dialog = ErrorDialog(what, explained.why, explained.advice, explained.details, parent=workspace.window)
    await ask(dialog)
