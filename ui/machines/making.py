"""Running a plan of the wizard: one entry in the history with progress, words for what went wrong, the VM shown."""

from __future__ import annotations

import time
from collections.abc import Awaitable
from typing import Final

from app.api import VM, ConnectionLost, Failure, Ref, Task, TaskOperation, VMCalls
from app.api.failure import task_cancelled
from app.client import wait_for
from ui.base.dialogs import ErrorDialog, ask
from ui.base.failures import explain
from ui.base.history import Entry
from ui.base.workspace import Workspace
from ui.machines.creation import CreationError, NewVM, create
from ui.models.arrival import arrived
from ui.widgets.notice import toast

#: so soon nobody has begun anything else: the new VM may be shown without being asked for
_SOON_SECONDS: Final = 5.0


class EntryProgress:
    """Shows the steps of a creation as one entry of the history. See `ui.machines.creation.Progress`."""

    def __init__(self, workspace: Workspace, entry: Entry) -> None:
        self._workspace = workspace
        self._entry = entry

    def step(self, words: str, fraction: float) -> None:
        self._entry.words = words
        self._entry.progress = fraction
        self._entry.cancellable = False
        self._workspace.history.changed.emit(self._entry)

    async def follow(self, started: Awaitable[Ref[Task]], begin: float, end: float) -> str:
        entry = self._entry

        def show(task: Task) -> None:
            entry.progress = begin + (end - begin) * task.progress
            entry.words = task.name_description or entry.words
            entry.cancellable = TaskOperation.cancel in task.allowed_operations
            self._workspace.history.changed.emit(entry)

        task = await started
        entry.task = task
        try:
            return await wait_for(self._workspace.session, self._workspace.cache, task, show)
        finally:
            entry.task = ""
            entry.cancellable = False

    def check(self) -> None:
        if self._entry.cancel_asked:
            raise task_cancelled(self._entry.task)


async def make(workspace: Workspace, plan: NewVM) -> None:
    """Make the VM and start it if that is wanted; tell of failures in a dialog."""
    began = time.monotonic()
    entry = workspace.history.begin(f"Making {plan.name}")
    try:
        vm = await create(workspace.session, plan, EntryProgress(workspace, entry))
    except CreationError as error:
        workspace.history.end(entry, error.cause)
        await _tell(workspace, plan, error)
        return
    except BaseException:
        workspace.history.end(entry, task_cancelled(entry.task))
        raise
    entry.subject = ("VM", vm)
    workspace.history.end(entry)
    soon = time.monotonic() - began < _SOON_SECONDS
    if soon and await arrived(workspace.cache, VM, vm):
        workspace.show("VM", vm, "console" if plan.start else "")
    elif workspace.window is not None:
        toast(workspace.window, f"“{plan.name}” is made.", act="Show", on_act=lambda: workspace.show("VM", vm))
    if plan.start:
        await _start(workspace, vm, plan.name)


async def _start(workspace: Workspace, vm: Ref[VM], name: str) -> None:
    """A VM that cannot start stays: it can be changed and started again."""
    try:
        await workspace.run_task(f"Starting {name}", workspace.session.start(VMCalls.start, vm), subject=("VM", vm))
    except (Failure, ConnectionLost) as error:
        await workspace.show_error(error, "Start")


async def _tell(workspace: Workspace, plan: NewVM, error: CreationError) -> None:
    """Why it failed, and what became of what had been made. A cancellation is told only if something is left."""
    cancelled = isinstance(error.cause, Failure) and error.cause.code == "TASK_CANCELLED"
    if cancelled and not error.left:
        return
    words = explain(error.cause, workspace.cache)
    undone = "What had been made was removed again."
    if error.left:
        undone = f"This could not be removed again: {', '.join(error.left)}. Delete it by hand."
    dialog = ErrorDialog(
        f"“{plan.name}” was not made",
        words.why,
        f"{undone} {words.advice}".strip(),
        words.details,
        parent=workspace.window,
    )
    await ask(dialog)
