"""The Events page: what runs, how far it is, what failed and why; each can be cancelled or dismissed."""

from __future__ import annotations

from collections.abc import Callable
from datetime import UTC, datetime
from functools import partial
from typing import Final

from PySide6.QtCore import QTimer
from PySide6.QtGui import QGuiApplication, QHideEvent, QShowEvent
from PySide6.QtWidgets import QHBoxLayout

from app.api import Ref, Task
from app.client import Delta
from ui.base import fonts
from ui.base.dialogs import GAP, label
from ui.base.files import show_in_folder
from ui.base.history import Entry
from ui.base.sizes_and_dates import age, count, date_and_time, exact
from ui.base.workspace import Workspace
from ui.base.xe_lines import cancel_lines
from ui.base.xe_menu import offer_xe
from ui.models.table_model import Column, TableModel
from ui.navigation.titles import Title
from ui.notifications.events import STATES, Operation, others, own
from ui.notifications.list_page import ListPage, matches
from ui.widgets.buttons import button
from ui.widgets.facts import FactGrid
from ui.widgets.progress import TaskProgress
from ui.widgets.progress_delegate import PROGRESS_ROLE, ProgressDelegate

_KINDS: Final = (("all", "All"), ("running", "Running"), ("failed", "Failed"))
_WIDTHS: Final = (100, 0, 120, 120, 110, 80)
_PROGRESS, _STARTED = 3, 4
_SECOND: Final = 1000


def columns() -> list[Column[Operation]]:
    """Status, what, on which object, how far, since when, how long."""
    return [
        Column(
            title="Status",
            text=lambda o: STATES[o.state][1],
            icon=lambda o: STATES[o.state][0],
            order=lambda o: list(STATES).index(o.state),
        ),
        Column(title="Operation", text=lambda o: o.title, tooltip=lambda o: o.as_text()),
        Column(title="On", text=lambda o: o.object_name or ("" if o.mine or o.by_engine else "another client")),
        Column(
            title="Progress",
            text=lambda o: o.words,
            order=lambda o: o.progress,
            roles={PROGRESS_ROLE: lambda o: o.progress if o.state == "running" else None},
        ),
        Column(
            title="Started",
            text=lambda o: age(o.started),
            order=lambda o: o.started,
            tooltip=lambda o: exact(o.started),
        ),
        Column(
            title="Took",
            text=lambda o: o.took(datetime.now(UTC)),
            order=lambda o: o.took(datetime.now(UTC)),
            right=True,
        ),
    ]


