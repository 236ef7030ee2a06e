"""Reverting: keep the current state, go back, start again. One VM, or those of a group."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from typing import Final

from app.api import VM, ConnectionLost, Failure, Ref, VMCalls, VMPowerState
from ui.base.commands import CommandState, Selection, disabled
from ui.base.dialogs import ErrorDialog, ask
from ui.base.sizes_and_dates import count
from ui.base.workspace import Workspace
from ui.snapshots import rules, words
from ui.snapshots.revert_dialog import RevertDialog
from ui.snapshots.taking import say
from ui.snapshots.ways import Way

#: the engine's failure of a group has a sentence about all that failed
_WITH_SENTENCE: Final = 3


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
    if len(wish.snapshots) > 1:
        await _revert_group(workspace, [Ref(ref) for ref in wish.snapshots], record.name_label, wish.keep is not None)
    else:
        vm = record.snapshot_of
        if wish.keep is not None and not await _keep_current(workspace, vm, record.name_label, wish.keep):
            return
        title = f"Reverting {words.name_of(workspace.cache, vm)} to {record.name_label}"
        if workspace.cache.get(VM, vm) is None:
            title = f"Making the VM of {record.name_label} again"
        await workspace.run_task(title, workspace.session.start(VMCalls.revert, snapshot), ("VM", vm))
    if wish.start_afterwards:
        group = len(wish.snapshots) > 1
        await asyncio.gather(*(_start_again(workspace, ref, group=group) for ref in wish.snapshots))


async def _keep_current(workspace: Workspace, vm: Ref[VM], going_to: str, way: Way) -> bool:
    """Take the safety snapshot; False, and it was said, if there is none: then nothing may be reverted."""
    name = words.name_of(workspace.cache, vm)
    started = way.start(workspace.session, vm, f"Before revert to {going_to}")
    try:
        await workspace.run_task(f"Keeping the current state of {name}", started, ("VM", vm))
    except (Failure, ConnectionLost) as error:
        await say(workspace, f"{name} was not reverted, because its current state could not be kept", error)
        return False
    return True


async def _revert_group(workspace: Workspace, snapshots: Sequence[Ref[VM]], name: str, keep: bool) -> None:
    """Some may have failed: it is said which, and the others went back.

    :raise Failure: none was reverted, because the safety group could not be taken or one could not be prepared.
    """
    session = workspace.session
    vms = [record.snapshot_of for ref in snapshots if (record := workspace.cache.get(VM, ref)) is not None]
    subject = ("VM", vms[0])
    if keep:
        started = session.start(VMCalls.snapshot_group, vms, f"Before revert to {name}")
        await workspace.run_task(f"Keeping the current state of {count(len(vms), 'VM')}", started, subject)
    started = session.start(VMCalls.revert_group, list(snapshots))
    try:
        await workspace.run_task(f"Reverting {count(len(vms), 'VM')} to {name}", started, subject)
    except Failure as failure:
        if failure.code != "VM_REVERT_FAILED" or len(failure.params) < _WITH_SENTENCE:
            raise
        details = "\n".join(failure.description())
        await ask(ErrorDialog("Not all VMs were reverted", failure.params[2], "", details, parent=workspace.window))


async def _start_again(workspace: Workspace, snapshot: str, *, group: bool) -> None:
    """Start or resume the VM of a snapshot that it was just reverted to. It may have been made again for that."""
    reverted_to = workspace.cache.get(VM, snapshot)
    vm: Ref[VM] = reverted_to.snapshot_of if reverted_to is not None else Ref("")
    record = workspace.cache.get(VM, vm)
    session = workspace.session
    if record is None or reverted_to is None or not (words.ran_then(reverted_to) or words.has_memory(reverted_to)):
        return
    if group and record.parent != snapshot:
        return  # it is one of those that did not go back
    try:
        if record.power_state is VMPowerState.Halted:
            started = session.start(VMCalls.start, vm, False, False)
            await workspace.run_task(f"Starting {record.name_label}", started, ("VM", vm))
        elif record.power_state is VMPowerState.Suspended:
            started = session.start(VMCalls.resume, vm, False, False)
            await workspace.run_task(f"Resuming {record.name_label}", started, ("VM", vm))
    except (Failure, ConnectionLost) as error:
        await say(workspace, f"{record.name_label} was reverted, but could not be started", error)
