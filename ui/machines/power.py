"""Switching VMs on and off: one function per command."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass
from typing import Any

from PySide6.QtWidgets import QWidget

from app.api import VM, Failure, Ref, Task, VMCalls, VMOperation, VMPowerState
from ui.base.commands import HIDDEN, CommandState, Selection
from ui.base.dialogs import Consequence, ConsequenceDialog, ErrorDialog, ask
from ui.base.failures import explain
from ui.base.sizes_and_dates import count
from ui.base.workspace import Workspace
from ui.machines.together import able, report, run_each, state_of
from ui.machines.xe_lines import power_lines
from ui.models.states import Chosen, machines
from ui.widgets.outcomes import Outcome


@dataclass(frozen=True)
class _Act:
    """An act on a VM: the operation that must be allowed, the message, and the words."""

    operation: VMOperation
    message: Callable[[Any, Ref[VM]], Awaitable[None]]
    title: str
    doing: str


_START = _Act(VMOperation.start, VMCalls.start, "Start", "Starting")
_SHUT_DOWN = _Act(VMOperation.clean_shutdown, VMCalls.clean_shutdown, "Shut Down", "Shutting down")
_REBOOT = _Act(VMOperation.clean_reboot, VMCalls.clean_reboot, "Reboot", "Rebooting")
_SUSPEND = _Act(VMOperation.suspend, VMCalls.suspend, "Suspend", "Suspending")
_RESUME = _Act(VMOperation.resume, VMCalls.resume, "Resume", "Resuming")
_PAUSE = _Act(VMOperation.pause, VMCalls.pause, "Pause", "Pausing")
_UNPAUSE = _Act(VMOperation.unpause, VMCalls.unpause, "Unpause", "Unpausing")
_FORCE_SHUT_DOWN = _Act(VMOperation.hard_shutdown, VMCalls.hard_shutdown, "Force Shut Down", "Forcing off")
_FORCE_REBOOT = _Act(VMOperation.hard_reboot, VMCalls.hard_reboot, "Force Reboot", "Forcing a reboot of")


async def start(workspace: Workspace, selection: Selection) -> None:
    """Switch on."""
    await _run(workspace, machines(workspace.cache, selection), _START)


async def shut_down(workspace: Workspace, selection: Selection) -> None:
    """Press the power button. Several at once are asked about first, a guest that does not answer may be forced."""
    chosen = machines(workspace.cache, selection)
    if await _agreed(workspace, chosen, _SHUT_DOWN, "The guests are asked to shut down."):
        await _cleanly(workspace, chosen, _SHUT_DOWN, _FORCE_SHUT_DOWN)


async def reboot(workspace: Workspace, selection: Selection) -> None:
    """Ask the guest to restart."""
    chosen = machines(workspace.cache, selection)
    if await _agreed(workspace, chosen, _REBOOT, "The guests are asked to restart."):
        await _cleanly(workspace, chosen, _REBOOT, _FORCE_REBOOT)


async def suspend(workspace: Workspace, selection: Selection) -> None:
    """Write memory to disk and free the host's."""
    await _run(workspace, machines(workspace.cache, selection), _SUSPEND)


async def resume(workspace: Workspace, selection: Selection) -> None:
    """Go on from where it was suspended."""
    await _run(workspace, machines(workspace.cache, selection), _RESUME)


async def pause(workspace: Workspace, selection: Selection) -> None:
    """Stop the virtual CPUs."""
    await _run(workspace, machines(workspace.cache, selection), _PAUSE)


async def unpause(workspace: Workspace, selection: Selection) -> None:
    """Let the virtual CPUs run on."""
    await _run(workspace, machines(workspace.cache, selection), _UNPAUSE)


async def force_shut_down(workspace: Workspace, selection: Selection) -> None:
    """Cut the power, after a warning."""
    chosen = machines(workspace.cache, selection)
    if await ask(force_dialog(able(chosen, _FORCE_SHUT_DOWN.operation)[0], reboot=False, parent=workspace.window)):
        await _run(workspace, chosen, _FORCE_SHUT_DOWN)


async def force_reboot(workspace: Workspace, selection: Selection) -> None:
    """Press the reset button, after a warning."""
    chosen = machines(workspace.cache, selection)
    if await ask(force_dialog(able(chosen, _FORCE_REBOOT.operation)[0], reboot=True, parent=workspace.window)):
        await _run(workspace, chosen, _FORCE_REBOOT)


def can_start(workspace: Workspace, selection: Selection) -> CommandState:
    return state_of(workspace, selection, VMOperation.start)


def can_shut_down(workspace: Workspace, selection: Selection) -> CommandState:
    return state_of(workspace, selection, VMOperation.clean_shutdown)


def can_reboot(workspace: Workspace, selection: Selection) -> CommandState:
    return state_of(workspace, selection, VMOperation.clean_reboot)


def can_suspend(workspace: Workspace, selection: Selection) -> CommandState:
    """Gives its place to Resume where all that is chosen is suspended."""
    return HIDDEN if _all_are(workspace, selection, VMPowerState.Suspended) else _of(workspace, selection, _SUSPEND)


def can_resume(workspace: Workspace, selection: Selection) -> CommandState:
    """Shown where something chosen is suspended."""
    return _of(workspace, selection, _RESUME) if _some_are(workspace, selection, VMPowerState.Suspended) else HIDDEN


