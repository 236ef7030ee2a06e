"""Deleting snapshots, and dropping the memory of one."""

from __future__ import annotations

import asyncio
from typing import Final

from app.api import VM, ConnectionLost, Failure, Ref, VMCalls
from ui.base.commands import ENABLED, HIDDEN, CommandState, Selection, disabled
from ui.base.dialogs import ask
from ui.base.failures import explain
from ui.base.workspace import Workspace
from ui.snapshots import rules, words
from ui.snapshots.delete_dialog import DeleteDialog, DropMemoryDialog, FailuresDialog

_AT_ONCE: Final = 4


def can_delete(workspace: Workspace, selection: Selection) -> CommandState:
    """Snapshots only, and at least one of them can go."""
    refs = [ref for cls, ref in selection if cls == "VM"]
    if not refs or len(refs) != len(selection):
        return disabled("Choose a snapshot.")
    reasons = [rules.why_no_delete(workspace.cache, ref) for ref in refs]
    records = [workspace.cache.get(VM, ref) for ref in refs]
    if any(record is not None and not record.is_a_snapshot for record in records):
        return disabled("Choose snapshots only.")
    return ENABLED if "" in reasons else disabled(reasons[0])


async def delete_snapshots(workspace: Workspace, selection: Selection) -> None:
    """Ask, then delete up to four at once. One that fails does not stop the others; all failures are told together."""
    dialog = DeleteDialog(workspace, [ref for cls, ref in selection if cls == "VM"], workspace.window)
    going = dialog.going
    if not await ask(dialog, keep=True):
        dialog.deleteLater()
        return
    keep_disks = dialog.keep_disks.isChecked()
    dialog.deleteLater()
    turns = asyncio.Semaphore(_AT_ONCE)
    results = await asyncio.gather(*(_delete(workspace, Ref(ref), turns, keep_disks=keep_disks) for ref in going))
    failed = [result for result in results if result is not None]
    if failed:
        await ask(FailuresDialog(failed, len(going), workspace.window))


async def _delete(
    workspace: Workspace, snapshot: Ref[VM], turns: asyncio.Semaphore, *, keep_disks: bool
) -> tuple[str, str] | None:
    """Delete one, with its disks or without; answer its name and the reason if that failed."""
    async with turns:
        record = workspace.cache.get(VM, snapshot)
        if record is None:
            return None  # somebody else was faster
        name = record.name_label
        session = workspace.session
        try:
            if keep_disks:
                started = session.start(VMCalls.destroy, snapshot)
            else:
                started = session.start(VMCalls.uninstall, snapshot, False)
            await workspace.run_task(f"Deleting snapshot {name}", started, ("VM", record.snapshot_of))
        except Failure as failure:
            if failure.code == "HANDLE_INVALID" and workspace.cache.get(VM, snapshot) is None:
                return None
            return name, explain(failure, workspace.cache).why
        except ConnectionLost as error:
            return name, explain(error, workspace.cache).why
    return None


def can_drop_memory(workspace: Workspace, selection: Selection) -> CommandState:
    """One checkpoint whose memory can go; not shown for a snapshot without."""
    if len(selection) != 1:
        return HIDDEN
    record = workspace.cache.get(VM, selection[0][1])
    if record is None or not (record.is_a_snapshot and words.has_memory(record)):
        return HIDDEN
    return rules.state(rules.why_no_drop(workspace.cache, selection[0][1]))


async def drop_memory(workspace: Workspace, selection: Selection) -> None:
    """Ask, then take the memory out of a checkpoint."""
    snapshot: Ref[VM] = Ref(selection[0][1])
    record = workspace.cache.get(VM, snapshot)
    if record is None or not await ask(DropMemoryDialog(workspace, snapshot, workspace.window)):
        return
    title = f"Dropping the memory of {record.name_label}"
    await workspace.run_task(
        title, workspace.session.start(VMCalls.hard_shutdown, snapshot), ("VM", record.snapshot_of)
    )
