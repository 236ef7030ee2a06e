"""Chain health: how deep each disk's chain is, what each snapshot holds, what waits to be merged, and what blocks."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence

from PySide6.QtCore import Qt, QTimer
from PySide6.QtGui import QShowEvent
from PySide6.QtWidgets import QHeaderView, QWidget
from shiboken6 import isValid

from app.api import VM, ConnectionLost, Failure, Ref, SRCalls
from app.client import Delta
from ui.base.dialogs import Dialog, label
from ui.base.failures import explain
from ui.base.sizes_and_dates import size
from ui.base.workspace import Workspace
from ui.base.xe_menu import offer_xe
from ui.models.table_model import Column, TableModel
from ui.snapshots import words
from ui.snapshots.health import DiskHealth, StateHealth, head_words, health_of
from ui.snapshots.line_list import LineList
from ui.snapshots.merges import Merge, MergeWatch, merge_words
from ui.snapshots.xe_lines import merge_lines
from ui.widgets.buttons import button
from ui.widgets.facts import FactGrid
from ui.widgets.notice import Notice
from ui.widgets.views import TableView

_WIDTH, _ROW, _TALLEST = 620, 28, 200
_SETTLED_MS = 400

_DISKS: Sequence[Column[DiskHealth]] = (
    Column(title="Disk", text=lambda d: d.name, icon=lambda d: "alert-bad" if d.broken else "disk"),
    Column(title="Depth", text=lambda d: str(d.depth), order=lambda d: d.depth, right=True),
    Column(title="Own", text=lambda d: size(d.own), order=lambda d: d.own, right=True),
    Column(title="Shared", text=lambda d: size(d.shared), order=lambda d: d.shared, right=True),
    Column(title="Storage", text=lambda d: d.storage),
)
_STATES: Sequence[Column[StateHealth]] = (
    Column(title="Snapshot", text=lambda s: s.name, icon=lambda s: "alert-bad" if s.missing else s.icon),
    Column(title="Depth", text=lambda s: str(s.depth), order=lambda s: s.depth, right=True),
    Column(
        title="Exclusive",
        text=lambda s: size(s.exclusive) if s.exclusive else "nothing",
        order=lambda s: s.exclusive,
        tooltip=lambda _s: "Free at once when it is deleted",
        right=True,
    ),
    Column(title="Shared", text=lambda s: size(s.shared), order=lambda s: s.shared, right=True),
    Column(
        title="To merge",
        text=lambda s: size(s.merge) if s.merge else "nothing",
        order=lambda s: s.merge,
        tooltip=lambda _s: "What a merge has to move at most after it is deleted",
        right=True,
    ),
)


class HealthDialog(Dialog):
    """Follows the chains of one VM for as long as it is open."""

    def __init__(self, workspace: Workspace, vm: str, parent: QWidget | None = None) -> None:
        self._workspace, self._cache, self._vm = workspace, workspace.cache, vm
        self._answer: dict[str, dict[str, str]] = {}
        super().__init__(f"Chain health of {words.name_of(workspace.cache, vm)}", cancel="Close", parent=parent)
        self.watch = MergeWatch(workspace, self)
        self.notice = Notice()
        self.figures = FactGrid(name="Figures")
        self.disks: TableModel[DiskHealth] = TableModel(_DISKS, self)
        self.states: TableModel[StateHealth] = TableModel(_STATES, self)
        self.merges = LineList("Merges")
        self.merge_now = button("Merge Now", "merge")
        self._tables = (
            _table("Disks", self.disks, (64, 88, 88, 136)),
            _table("Snapshots", self.states, (64, 88, 88, 88)),
        )
        self._soon = QTimer(self)
        self._soon.setSingleShot(True)
        self._soon.setInterval(_SETTLED_MS)
        self._soon.timeout.connect(self._ask)
        self._lay_out_parts()
        self.merge_now.clicked.connect(self._merge)
        offer_xe(self.merge_now, lambda: merge_lines(self._cache, self.watch.storages()))
        self.watch.changed.connect(self._show_merges)
        workspace.changed.connect(self._follow)
        self._show()
        self._show_merges()

    def _lay_out_parts(self) -> None:
        self.setMinimumWidth(_WIDTH)
        self.content.addWidget(self.notice)
        self.content.addWidget(self.figures)
        for title, table in zip(("Disks", "Snapshots"), self._tables, strict=True):
            self.content.addWidget(label(title, "strong"))
            self.content.addWidget(table)
        self.content.addWidget(self.merges)
        self.content.addStretch()
        self.buttons.insertWidget(0, self.merge_now)

    def showEvent(self, event: QShowEvent) -> None:
        super().showEvent(event)
        self.watch.follow(self._vm)
        self._ask()

    def _follow(self, delta: Delta) -> None:
        self.watch.update(delta)
        if delta.touches(VM) or any(cls in ("VDI", "SR") for cls, _ in delta.added | delta.changed | delta.removed):
            self._soon.start()

    def _ask(self) -> None:
        self._workspace.spawn(self._fetch())

    async def _fetch(self) -> None:
        """What the engine says; the records tell the rest, also where it is out of reach or does not know of this."""
        try:
            answer = await self._workspace.session.VM.get_chain_health(Ref(self._vm))
        except (Failure, ConnectionLost):
            answer = {}
        if isValid(self):
            self._answer = {str(ref): dict(said) for ref, said in (answer or {}).items()}
            self._show()

    def _show(self) -> None:
        health = health_of(self._cache, self._vm, self._answer)
        self.notice.say(health.sentence, health.tone)
        self.figures.set_facts(head_words(health))
        self.disks.set_items({disk.ref: disk for disk in health.disks})
        self.states.set_items({state.ref: state for state in health.states})
        for table, rows in zip(self._tables, (health.disks, health.states), strict=True):
            table.setFixedHeight(min(_TALLEST, 44 + _ROW * max(1, len(rows))))
        self.fit()

    def _show_merges(self) -> None:
        merges = self.watch.merges
        lines = [(_icon(merge), f"An old image: {merge_words(merge)}") for merge in merges]
        self.merges.set(lines or [("alert-good", "Nothing waits to be merged.")])
        waits = any(merge.state != "running" for merge in merges)
        self.merge_now.setEnabled(waits)
        self.merge_now.setToolTip("" if waits else "Nothing waits to be merged.")
        self.fit()

    def _merge(self) -> None:
        self.merge_now.setEnabled(False)
        self._workspace.spawn(self._merge_all(), "Merge Now")

    async def _merge_all(self) -> None:
        session = self._workspace.session
        name = words.name_of(self._cache, self._vm)
        work = [
            self._workspace.run_task(
                f"Merging old images of {name}", session.start(SRCalls.coalesce, sr), ("VM", self._vm)
            )
            for sr in self.watch.storages()
        ]
        results = await asyncio.gather(*work, return_exceptions=True)
        if isValid(self):
            self.watch.refresh()
        for error in results:
            if isinstance(error, Failure | ConnectionLost):
                await self._tell(error)
                return

    async def _tell(self, error: Failure | ConnectionLost) -> None:
        if isValid(self) and self.isVisible():
            self.notice.say(f"The merge did not happen. {explain(error, self._cache).why}", "bad")
            self.fit()
        else:
            await self._workspace.show_error(error, "Merge Now")


def _icon(merge: Merge) -> str:
    return {"running": "merge", "blocked": "alert-attention"}.get(merge.state, "clock")


def _table(name: str, model: TableModel[DiskHealth] | TableModel[StateHealth], widths: tuple[int, ...]) -> TableView:
    made = TableView(name, "None.")
    made.setModel(model)
    header = made.horizontalHeader()
    header.setStretchLastSection(False)
    header.setSectionResizeMode(0, QHeaderView.ResizeMode.Stretch)
    for column, width in enumerate(widths, 1):
        made.setColumnWidth(column, width)
    header.setSortIndicator(0, Qt.SortOrder.AscendingOrder)
    made.setSortingEnabled(True)
    return made