def can_pause(workspace: Workspace, selection: Selection) -> CommandState:
    """Gives its place to Unpause where all that is chosen is paused."""
    return HIDDEN if _all_are(workspace, selection, VMPowerState.Paused) else _of(workspace, selection, _PAUSE)


def can_unpause(workspace: Workspace, selection: Selection) -> CommandState:
    """Shown where something chosen is paused."""
    return _of(workspace, selection, _UNPAUSE) if _some_are(workspace, selection, VMPowerState.Paused) else HIDDEN


def can_force_shut_down(workspace: Workspace, selection: Selection) -> CommandState:
    return state_of(workspace, selection, VMOperation.hard_shutdown)


def can_force_reboot(workspace: Workspace, selection: Selection) -> CommandState:
    return state_of(workspace, selection, VMOperation.hard_reboot)


def force_dialog(chosen: Sequence[Chosen], *, reboot: bool, parent: QWidget | None = None) -> ConsequenceDialog:
    """What forcing costs, in words; the caller names only VMs that can be forced."""
    act = "Force Reboot" if reboot else "Force Shut Down"
    what = f"“{chosen[0][1].name_label}”" if len(chosen) == 1 else count(len(chosen), "VM")
    verb = "reset" if reboot else "cut off from power"
    sentence = f"{what} {'is' if len(chosen) == 1 else 'are'} {verb} at once; the guest is not asked."
    lost: list[Consequence] = []
    if any(vm.power_state is not VMPowerState.Suspended for _, vm in chosen):
        lost += [
            ("alert-attention", "What programs have not saved is lost, as in a power cut."),
            ("alert-attention", "The guest may have to check its file systems when it starts."),
        ]
    if any(vm.power_state is VMPowerState.Suspended for _, vm in chosen):
        lost.append(("memory", "The memory of suspended VMs is thrown away: they start afresh."))
    kept: Consequence = ("alert-good", "Disks and snapshots stay.")
    title = f"{act}: {what}?"
    lines = power_lines((_FORCE_REBOOT if reboot else _FORCE_SHUT_DOWN).operation, (vm for _, vm in chosen))
    return ConsequenceDialog(title, sentence, [*lost, kept], primary=act, danger=True, xe=lines, parent=parent)


def _of(workspace: Workspace, selection: Selection, act: _Act) -> CommandState:
    return state_of(workspace, selection, act.operation)


def _all_are(workspace: Workspace, selection: Selection, state: VMPowerState) -> bool:
    chosen = machines(workspace.cache, selection)
    return bool(chosen) and all(vm.power_state is state for _, vm in chosen)


def _some_are(workspace: Workspace, selection: Selection, state: VMPowerState) -> bool:
    return any(vm.power_state is state for _, vm in machines(workspace.cache, selection))


async def _run(workspace: Workspace, chosen: Sequence[Chosen], act: _Act) -> None:
    """Do it to all that can, then tell of the rest."""
    left_out, failed = await _do(workspace, chosen, act)
    await report(workspace, act.title, len(chosen), [*left_out, *failed])


async def _do(workspace: Workspace, chosen: Sequence[Chosen], act: _Act) -> tuple[list[Outcome], list[Outcome]]:
    can, left_out = able(chosen, act.operation)

    def begin(vm: Ref[VM]) -> Awaitable[Ref[Task]]:
        return workspace.session.start(act.message, vm)

    return left_out, await run_each(workspace, can, lambda name: f"{act.doing} {name}", begin)


async def _agreed(workspace: Workspace, chosen: Sequence[Chosen], act: _Act, sentence: str) -> bool:
    """One VM was meant; several may have been chosen by mistake."""
    can, _ = able(chosen, act.operation)
    if len(can) < 2:
        return True
    names = ", ".join(vm.name_label for _, vm in can[:5]) + (f" and {len(can) - 5} more" if len(can) > 5 else "")
    dialog = ConsequenceDialog(
        f"{act.title}: {count(len(can), 'VM')}?",
        sentence,
        [("vm", names)],
        primary=act.title,
        xe=power_lines(act.operation, (vm for _, vm in can)),
        parent=workspace.window,
    )
    return bool(await ask(dialog))


async def _cleanly(workspace: Workspace, chosen: Sequence[Chosen], act: _Act, by_force: _Act) -> None:
    """Do it, and where the one guest does not answer, offer to force it."""
    left_out, failed = await _do(workspace, chosen, act)
    error = failed[0].error if failed else None
    if len(chosen) > 1 or not (isinstance(error, Failure) and error.code == "VM_SHUTDOWN_TIMEOUT"):
        await report(workspace, act.title, len(chosen), [*left_out, *failed])
        return
    words = explain(error, workspace.cache)
    dialog = ErrorDialog(
        f"{act.title} failed",
        words.why,
        "Forcing it is like pulling the plug: what programs have not saved is lost.",
        words.details,
        primary=by_force.title,
        xe=power_lines(by_force.operation, (vm for _, vm in chosen)),
        parent=workspace.window,
    )
    assert dialog.primary is not None
    dialog.primary.setProperty("primary", False)
    dialog.primary.setProperty("danger", True)
    dialog.cancel.setDefault(True)
    if await ask(dialog):
        await _run(workspace, machines(workspace.cache, (("VM", chosen[0][0]),)), by_force)
