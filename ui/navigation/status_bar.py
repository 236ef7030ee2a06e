"""The status bar: the newest operation with its progress and cause, and counts to click on."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Final

from PySide6.QtCore import QSize, Qt, QTimer, Signal
from PySide6.QtWidgets import QHBoxLayout, QProgressBar, QStatusBar, QToolButton, QWidget

from app.api import Task
from app.client import Delta
from ui.base import fonts, icons
from ui.base.dialogs import GAP, IconLabel
from ui.base.failures import explain
from ui.base.history import Entry
from ui.base.sizes_and_dates import count, duration
from ui.base.workspace import Workspace
from ui.base.xe_lines import cancel_lines
from ui.base.xe_menu import offer_xe
from ui.navigation.news import News, engine_tasks
from ui.widgets.buttons import icon_button
from ui.widgets.labels import ElidedLabel

_STEPS: Final = 1000
_SECOND: Final = 1000
_SETTLED: Final = 3.0
"""Seconds after which the pace of an operation says something about its end."""
_WHICH: Final = {"running": "are in progress", "failed": "have failed"}
_STAYS: Final = 8.0
"""Seconds for which the last success stays."""


class StatusBar(QStatusBar):
    """Shows the newest running operation of this window, else one of the engine's own; else how the last one ended."""

    #: a count was clicked: "running", "failed" or "alerts"
    clicked = Signal(str)

    def __init__(self, workspace: Workspace, news: News, parent: QWidget | None = None) -> None:
        super().__init__(parent)
        self._workspace, self._news = workspace, news
        self.setSizeGripEnabled(False)
        self.bar = QProgressBar()
        self.bar.setRange(0, _STEPS)
        self.bar.setFixedWidth(120)
        self.bar.setAccessibleName("Progress")
        self.cancel = icon_button("close", "Cancel")
        self.cancel.setProperty("small", True)
        self.cancel.setFocusPolicy(Qt.FocusPolicy.TabFocus)
        self.cancel.clicked.connect(self._cancel)
        offer_xe(self.cancel, self.xe_line)
        self._shown: Entry | None = None
        self._mark = IconLabel("alert-good", 16)
        self.words = ElidedLabel("")
        self.addWidget(self._left(), 1)
        self._counts = {what: _Count(what) for what in ("running", "failed", "alerts")}
        self.addPermanentWidget(self._right())
        self._tick = QTimer(self)
        self._tick.setInterval(_SECOND)
        self._tick.timeout.connect(self.refresh)
        for signal in (workspace.history.added, workspace.history.changed, workspace.history.removed):
            signal.connect(lambda *_: self.refresh())
        news.changed.connect(self._show_counts)
        workspace.changed.connect(self._follow)
        self._show_counts()
        self.refresh()

    def refresh(self) -> None:
        """Show what is true now."""
        running = self._workspace.history.running()
        if running:
            self._tick.start()
            self._show_running(running[-1])
            return
        by_itself = engine_tasks(self._workspace.cache)
        if by_itself:
            self._tick.start()
            self._show_running(_as_entry(by_itself[-1]))
            return
        self._tick.stop()
        self.bar.hide()
        self.cancel.hide()
        ended = [entry for entry in self._workspace.history.entries if entry.finished is not None]
        last = max(ended, key=lambda entry: entry.finished or entry.started, default=None)
        self._show_ended(last)

    def _follow(self, delta: Delta) -> None:
        if delta.touches(Task) and not self._workspace.history.running():
            self.refresh()

    def counts(self) -> list[QToolButton]:
        """The counts, as buttons: running, failed, alerts."""
        return list(self._counts.values())

    def _left(self) -> QWidget:
        made = QWidget()
        row = QHBoxLayout(made)
        row.setContentsMargins(12, 0, 0, 0)
        row.setSpacing(GAP)
        row.addWidget(self.bar)
        row.addWidget(self.cancel)
        row.addWidget(self._mark)
        row.addWidget(self.words, 1)
        return made

    def _right(self) -> QWidget:
        made = QWidget()
        row = QHBoxLayout(made)
        row.setContentsMargins(0, 0, 10, 0)
        row.setSpacing(4)
        for what, button in self._counts.items():
            button.clicked.connect(lambda _on=False, what=what: self.clicked.emit(what))
            row.addWidget(button)
        return made

    def _show_running(self, entry: Entry) -> None:
        self.bar.show()
        self.bar.setValue(round(entry.progress * _STEPS))
        self._shown = entry
        self.cancel.setVisible(entry.cancellable and not entry.cancel_asked)
        self.cancel.setAccessibleName(f"Cancel: {entry.title}")
        self._mark.hide()
        self._say(progress_words(entry))

    def xe_line(self) -> str:
        """What a terminal would be told to cancel what is shown; "" where the window does it itself."""
        return cancel_lines(self._workspace.cache, (self._shown.task,)) if self._shown is not None else ""

    def _cancel(self) -> None:
        """Stop the operation that is shown."""
        if self._shown is not None:
            self._workspace.spawn(self._workspace.cancel(self._shown), "Cancel")

    def _show_ended(self, entry: Entry | None) -> None:
        now = datetime.now(UTC)
        if entry is None or entry.finished is None or entry.state == "cancelled":
            self._mark.hide()
            self._say("")
        elif entry.state == "failed" and entry.error is not None:
            self._mark.set_icon("alert-bad")
            self._mark.show()
            self._say(f"{entry.title}: {explain(entry.error, self._workspace.cache).why}")
        elif (left := _STAYS - (now - entry.finished).total_seconds()) > 0:
            self._mark.set_icon("alert-good")
            self._mark.show()
            self._say(f"{entry.title}: done in {duration(max(entry.finished - entry.started, now - now))}")
            QTimer.singleShot(round(left * _SECOND) + 1, self, self.refresh)
        else:
            self._mark.hide()
            self._say("")

    def _say(self, words: str) -> None:
        self.words.setText(words)
        self.words.setAccessibleName(words)

    def _show_counts(self) -> None:
        news = self._news
        self._counts["running"].show_count(news.running, f"{news.running} in progress", "")
        self._counts["failed"].show_count(news.failed, f"{news.failed} failed", "alert-bad")
        self._counts["alerts"].show_count(news.alerts, count(news.alerts, "alert"), "alert-attention")


