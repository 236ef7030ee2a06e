"""VM Snapshot Schedules: all schedules, their next runs and results, and what can be done with them."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from datetime import datetime
from typing import Final

from PySide6.QtCore import QEvent, QObject, Qt, QTimer
from PySide6.QtGui import QCloseEvent, QKeyEvent, QShowEvent
from PySide6.QtWidgets import QDialog, QHBoxLayout, QVBoxLayout, QWidget

from app.api import VM, VMSS, ConnectionLost, Failure, Ref, VMSSRun
from app.client import Delta
from ui.base.dialogs import GAP, MARGIN, label
from ui.base.sizes_and_dates import count
from ui.base.workspace import Workspace
from ui.base.xe_menu import offer_xe
from ui.models.protection import members
from ui.models.table_model import TableModel
from ui.schedules.draft import draft_of
from ui.schedules.history import HistoryPane
from ui.schedules.rows import RecentDelegate, ScheduleRow, Upcoming, columns, rows_of
from ui.widgets.buttons import button
from ui.widgets.cards import Card
from ui.widgets.views import TableView

#: the selection of the dialog
SCOPE: Final = "schedules"
_MINUTE_MS: Final = 60_000
_WIDTHS: Final = (190, 90, 56, 170, 100, 0, 240)
_SIZE: Final = (1180, 620)


class SchedulesDialog(QDialog):
    """One per window, not modal. The acts are handed in, so that menus offer the same."""

    def __init__(self, workspace: Workspace, parent: QWidget | None = None) -> None:
        super().__init__(parent)
        self._workspace = workspace
        self._upcoming: dict[str, Upcoming] = {}
        self._asking: asyncio.Task[None] | None = None
        self.setWindowTitle("VM Snapshot Schedules")
        self.setAccessibleName("VM Snapshot Schedules")
        self.heading = label("VM snapshot schedules", "title")
        self.where = label("", "quiet")
        self.model: TableModel[ScheduleRow] = TableModel(columns())
        self.table = TableView("Schedules", "No schedule yet. New… protects VMs by snapshots each hour, day or week.")
        self.history = HistoryPane(workspace)
        self.new = button("New…", "plus", "primary")
        self.enable = button("Disable")
        self.run = button("Run now", "play")
        self.delete = button("Delete…", "delete")
        self.properties = button("Properties…", "settings")
        self.close_it = button("Close")
        self._lay_out()
        self._minute = QTimer(self)
        self._minute.setInterval(_MINUTE_MS)
        self._minute.timeout.connect(self.refresh)
        self._connect()
        self.resize(*_SIZE)
        self.refresh()

    def chosen(self) -> list[Ref[VMSS]]:
        """The chosen schedules, in the order shown."""
        rows = sorted(self.table.selectionModel().selectedRows(), key=lambda index: index.row())
        return [Ref(key) for row in rows if (key := self.model.key(row)) is not None]

    def refresh(self) -> None:
        """Take all from the cache, and ask when each runs next."""
        self._take()
        if self._asking is not None:
            self._asking.cancel()
        self._asking = self._workspace.spawn(self._ask(), "Asking when the schedules run")

    # ---- layout -----------------------------------------------------------------------------------------------

    def _lay_out(self) -> None:
        title = QHBoxLayout()
        title.setSpacing(GAP)
        title.addWidget(self.heading)
        title.addWidget(self.where)
        title.addStretch()
        for made in (self.new, self.enable, self.run, self.delete, self.properties):
            title.addWidget(made)
        self.table.show_rows(self.model, _WIDTHS, remember=(self._workspace.settings, "schedules"))
        self.table.setItemDelegateForColumn(len(_WIDTHS) - 1, RecentDelegate(self.table))
        card = Card(margin=4)
        card.content.addWidget(self.table)
        foot = QHBoxLayout()
        foot.addStretch()
        foot.addWidget(self.close_it)
        rows = QVBoxLayout(self)
        rows.setContentsMargins(MARGIN, MARGIN - 4, MARGIN, MARGIN - 4)
        rows.setSpacing(12)
        rows.addLayout(title)
        rows.addWidget(card, 3)
        rows.addWidget(self.history, 2)
        rows.addLayout(foot)

    def _connect(self) -> None:
        acts = self._workspace.commands
        self.new.clicked.connect(lambda: acts.run("schedule.new"))
        self.enable.clicked.connect(lambda: acts.run("schedule.toggle"))
        self.run.clicked.connect(lambda: acts.run("schedule.run"))
        self.delete.clicked.connect(lambda: acts.run("schedule.delete"))
        self.properties.clicked.connect(lambda: acts.run("schedule.properties"))
        self.close_it.clicked.connect(self.close)
        self.table.doubleClicked.connect(lambda _index: acts.run("schedule.properties"))
        self.table.selectionModel().selectionChanged.connect(lambda *_: self._follow())
        self.model.modelReset.connect(self._follow)
        self.table.installEventFilter(self)
        self._workspace.changed.connect(self._on_delta)
        for made, command in self._acts():
            acts.action(command).changed.connect(lambda made=made, command=command: self._show_state(made, command))
        for made, command in (*self._acts(), (self.new, "schedule.new")):
            offer_xe(made, lambda command=command: acts.xe_line(command))  # type: ignore[misc]

    def _acts(self) -> Sequence[tuple[QWidget, str]]:
        return (
            (self.enable, "schedule.toggle"),
            (self.run, "schedule.run"),
            (self.delete, "schedule.delete"),
            (self.properties, "schedule.properties"),
        )

    def _show_state(self, made: QWidget, command: str) -> None:
        action = self._workspace.commands.action(command)
        made.setEnabled(action.isEnabled())
        made.setToolTip(action.toolTip() if not action.isEnabled() else "")

    def eventFilter(self, watched: QObject, event: QEvent) -> bool:
        if watched is self.table and isinstance(event, QKeyEvent) and event.type() == QEvent.Type.KeyPress:
            command = {
                Qt.Key.Key_Delete: "schedule.delete",
                Qt.Key.Key_Return: "schedule.properties",
                Qt.Key.Key_Enter: "schedule.properties",
                Qt.Key.Key_Insert: "schedule.new",
            }.get(Qt.Key(event.key()))
            if command is not None:
                self._workspace.commands.run(command)
                return True
        return super().eventFilter(watched, event)

    def showEvent(self, event: QShowEvent) -> None:
        super().showEvent(event)
        self._minute.start()
        if not self.chosen() and self.model.rowCount():
            self.table.selectRow(0)
        self.table.setFocus()

    def closeEvent(self, event: QCloseEvent) -> None:
        self._minute.stop()
        super().closeEvent(event)

    # ---- following --------------------------------------------------------------------------------------------

    def _on_delta(self, delta: Delta) -> None:
        if not self.isVisible():
            return
        if delta.touches(VMSS):
            self.refresh()
        elif delta.touches(VMSSRun, VM):
            self._take()

    def _take(self) -> None:
        cache = self._workspace.cache
        self.model.set_items(rows_of(cache, self._upcoming))
        vms = [vm for vm in cache.all(VM).values() if not vm.is_a_template and not vm.is_control_domain]
        protected = {ref for one in cache.all(VMSS).values() if one.enabled for ref in members(cache, one)}
        self.where.setText(f"{len(protected)} of {count(len(vms), 'VM')} protected")
        self._follow()

    def _follow(self) -> None:
        chosen = self.chosen()
        self._workspace.commands.update(tuple(("VMSS", ref) for ref in chosen), scope=SCOPE)
        records = [record for ref in chosen if (record := self._workspace.cache.get(VMSS, ref)) is not None]
        self.enable.setText("Enable" if records and not any(record.enabled for record in records) else "Disable")
        self.history.show_schedule(chosen[0] if len(chosen) == 1 else "")

    async def _ask(self) -> None:
        for ref, record in list(self._workspace.cache.all(VMSS).items()):
            try:
                answer = await self._workspace.session.VMSS.get_preview(draft_of(record).record(), [], 1)
            except (Failure, ConnectionLost, ValueError):
                self._upcoming.pop(ref, None)
                continue
            runs = [dict(run) for run in answer]
            if runs:
                slot, local = datetime.fromisoformat(runs[0]["slot"]), datetime.fromisoformat(runs[0]["local"])
                self._upcoming[ref] = Upcoming(slot, local, runs[0]["zone"])
        self._take()
