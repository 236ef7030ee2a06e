"""Operations as rows of the Events page: this window's own, and the engine's tasks of other clients."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Final, Literal

from app.api import Failure, Task, TaskOperation, TaskStatus
from app.client import ObjectCache
from app.client.stream_tasks import LABELS
from ui.base.failures import Explanation, explain
from ui.base.history import Entry, History
from ui.base.sizes_and_dates import duration
from ui.navigation.news import is_of_engine
from ui.navigation.titles import title_of

State = Literal["running", "done", "failed", "cancelled"]

#: icon and word of each state
STATES: Final[Mapping[State, tuple[str, str]]] = {
    "running": ("clock", "Running"),
    "done": ("alert-good", "Done"),
    "failed": ("alert-bad", "Failed"),
    "cancelled": ("close", "Cancelled"),
}

_SYNCHRONOUS: Final = re.compile(r"[A-Za-z_]+\.[A-Za-z_]+")

_MESSAGES: Final[Mapping[str, str]] = {
    "VM.snapshot": "Taking a snapshot",
    "VM.snapshot_with_quiesce": "Taking a snapshot",
    "VM.checkpoint": "Taking a snapshot with memory",
    "VM.snapshot_group": "Taking a snapshot of several VMs",
    "VM.revert": "Reverting to a snapshot",
    "VM.revert_group": "Reverting several VMs",
    "VM.lock_snapshot": "Locking a snapshot",
    "VM.unlock_snapshot": "Unlocking a snapshot",
    "VM.clone": "Cloning a VM",
    "VM.copy": "Copying a VM",
    "VM.set_is_a_template": "Converting a VM or template",
    "VM.provision": "Setting up a VM",
    "VM.start": "Starting a VM",
    "VM.start_on": "Starting a VM",
    "VM.pause": "Pausing a VM",
    "VM.unpause": "Unpausing a VM",
    "VM.clean_shutdown": "Shutting down a VM",
    "VM.hard_shutdown": "Forcing off a VM",
    "VM.shutdown": "Shutting down a VM",
    "VM.clean_reboot": "Rebooting a VM",
    "VM.hard_reboot": "Forcing a reboot of a VM",
    "VM.suspend": "Suspending a VM",
    "VM.resume": "Resuming a VM",
    "VM.destroy": "Deleting a VM or snapshot",
    "VM.uninstall": "Deleting a VM or snapshot",
    "VDI.create": "Making a disk",
    "VDI.destroy": "Deleting a disk",
    "VDI.import_file": "Importing a disk",
    "VDI.import": "Importing a disk",
    "VDI.export": "Exporting a disk",
    "Export": "Exporting a VM, template or snapshot",
    "Import": "Importing a VM or template",
    "SR.scan": "Scanning storage",
    "SR.coalesce": "Merging disk chains",
    "VBD.insert": "Inserting a disc",
    "VBD.eject": "Ejecting a disc",
}


_NEVER: Final = datetime.max.replace(tzinfo=UTC)


@dataclass(frozen=True, slots=True)
class Operation:
    """One row. ``task`` is the engine's, ``subject`` the (class, reference) it is about, empty where not known."""

    title: str
    state: State
    started: datetime
    finished: datetime | None = None
    progress: float = 0.0
    words: str = ""
    object_name: str = ""
    subject: tuple[str, str] = ("", "")
    task: str = ""
    file: str = ""
    mine: bool = True
    by_engine: bool = False
    cancellable: bool = False
    cancel_asked: bool = False
    error: Explanation | None = None

    @property
    def asked_by(self) -> str:
        """Who wanted it."""
        return "this window" if self.mine else "the engine itself" if self.by_engine else "another client"

    def took(self, now: datetime) -> str:
        """How long it took, or has taken so far."""
        passed = (self.finished or now) - self.started
        return duration(max(passed, timedelta()))

    def no_cancel_reason(self) -> str:
        """Why it cannot be cancelled; "" where it can be."""
        if self.state != "running":
            return "It is over."
        if self.cancel_asked:
            return "It is being cancelled."
        return "" if self.cancellable else "It is past the point where it could be undone, and finishes."

    def as_text(self) -> str:
        """All of it, to be copied."""
        said = [f"{self.title}: {STATES[self.state][1].lower()}", self.object_name, self.words, self.file]
        if self.error is not None:
            said += [self.error.why, self.error.advice, self.error.details]
        return "\n".join(filter(None, said))


def own(cache: ObjectCache, entry: Entry) -> Operation:
    """An entry of the history."""
    return Operation(
        title=entry.title,
        state=entry.state,
        started=entry.started,
        finished=entry.finished,
        progress=entry.progress,
        words=entry.words,
        object_name=_name(cache, entry.subject),
        subject=entry.subject,
        task=entry.task,
        file=entry.file,
        cancellable=entry.cancellable,
        cancel_asked=entry.cancel_asked,
        error=None if entry.error is None else explain(entry.error, cache),
    )


def others(cache: ObjectCache, history: History, hidden: Iterable[str] = ()) -> dict[str, Operation]:
    """The tasks that are not this window's, by reference, without those in ``hidden``."""
    mine = {entry.task for entry in history.entries if entry.task} | set(hidden)
    running = history.running()
    # an operation of ours may have its task in the cache before we know that it is ours
    since = min((e.started for e in running if not e.task and e.stop is None), default=_NEVER)
    # a transfer, which may take hours, has a task that we are never told; it goes with the transfer
    streaming = min((e.started for e in running if e.stop is not None), default=_NEVER)
    return {
        ref: _other(cache, ref, task)
        for ref, task in cache.all(Task).items()
        if ref not in mine
        and task.created < (min(since, streaming) if task.name_label in LABELS else since)
        and not _SYNCHRONOUS.fullmatch(task.name_label)
    }


def _other(cache: ObjectCache, ref: str, task: Task) -> Operation:
    state: State = {
        TaskStatus.success: "done",
        TaskStatus.failure: "failed",
        TaskStatus.cancelled: "cancelled",
    }.get(task.status, "running")  # type: ignore[assignment]
    failed = state == "failed" and task.error_info
    return Operation(
        title=title_of_task(task),
        state=state,
        started=task.created,
        finished=None if state == "running" else task.finished,
        progress=task.progress,
        words=task.name_description if state == "running" else "",
        task=ref,
        mine=False,
        by_engine=is_of_engine(task),
        cancellable=state == "running" and TaskOperation.cancel in task.allowed_operations,
        cancel_asked=task.status is TaskStatus.cancelling or TaskOperation.cancel in task.current_operations.values(),
        error=explain(Failure(*task.error_info), cache) if failed else None,
    )


def title_of_task(task: Task) -> str:
    """What a task does, in words."""
    message = task.name_label.removeprefix("Async.")
    return _MESSAGES.get(message, message or "Unnamed operation")


def _name(cache: ObjectCache, subject: tuple[str, str]) -> str:
    title = title_of(cache, subject) if subject[1] else None
    return "" if title is None else title.name
