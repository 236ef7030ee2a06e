"""Making VMs and templates from a snapshot. A sequence that fails half-way leaves nothing behind, or says what."""

from __future__ import annotations

from app.api import VM, ConnectionLost, Failure, Ref, VMCalls, VMOperation
from ui.base.commands import CommandState, Selection, disabled
from ui.base.dialogs import ErrorDialog, ask
from ui.base.failures import explain
from ui.base.workspace import Workspace
from ui.snapshots import rules
from ui.snapshots.new_dialog import Kind, NewDialog, NewWish
from ui.snapshots.taking import say
from ui.widgets.notice import toast


def can_make(workspace: Workspace, selection: Selection) -> CommandState:
    """One snapshot that can be cloned or copied."""
    if len(selection) != 1:
        return disabled("Choose one snapshot.")
    ref = selection[0][1]
    reasons = [rules.why_no_copy(workspace.cache, ref, op) for op in (VMOperation.clone, VMOperation.copy)]
    return rules.state("" if "" in reasons else reasons[0])


async def new_vm(workspace: Workspace, selection: Selection) -> None:
    """Ask, then make a VM from the snapshot."""
    await _make(workspace, Ref(selection[0][1]), "vm")


async def new_template(workspace: Workspace, selection: Selection) -> None:
    """Ask, then make a template from the snapshot."""
    await _make(workspace, Ref(selection[0][1]), "template")


async def _make(workspace: Workspace, snapshot: Ref[VM], kind: Kind) -> None:
    dialog = NewDialog(workspace, snapshot, kind, workspace.window)
    if not await ask(dialog):
        return
    wish = dialog.wish()
    made = await _copied(workspace, snapshot, wish)
    if kind == "vm" and not await _provisioned(workspace, made, wish.name):
        return
    if workspace.window is not None:
        toast(workspace.window, f"“{wish.name}” is made.", act="Show", on_act=lambda: workspace.show("VM", made))
    if wish.start:
        try:
            started = workspace.session.start(VMCalls.start, made, False, False)
            await workspace.run_task(f"Starting {wish.name}", started, ("VM", made))
        except (Failure, ConnectionLost) as error:
            await say(workspace, f"“{wish.name}” was made, but could not be started", error)


async def _copied(workspace: Workspace, snapshot: Ref[VM], wish: NewWish) -> Ref[VM]:
    """The clone or copy: a template. :raise Failure: there is none, and nothing of it is left."""
    session = workspace.session
    if wish.full:
        started = session.start(VMCalls.copy, snapshot, wish.name, wish.sr)
    else:
        started = session.start(VMCalls.clone, snapshot, wish.name)
    return Ref(await workspace.run_task(f"Copying to {wish.name}", started, ("VM", snapshot)))


async def _provisioned(workspace: Workspace, made: Ref[VM], name: str) -> bool:
    """Turn the copy into a VM. If that fails the copy is removed again; False, and all of it was said."""
    session = workspace.session
    try:
        await workspace.run_task(f"Making the VM {name}", session.start(VMCalls.provision, made), ("VM", made))
    except (Failure, ConnectionLost) as error:
        await _take_back(workspace, made, name, error)
        return False
    return True


async def _take_back(workspace: Workspace, made: Ref[VM], name: str, cause: Failure | ConnectionLost) -> None:
    left = ""
    try:
        started = workspace.session.start(VMCalls.uninstall, made, False)
        await workspace.run_task(f"Removing the unfinished {name}", started, ("VM", made))
    except (Failure, ConnectionLost):
        left = f"The unfinished template “{name}” could not be removed again. Delete it by hand."
    if isinstance(cause, Failure) and cause.code == "TASK_CANCELLED" and not left:
        return
    explained = explain(cause, workspace.cache)
    advice = f"{left or 'What had been made was removed again.'} {explained.advice}".strip()
    dialog = ErrorDialog(f"“{name}” was not made", explained.why, advice, explained.details, parent=workspace.window)
    await ask(dialog)
