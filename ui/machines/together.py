"""One act on several VMs: those that can take part do, and the others are listed with their reasons."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Sequence

from app.api import VM, ConnectionLost, Failure, Ref, Task, VMOperation
from app.log import get
from ui.base.commands import ENABLED, CommandState, Selection, disabled
from ui.base.dialogs import ask
from ui.base.failures import explain
from ui.base.workspace import Workspace
from ui.models.reasons import why_not
from ui.models.states import Chosen, machines
from ui.widgets.outcomes import Outcome, OutcomeDialog

log = get(__name__)

#: no more at once: the engine's host has other things to do as well
AT_ONCE = 25


def state_of(workspace: Workspace, selection: Selection, operation: VMOperation) -> CommandState:
    """Enabled if at least one chosen VM can; else the reason, if it is the same for all."""
    chosen = machines(workspace.cache, selection)
    if not chosen:
        return disabled("Choose a VM first.")
    reasons = {why_not(vm, operation) for _, vm in chosen}
    if "" in reasons:
        return ENABLED
    if len(reasons) == 1:
        reason = reasons.pop()
        return disabled(reason if len(chosen) == 1 else _of_several(reason))
    return disabled("None of the chosen VMs can do this now.")


def _of_several(reason: str) -> str:
    return reason.replace("It is", "They are", 1).replace(" it ", " them ")


def able(chosen: Sequence[Chosen], operation: VMOperation) -> tuple[list[Chosen], list[Outcome]]:
    """Those that can take part now, and the others with their reasons."""
    others = [Outcome(ref, vm.name_label, reason) for ref, vm in chosen if (reason := why_not(vm, operation))]
    left_out = {outcome.ref for outcome in others}
    return [(ref, vm) for ref, vm in chosen if ref not in left_out], others


async def run_each(
    workspace: Workspace,
    chosen: Sequence[Chosen],
    doing: Callable[[str], str],
    start: Callable[[Ref[VM]], Awaitable[Ref[Task]]],
) -> list[Outcome]:
    """Do it to each VM, side by side; answer those for which it failed. A cancelled one counts as neither.

    :param doing: the title in the history, from the VM's name: "Starting web1".
    :param start: begins the task.
    """
    turn = asyncio.Semaphore(AT_ONCE)

    async def one(ref: Ref[VM], vm: VM) -> Outcome | None:
        async with turn:
            try:
                await workspace.run_task(doing(vm.name_label), start(ref), subject=("VM", ref))
            except (Failure, ConnectionLost) as error:
                if isinstance(error, Failure) and error.code == "TASK_CANCELLED":
                    return None
                return Outcome(ref, vm.name_label, explain(error, workspace.cache).why, error)
        return None

    outcomes = await asyncio.gather(*(one(ref, vm) for ref, vm in chosen))
    return [outcome for outcome in outcomes if outcome is not None]


async def report(workspace: Workspace, title: str, tried: int, failed: Sequence[Outcome]) -> None:
    """Show what did not happen: one error as such, several as a table.

    :param title: the command's name, as "Shut Down".
    :param tried: how many VMs were chosen in all.
    """
    if not failed:
        return
    only = failed[0]
    if tried == 1 and only.error is not None:
        await workspace.show_error(only.error, title)
        return
    await ask(OutcomeDialog(title, tried, failed, parent=workspace.window))
