"""What this window asked for: one entry per operation, running or over, for the status bar and the Events page."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Literal

from PySide6.QtCore import QObject, Signal

from app.api import Failure, Task, TaskOperation

State = Literal["running", "done", "failed", "cancelled"]
KEPT = 1000


@dataclass
class Entry:
    """One operation. Changed in place by `History`; listen to `History.changed`.

    `stop` ends what this program does itself, where the engine's task is not all of it. `file` is what it wrote.
    """

    title: str
    task: str = ""
    subject: tuple[str, str] = ("", "")
    state: State = "running"
    progress: float = 0.0
    words: str = ""
    seconds_left: float | None = None
    cancellable: bool = False
    cancel_asked: bool = False
    error: Exception | None = None
    stop: Callable[[], object] | None = None
    file: str = ""
    started: datetime = field(default_factory=lambda: datetime.now(UTC))
    finished: datetime | None = None


class History(QObject):
    """The operations of this window, newest last."""

    added = Signal(object)
    changed = Signal(object)
    #: entries were dismissed or grew too many
    removed = Signal()

    def __init__(self, parent: QObject | None = None) -> None:
        super().__init__(parent)
        self.entries: list[Entry] = []

    def begin(self, title: str, subject: tuple[str, str] = ("", "")) -> Entry:
        """A new running entry; `subject` is the (class, reference) it is about."""
        entry = Entry(title=title, subject=subject)
        self.entries.append(entry)
        self.added.emit(entry)
        self._drop_excess()
        return entry

    def follow(self, entry: Entry, task: Task) -> None:
        """Take over progress and words of a task."""
        entry.progress = task.progress
        entry.words = task.name_description
        entry.cancellable = TaskOperation.cancel in task.allowed_operations
        self.changed.emit(entry)

    def end(self, entry: Entry, error: Exception | None = None) -> None:
        """The operation is over."""
        cancelled = isinstance(error, Failure) and error.code == "TASK_CANCELLED"
        entry.state = "done" if error is None else "cancelled" if cancelled else "failed"
        entry.error = None if cancelled else error
        entry.progress = 1.0
        entry.seconds_left = None
        entry.cancellable = False
        entry.stop = None
        entry.words = ""
        entry.finished = datetime.now(UTC)
        self.changed.emit(entry)

    def dismiss(self, entries: list[Entry]) -> None:
        """Remove finished entries; running ones stay."""
        before = len(self.entries)
        self.entries = [e for e in self.entries if e not in entries or e.state == "running"]
        if len(self.entries) != before:
            self.removed.emit()

    def running(self) -> list[Entry]:
        """What is under way."""
        return [e for e in self.entries if e.state == "running"]

    def failed(self) -> list[Entry]:
        """What failed and was not dismissed."""
        return [e for e in self.entries if e.state == "failed"]

    def _drop_excess(self) -> None:
        if len(self.entries) > KEPT:
            over = [e for e in self.entries if e.state != "running"][: len(self.entries) - KEPT]
            self.dismiss(over)
