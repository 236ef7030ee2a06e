"""Making a VM again from a snapshot that outlived it."""

from __future__ import annotations

from typing import Final

from PySide6.QtWidgets import QWidget

from app.api import VM, Ref, VMCalls, VMOperation, VMPowerState, is_null
from app.client import ObjectCache
from ui.base.commands import ENABLED, CommandState, Selection, disabled
from ui.base.dialogs import Consequence, ConsequenceDialog, ask
from ui.base.sizes_and_dates import count, date_and_time
from ui.base.workspace import Workspace
from ui.machines.xe_lines import recreate_line
from ui.models.orphans import is_orphan, name_of_gone, orphans
from ui.models.reasons import why_not

GONE: Final = "a VM that is gone"


def can_recreate(workspace: Workspace, selection: Selection) -> CommandState:
    """One orphaned snapshot that the engine allows to be reverted to."""
    if len(selection) != 1 or selection[0][0] != "VM":
        return disabled("Choose one orphaned snapshot.")
    snapshot = workspace.cache.get(VM, selection[0][1])
    if snapshot is None or not snapshot.is_a_snapshot:
        return disabled("Choose one orphaned snapshot.")
    if not is_orphan(workspace.cache, snapshot):
        return disabled("Its VM still exists: revert the VM to it instead.")
    reason = why_not(snapshot, VMOperation.revert)
    return disabled(reason) if reason else ENABLED


async def recreate(workspace: Workspace, selection: Selection) -> None:
    """Ask, make the VM again, and show it."""
    ref: Ref[VM] = Ref(selection[0][1])
    snapshot = workspace.cache.get(VM, ref)
    if snapshot is None or not await ask(recreate_dialog(workspace.cache, snapshot, workspace.window)):
        return
    name = name_of_gone(snapshot) or snapshot.name_label
    await workspace.run_task(f"Recreating {name}", workspace.session.start(VMCalls.revert, ref), subject=("VM", ref))
    now = workspace.cache.get(VM, ref)
    if now is not None and not is_orphan(workspace.cache, now):
        workspace.show("VM", now.snapshot_of, "snapshots")


def recreate_dialog(cache: ObjectCache, snapshot: VM, parent: QWidget | None = None) -> ConsequenceDialog:
    """What making the VM again means."""
    name = name_of_gone(snapshot)
    what = f"“{name}”" if name else "the VM"
    said: list[Consequence] = [
        ("alert-good", "Settings, disks and networks are as the snapshot holds them. The snapshot stays."),
    ]
    siblings = _siblings(cache, snapshot)
    if siblings:
        belong = "belongs" if siblings == 1 else "belong"
        said.append(("snapshot", f"{count(siblings, 'other snapshot')} of it {belong} to it again."))
    if snapshot.power_state is VMPowerState.Suspended:
        said.append(("memory", "It is suspended afterwards; resuming continues the guest's memory."))
    else:
        said.append(("vm-halted", "It is shut down afterwards."))
    return ConsequenceDialog(
        f"Recreate {what}?",
        f"It is made again as it was on {date_and_time(snapshot.snapshot_time)}, at “{snapshot.name_label}”.",
        said,
        primary="Recreate VM",
        xe=recreate_line(snapshot),
        parent=parent,
    )


def _siblings(cache: ObjectCache, snapshot: VM) -> int:
    """How many other snapshots are of the same VM."""
    if is_null(snapshot.snapshot_of):
        return 0
    return sum(1 for other in orphans(cache).values() if other.snapshot_of == snapshot.snapshot_of) - 1
