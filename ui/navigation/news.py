"""What there is to know about: operations that run or failed, and alerts. Counted for the badge and the status bar."""

from __future__ import annotations

from typing import Final

from PySide6.QtCore import QObject, QTimer, Signal

from app.api import Message, Task, TaskStatus
from app.client import Delta, ObjectCache
from ui.base.workspace import Workspace

LEAST_URGENT_ALERT: Final = 3
"""Messages of a higher number than this only inform, and are not counted."""


def is_alert(message: Message) -> bool:
    """Whether a message wants attention."""
    return message.priority <= LEAST_URGENT_ALERT


def is_of_engine(task: Task) -> bool:
    """Whether the engine does it by itself, as a merge: then its label is words and no message's name."""
    return " " in task.name_label


def engine_tasks(cache: ObjectCache) -> list[Task]:
    """What the engine is doing by itself now, newest last."""
    found = (task for task in cache.all(Task).values() if task.status is TaskStatus.pending and is_of_engine(task))
    return sorted(found, key=lambda task: task.created)


def alerts(cache: ObjectCache) -> int:
    """How many messages want attention."""
    return sum(1 for message in cache.all(Message).values() if is_alert(message))


class News(QObject):
    """The three counts, followed."""

    changed = Signal()

    def __init__(self, workspace: Workspace, parent: QObject | None = None) -> None:
        super().__init__(parent)
        self._workspace = workspace
        self.running = self.failed = self.alerts = 0
        self._soon = QTimer(self)
        self._soon.setSingleShot(True)
        self._soon.timeout.connect(self._count)
        history = workspace.history
        for signal in (history.added, history.changed, history.removed):
            signal.connect(lambda *_: self._soon.start())
        workspace.changed.connect(self._follow)
        self._count()

    def _follow(self, delta: Delta) -> None:
        if delta.touches(Message):
            self._soon.start()

    def _count(self) -> None:
        history = self._workspace.history
        before = (self.running, self.failed, self.alerts)
        self.running, self.failed = len(history.running()), len(history.failed())
        self.alerts = alerts(self._workspace.cache)
        if (self.running, self.failed, self.alerts) != before:
            self.changed.emit()
