"""What can be done with snapshots: take, revert, delete, rename."""

from __future__ import annotations

import asyncio
from typing import Final

from app.api import VM, ConnectionLost, Failure, Ref, VMCalls, VMPowerState
from ui.base.commands import ENABLED, Command, CommandState, Selection, disabled
from ui.base.dialogs import ask
from ui.base.failures import explain
from ui.base.workspace import Workspace
from ui.snapshots import rules, words
from ui.snapshots.delete_dialog import DeleteDialog, FailuresDialog
from ui.snapshots.details_pane import DetailsPane
from ui.snapshots.rename_dialog import RenameDialog
from ui.snapshots.revert_dialog import RevertDialog
from ui.snapshots.taking import can_take_snapshot, say, take_snapshot

#: the selection of the Snapshots tab
SCOPE: Final = "snapshots"
_AT_ONCE: Final = 4


def register(workspace: Workspace) -> None:
    """Add the commands to the workspace."""
    workspace.commands.add(
        Command(
            id="vm.snapshot",
            title="Take Snapshot…",
            icon="camera",
            shortcut="Ctrl+T",
            tooltip="Keep the VM as it is now",
            run=take_snapshot,
            state=can_take_snapshot,
        ),
        Command(
            id="snapshot.revert",
            title="Revert To…",
            icon="revert",
            tooltip="Put the VM back to this snapshot",
            run=revert_to_snapshot,
            state=can_revert,
            scope=SCOPE,
        ),
        Command(
            id="snapshot.rename",
            title="Rename…",
            icon="edit",
            shortcut="F2",
            run=rename_snapshot,
            state=can_rename,
            scope=SCOPE,
        ),
        Command(
            id="snapshot.delete",
            title="Delete…",
            icon="delete",
            shortcut="Del",
            run=delete_snapshots,
            state=can_delete,
            scope=SCOPE,
        ),
    )


def _refs(selection: Selection) -> list[str]:
    return [ref for cls, ref in selection if cls == "VM"]


# ---- revert ---------------------------------------------------------------------------------------------------


def can_revert(workspace: Workspace, selection: Selection) -> CommandState:
    """One snapshot that its VM can go back to."""
    if len(selection) != 1:
        return disabled("Choose one snapshot.")
    return rules.state(rules.why_no_revert(workspace.cache, selection[0][1]))


async def revert_to_snapshot(workspace: Workspace, selection: Selection) -> None:
    """Ask, keep the current state if wanted, revert, and start the VM again if it ran. Each step needs the last."""
    snapshot: Ref[VM] = Ref(selection[0][1])
    record = workspace.cache.get(VM, snapshot)
    dialog = RevertDialog(workspace, snapshot, workspace.window)
    if not await ask(dialog) or record is None:
        return
    wish = dialog.wish()
    vm = record.snapshot_of
    name = words.name_of(workspace.cache, vm)
    if wish.keep_current and not await _keep_current(workspace, vm, record.name_label):
        return
    title = f"Reverting {name} to {record.name_label}"
    await workspace.run_task(title, workspace.session.start(VMCalls.revert, snapshot), ("VM", vm))
    if wish.start_afterwards:
        await _start_again(workspace, vm)


async def _keep_current(workspace: Workspace, vm: Ref[VM], going_to: str) -> bool:
    """Take the safety snapshot; False, and it was said, if there is none: then nothing may be reverted."""
    name = words.name_of(workspace.cache, vm)
    started = workspace.session.start(VMCalls.snapshot, vm, f"Before revert to {going_to}")
    try:
        await workspace.run_task(f"Keeping the current state of {name}", started, ("VM", vm))
    except (Failure, ConnectionLost) as error:
        await say(workspace, f"{name} was not reverted, because its current state could not be kept", error)
        return False
    return True


async def _start_again(workspace: Workspace, vm: Ref[VM]) -> None:
    record = workspace.cache.get(VM, vm)
    session = workspace.session
    if record is None:
        return
    try:
        if record.power_state is VMPowerState.Halted:
            started = session.start(VMCalls.start, vm, False, False)
            await workspace.run_task(f"Starting {record.name_label}", started, ("VM", vm))
        elif record.power_state is VMPowerState.Suspended:
            started = session.start(VMCalls.resume, vm, False, False)
            await workspace.run_task(f"Resuming {record.name_label}", started, ("VM", vm))
    except (Failure, ConnectionLost) as error:
        await say(workspace, f"{record.name_label} was reverted, but could not be started", error)


# ---- delete ---------------------------------------------------------------------------------------------------


def can_delete(workspace: Workspace, selection: Selection) -> CommandState:
    """Snapshots only, and at least one of them can go."""
    refs = _refs(selection)
    if not refs or len(refs) != len(selection):
        return disabled("Choose a snapshot.")
    reasons = [rules.why_no_delete(workspace.cache, ref) for ref in refs]
    records = [workspace.cache.get(VM, ref) for ref in refs]
    if any(record is not None and not record.is_a_snapshot for record in records):
        return disabled("Choose snapshots only.")
    return ENABLED if "" in reasons else disabled(reasons[0])


async def delete_snapshots(workspace: Workspace, selection: Selection) -> None:
    """Ask, then delete up to four at once. One that fails does not stop the others; all failures are told together."""
    dialog = DeleteDialog(workspace, _refs(selection), workspace.window)
    going = dialog.going
    if not await ask(dialog):
        return
    turns = asyncio.Semaphore(_AT_ONCE)
    results = await asyncio.gather(*(_delete(workspace, Ref(ref), turns) for ref in going))
    failed = [result for result in results if result is not None]
    if failed:
        await ask(FailuresDialog(failed, len(going), workspace.window))


async def _delete(workspace: Workspace, snapshot: Ref[VM], turns: asyncio.Semaphore) -> tuple[str, str] | None:
    """Delete one with its disks; answer its name and the reason if that failed."""
    async with turns:
        record = workspace.cache.get(VM, snapshot)
        if record is None:
            return None  # somebody else was faster
        name = record.name_label
        try:
            started = workspace.session.start(VMCalls.uninstall, snapshot, False)
            await workspace.run_task(f"Deleting snapshot {name}", started, ("VM", record.snapshot_of))
        except Failure as failure:
            if failure.code == "HANDLE_INVALID" and workspace.cache.get(VM, snapshot) is None:
                return None
            return name, explain(failure, workspace.cache).why
        except ConnectionLost as error:
            return name, explain(error, workspace.cache).why
    return None


# ---- rename ---------------------------------------------------------------------------------------------------


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