def progress_words(entry: Entry, now: datetime | None = None) -> str:
    """An operation in one line: what, why it waits or what it does now, and how long it still takes or has taken."""
    passed = ((now or datetime.now(UTC)) - entry.started).total_seconds()
    parts = [entry.title, "cancelling" if entry.cancel_asked else entry.words.splitlines()[0] if entry.words else ""]
    if entry.seconds_left is not None:
        parts.append(f"{duration(max(1, round(entry.seconds_left)))} left")
    elif passed >= _SETTLED and 0.05 <= entry.progress < 1:
        left = passed * (1 - entry.progress) / entry.progress
        parts.append(f"{duration(max(1, round(left)))} left")
    elif passed >= 1:
        parts.append(duration(round(passed)))
    return " · ".join(filter(None, parts))


def _as_entry(task: Task) -> Entry:
    """A task of the engine's own as an operation."""
    return Entry(title=task.name_label, progress=task.progress, words=task.name_description, started=task.created)


class _Count(QToolButton):
    """A count in small letters; its icon appears when there is something."""

    def __init__(self, what: str) -> None:
        super().__init__()
        self._what = what
        self.setProperty("small", True)
        self.setAutoRaise(True)
        self.setFont(fonts.font(fonts.Role.SECONDARY))
        self.setIconSize(QSize(16, 14))
        self.setToolButtonStyle(Qt.ToolButtonStyle.ToolButtonTextBesideIcon)
        self.setFocusPolicy(Qt.FocusPolicy.TabFocus)

    def show_count(self, number: int, words: str, icon: str) -> None:
        """Show the count in words."""
        self.setText(words)
        shown = bool(number and icon)
        self.setIcon(icons.icon(icon) if shown else icons.icon("bell"))
        style = Qt.ToolButtonStyle.ToolButtonTextBesideIcon if shown else Qt.ToolButtonStyle.ToolButtonTextOnly
        self.setToolButtonStyle(style)
        self.setToolTip(
            "Show the alerts" if self._what == "alerts" else f"Show the operations that {_WHICH[self._what]}"
        )
        self.setAccessibleName(words)
