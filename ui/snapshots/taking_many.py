"""Taking snapshots of several VMs: each by itself with a result for each, or all at one instant."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from typing import Final

from app.api import VM, ConnectionLost, Failure, Ref, VMCalls
from ui.base.commands import ENABLED, CommandState, disabled
from ui.base.dialogs import ask
from ui.base.failures import explain
from ui.base.sizes_and_dates import count, duration
from ui.base.workspace import Workspace
from ui.snapshots import rules, words
from ui.snapshots.figures import figures_of
from ui.snapshots.take_many_dialog import ManyWish, TakeManyDialog
from ui.widgets.notice import toast
from ui.widgets.results import Result, ResultsDialog

_AT_ONCE: Final = 4


def can_take_snapshots(workspace: Workspace, vms: Sequence[str]) -> CommandState:
    """Several VMs, at least one of which can be snapshotted."""
    reasons = [rules.why_no_snapshot(workspace.cache, vm) for vm in vms]
    return ENABLED if "" in reasons else disabled("No snapshot of any of them can be taken now.")


async def take_snapshots(workspace: Workspace, vms: Sequence[str]) -> None:
    """Ask once, then take them."""
    dialog = TakeManyDialog(workspace, vms, workspace.window)
    if not await ask(dialog):
        return
    wish = dialog.wish()
    if wish.together:
        await _together(workspace, wish)
    else:
        await _each(workspace, wish)


async def _together(workspace: Workspace, wish: ManyWish) -> None:
    """:raise Failure: there is no snapshot of any of them."""
    many = count(len(wish.vms), "VM")
    started = workspace.session.start(VMCalls.snapshot_group, [Ref(vm) for vm in wish.vms], wish.name_for("").strip())
    await workspace.run_task(f"Taking snapshots of {many} at one instant", started, ("VM", wish.vms[0]))
    spread = _spread(workspace, wish.vms[0])
    near = f" within {duration(spread / 1000)} of each other" if spread >= 0 else ""
    _tell(workspace, f"The disks of {many} were frozen{near}.")


def _spread(workspace: Workspace, vm: str) -> float:
    """How far apart the newest group of this VM was taken, in milliseconds; -1 if nobody measured."""
    record = workspace.cache.get(VM, vm)
    found = [workspace.cache.get(VM, ref) for ref in record.snapshots] if record is not None else []
    grouped = [snapshot for snapshot in found if snapshot is not None and figures_of(snapshot).group]
    newest = max(grouped, key=lambda snapshot: snapshot.snapshot_time, default=None)
    return figures_of(newest).spread if newest is not None else -1


async def _each(workspace: Workspace, wish: ManyWish) -> None:
    turns = asyncio.Semaphore(_AT_ONCE)
    results = list(await asyncio.gather(*(_one(workspace, Ref(vm), wish, turns) for vm in wish.vms)))
    results += [Result(name, reason, left_out=True) for name, reason in wish.left_out]
    if any(result.failed or result.left_out for result in results):
        await ask(ResultsDialog("Take Snapshot", results, workspace.window))
    else:
        _tell(workspace, f"{count(len(results), 'snapshot')} taken.")


async def _one(workspace: Workspace, vm: Ref[VM], wish: ManyWish, turns: asyncio.Semaphore) -> Result:
    async with turns:
        name = words.name_of(workspace.cache, vm)
        started = wish.way.start(workspace.session, vm, wish.name_for(name))
        try:
            snapshot = await workspace.run_task(f"Taking a snapshot of {name}", started, ("VM", vm))
        except Failure as failure:
            if failure.code == "TASK_CANCELLED":
                return Result(name, "Cancelled", left_out=True)
            return Result(name, explain(failure, workspace.cache).why, failed=True)
        except ConnectionLost as error:
            return Result(name, explain(error, workspace.cache).why, failed=True)
    record = workspace.cache.get(VM, snapshot)
    paused, _ = words.pause(record) if record is not None else ("", "")
    return Result(name, f"Taken, {paused}" if paused else "Taken")


def _tell(workspace: Workspace, said: str) -> None:
    if workspace.window is not None:
        toast(workspace.window, said)
