"""Locking snapshots against deletion, and unlocking them."""

from __future__ import annotations

from app.api import VM, ConnectionLost, Failure, Ref, VMOperation
from ui.base.commands import ENABLED, HIDDEN, CommandState, Selection, disabled
from ui.base.dialogs import ask
from ui.base.failures import explain
from ui.base.locks import lock_of
from ui.base.workspace import Workspace
from ui.snapshots import rules, words
from ui.snapshots.lock_dialog import LockDialog
from ui.widgets.results import Result, ResultsDialog


def can_lock(workspace: Workspace, selection: Selection) -> CommandState:
    """Snapshots, of which at least one is not locked; not shown where all are."""
    refs = [ref for _, ref in selection]
    if not refs:
        return disabled("Choose a snapshot.")
    reasons = [rules.why_no_lock(workspace.cache, ref) for ref in refs]
    if all(not rules.why_no_unlock(workspace.cache, ref) for ref in refs):
        return HIDDEN
    return ENABLED if "" in reasons else disabled(reasons[0])


def can_unlock(workspace: Workspace, selection: Selection) -> CommandState:
    """Snapshots, of which at least one is locked; not shown where none is."""
    reasons = [rules.why_no_unlock(workspace.cache, ref) for _, ref in selection]
    return ENABLED if "" in reasons else HIDDEN


async def lock_snapshots(workspace: Workspace, selection: Selection) -> None:
    """Ask why and for how long, then lock each that is not locked yet."""
    refs = [ref for _, ref in selection if not rules.why_no_lock(workspace.cache, ref)]
    dialog = LockDialog(workspace, refs, workspace.window)
    if not await ask(dialog):
        return
    wish = dialog.wish()
    results = []
    for ref in refs:
        name = words.name_of(workspace.cache, ref)
        try:
            await workspace.session.VM.lock_snapshot(Ref(ref), wish.reason, wish.owner, wish.until)
        except (Failure, ConnectionLost) as error:
            results.append(Result(name, explain(error, workspace.cache).why, failed=True))
        else:
            results.append(Result(name, "Locked"))
    await _report(workspace, "Lock", results)


async def unlock_snapshots(workspace: Workspace, selection: Selection) -> None:
    """Unlock each that is locked; a lock is put on again as easily."""
    results = []
    for ref in [ref for _, ref in selection if not rules.why_no_unlock(workspace.cache, ref)]:
        name = words.name_of(workspace.cache, ref)
        try:
            await _unlock(workspace, Ref(ref))
        except (Failure, ConnectionLost) as error:
            results.append(Result(name, explain(error, workspace.cache).why, failed=True))
        else:
            results.append(Result(name, "Unlocked"))
    await _report(workspace, "Unlock", results)


async def _unlock(workspace: Workspace, snapshot: Ref[VM]) -> None:
    """Take the lock away, or the plain block that another client has set."""
    record = workspace.cache.get(VM, snapshot)
    if record is not None and lock_of(record) is not None:
        await workspace.session.VM.unlock_snapshot(snapshot)
    else:
        await workspace.session.call("VM.remove_from_blocked_operations", snapshot, VMOperation.destroy.value)


async def _report(workspace: Workspace, title: str, results: list[Result]) -> None:
    if any(result.failed for result in results):
        await ask(ResultsDialog(title, results, workspace.window))