class EventsPage(ListPage):
    """Rows of the history and of other clients' tasks, newest first."""

    def __init__(self, workspace: Workspace) -> None:
        model: TableModel[Operation] = TableModel(columns())
        self._dismissed: set[str] = set()
        super().__init__(
            workspace,
            Title("list", "Events", ""),
            model,
            _KINDS,
            _WIDTHS,
            empty="Nothing was done since the window was opened.",
            without={"running": "Nothing is in progress.", "failed": "Nothing has failed."},
            newest=_STARTED,
        )
        self.table.setItemDelegateForColumn(_PROGRESS, ProgressDelegate(self.table))
        self.cancel = button("Cancel", "close")
        self.dismiss = button("Dismiss", "check")
        self.dismiss_all = button("Dismiss all finished")
        for made in (self.cancel, self.dismiss, self.dismiss_all):
            self.tools.addWidget(made)
        self.progress = TaskProgress(cancellable=False)
        self.facts = FactGrid(name="The chosen operation")
        self.why = label("")
        self.advice = label("", "quiet")
        self.code = label("", "secondary")
        self.copy = button("Copy details", "copy")
        self.go_to = button("Show object", "forward")
        self.folder = button("Show in folder", "folder")
        self._lay_out_details()
        self._connect()
        self.refresh()

    def show_kind(self, kind: str) -> None:
        """Show only "running", only "failed", or "all"."""
        self.kinds.set_current(kind)
        self.refilter()

    def refresh(self) -> None:
        """Take everything from the history and the cache; the rows that differ change."""
        cache, history = self.workspace.cache, self.workspace.history
        rows = {_key(entry): own(cache, entry) for entry in history.entries}
        self.model.set_items(rows | others(cache, history, self._dismissed))
        self.stale = False
        self._show_counts()

    def _refresh_one(self, entry: Entry) -> None:
        self.model.update({_key(entry): own(self.workspace.cache, entry)})
        self._refresh_others()

    def _refresh_others(self) -> None:
        found = others(self.workspace.cache, self.workspace.history, self._dismissed)
        known = self.model.items
        gone = [key for key, row in known.items() if not row.mine and key not in found]
        self.model.update({key: row for key, row in found.items() if known.get(key) != row}, gone)
        self._show_counts()

    def _show_counts(self) -> None:
        rows = self.model.items.values()
        running = sum(1 for row in rows if row.state == "running")
        failed = sum(1 for row in rows if row.state == "failed")
        self.say_where(f"{running} running · {failed} failed · {count(len(rows), 'entry', 'entries')}")
        self.say_empty()
        self.show_details()

    def refilter(self) -> None:
        kind, words = self.kinds.current(), self.search.text()
        self.model.set_filter(
            lambda o: kind in ("all", o.state) and matches(words, o.title, o.object_name, o.words, STATES[o.state][1])
        )
        self.say_empty()
        self.show_details()

    def show_details(self) -> None:
        chosen = [self.model.items[key] for key in self.chosen()]
        self._show_actions(chosen)
        self.details.setVisible(len(chosen) == 1)
        if len(chosen) == 1:
            self._show_one(chosen[0])

    # ---- construction -----------------------------------------------------------------------------------------

    def _lay_out_details(self) -> None:
        content = self.details.content
        for words in (self.why, self.advice):
            words.setWordWrap(True)
        self.code.setFont(fonts.monospace(fonts.Role.SECONDARY))
        self.code.setWordWrap(True)
        row = QHBoxLayout()
        row.setSpacing(GAP)
        row.addWidget(self.copy)
        row.addWidget(self.go_to)
        row.addWidget(self.folder)
        row.addStretch()
        for part in (self.progress, self.why, self.advice, self.code, self.facts):
            content.addWidget(part)
        content.addLayout(row)

    def _connect(self) -> None:
        self.cancel.clicked.connect(self.cancel_chosen)
        offer_xe(self.cancel, self.cancel_line)
        offer_xe(self.progress.cancel, self.cancel_line)
        self.dismiss.clicked.connect(self.dismiss_chosen)
        self.dismiss_all.clicked.connect(self.dismiss_finished)
        self.table.dismissed.connect(self.dismiss_chosen)
        self.table.opened.connect(self.show_object)
        self.table.doubleClicked.connect(lambda _index: self.show_object())
        self.go_to.clicked.connect(self.show_object)
        self.folder.clicked.connect(self.show_file)
        self.copy.clicked.connect(self._copy)
        self.progress.cancelled.connect(self.cancel_chosen)
        self._tick = QTimer(self)
        self._tick.setInterval(_SECOND)
        self._tick.timeout.connect(self._count_seconds)
        history = self.workspace.history
        history.added.connect(self._entry_changed)
        history.changed.connect(self._entry_changed)
        history.removed.connect(self._entries_removed)
        self.workspace.changed.connect(self._follow)

    # ---- what can be done -------------------------------------------------------------------------------------

    def cancel_chosen(self) -> None:
        """Ask the chosen operations to stop."""
        entries = self._entries()
        for key in self.chosen():
            if self.model.items[key].no_cancel_reason():
                continue
            if key in entries:
                self.workspace.spawn(self.workspace.cancel(entries[key]), "Cancelling")
            else:
                self.workspace.spawn(self.workspace.session.task.cancel(Ref(key)), "Cancelling")

    def cancel_line(self) -> str:
        """What a terminal would be told to stop them. What the window does itself has no task."""
        entries, tasks = self._entries(), list[str]()
        for key in self.chosen():
            if not self.model.items[key].no_cancel_reason():
                tasks.append(entries[key].task if key in entries else key)
        return cancel_lines(self.workspace.cache, tasks)

    def dismiss_chosen(self) -> None:
        """Take the chosen finished operations off the list."""
        self._dismiss(self.chosen())

    def dismiss_finished(self) -> None:
        """Take all that is over off the list, as far as the filter shows it."""
        self._dismiss(self.model.shown_keys())

    def show_object(self) -> None:
        """Show what the chosen operation is about."""
        chosen = self.chosen()
        if len(chosen) == 1 and self.model.items[chosen[0]].subject[1]:
            self.workspace.show(*self.model.items[chosen[0]].subject)

    def show_file(self) -> None:
        """Show the file that the chosen operation wrote, where it lies."""
        chosen = self.chosen()
        if len(chosen) == 1 and self.model.items[chosen[0]].file:
            show_in_folder(self.model.items[chosen[0]].file)

    def _dismiss(self, keys: list[str]) -> None:
        over = [key for key in keys if self.model.items[key].state != "running"]
        entries = self._entries()
        self._dismissed |= {key for key in over if key not in entries}
        self.workspace.history.dismiss([entries[key] for key in over if key in entries])
        self.refresh()

    def _entries(self) -> dict[str, Entry]:
        return {_key(entry): entry for entry in self.workspace.history.entries}

    def _copy(self) -> None:
        chosen = self.chosen()
        if len(chosen) == 1:
            QGuiApplication.clipboard().setText(self.model.items[chosen[0]].as_text())

    # ---- what is shown ----------------------------------------------------------------------------------------

    def _show_actions(self, chosen: list[Operation]) -> None:
        reasons = [row.no_cancel_reason() for row in chosen]
        can = any(not reason for reason in reasons)
        self.cancel.setEnabled(can)
        self.cancel.setToolTip("" if can else reasons[0] if reasons else "Choose an operation first.")
        over = any(row.state != "running" for row in chosen)
        self.dismiss.setEnabled(over)
        self.dismiss.setToolTip("" if over else "It is still running." if chosen else "Choose an operation first.")
        shown = (self.model.items[key] for key in self.model.shown_keys())
        self.dismiss_all.setEnabled(any(row.state != "running" for row in shown))

    def _show_one(self, row: Operation) -> None:
        running = row.state == "running"
        self.progress.set_title(row.title)
        if running:
            self.progress.set_progress(row.progress, row.words)
            self.progress.set_cancellable(not row.no_cancel_reason(), row.no_cancel_reason())
        elif row.state == "failed":
            self.progress.set_failed("")
        else:
            self.progress.set_done(STATES[row.state][1])
        self.progress.bar.setVisible(running)
        error = row.error
        for words, said in (
            (self.why, error.why if error else ""),
            (self.advice, error.advice if error else ""),
            (self.code, " · ".join(error.details.splitlines()) if error else ""),
        ):
            words.setText(said)
            words.setVisible(bool(said))
        finished = date_and_time(row.finished) if row.finished else ""
        self.facts.set_facts(
            [
                ("Object", row.object_name),
                ("Started", date_and_time(row.started), exact(row.started)),
                ("Finished", finished),
                ("Took", row.took(datetime.now(UTC))),
                ("Asked by", row.asked_by),
                ("File", row.file, row.file),
            ]
        )
        self.folder.setVisible(bool(row.file))
        self.go_to.setVisible(bool(row.object_name))

    # ---- following --------------------------------------------------------------------------------------------

    def showEvent(self, event: QShowEvent) -> None:
        super().showEvent(event)
        self._tick.start()

    def hideEvent(self, event: QHideEvent) -> None:
        super().hideEvent(event)
        self._tick.stop()

    def _follow(self, delta: Delta) -> None:
        if delta.touches(Task):
            self._if_seen(self._refresh_others)

    def _entry_changed(self, entry: Entry) -> None:
        self._if_seen(partial(self._refresh_one, entry))

    def _entries_removed(self) -> None:
        self._if_seen(self.refresh)

    def _if_seen(self, follow: Callable[[], None]) -> None:
        """Follow a change now, or take everything in when the page is next looked at."""
        if self.stale or not self.isVisible():
            self.stale = True
        else:
            follow()

    def _count_seconds(self) -> None:
        """Durations of what runs grow, and ages of what started."""
        for row in range(self.model.rowCount()):
            if self.model.item(row).state == "running":
                self.model.dataChanged.emit(self.model.index(row, _STARTED), self.model.index(row, _STARTED + 1))
        chosen = self.chosen()
        if len(chosen) == 1 and self.model.items[chosen[0]].state == "running":
            self._show_one(self.model.items[chosen[0]])


def _key(entry: Entry) -> str:
    return f"own {id(entry)}"
