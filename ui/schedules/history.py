"""The history of one schedule: its runs from the run log, and what came of each for every VM."""

from __future__ import annotations

from dataclasses import dataclass

from PySide6.QtCore import Qt
from PySide6.QtWidgets import QHBoxLayout, QHeaderView, QWidget

from app.api import VM, VMSSRun
from app.client import Delta
from ui.base.dialogs import GAP, label
from ui.base.sizes_and_dates import count, duration
from ui.base.workspace import Workspace
from ui.models.kept_places import KeptPlaces
from ui.models.table_model import Column, TableModel
from ui.schedules.rows import history_columns, runs_by_schedule
from ui.schedules.words import OUTCOMES, VMResult, results_of
from ui.widgets.cards import Card
from ui.widgets.views import TableView


@dataclass(frozen=True, slots=True)
class VMLine:
    """What a run did to one VM, with the VM's reference where it still exists."""

    result: VMResult
    vm: str


def vm_columns() -> list[Column[VMLine]]:
    """Which VM, what came of it, why."""
    return [
        Column(title="VM", text=lambda line: line.result.name, icon=lambda line: OUTCOMES[line.result.outcome][0]),
        Column(title="Result", text=lambda line: OUTCOMES[line.result.outcome][1]),
        Column(title="Details", text=lambda line: details_of(line.result)),
    ]


def details_of(result: VMResult) -> str:
    """``in 0.4 s, removed 1``, or why it was not done."""
    if result.outcome != "success":
        return result.reason
    said = [f"in {duration(result.seconds)}"] if result.seconds else []
    if result.deleted:
        said.append(f"removed {count(result.deleted, 'snapshot')}")
    said += [f"one was kept: {why}" for why in result.kept.values()]
    return ", ".join(said)


class HistoryPane(QWidget):
    """Runs at the left, the VMs of the chosen one at the right."""

    def __init__(self, workspace: Workspace, parent: QWidget | None = None) -> None:
        super().__init__(parent)
        self._workspace = workspace
        self._schedule = ""
        self.runs: TableModel[VMSSRun] = TableModel(history_columns())
        self.vms: TableModel[VMLine] = TableModel(vm_columns())
        self.runs_table = TableView("Run history", "It has not run yet.")
        self.vms_table = TableView("VMs of the run", "Choose a run to see what came of it.")
        self._lay_out()
        workspace.changed.connect(self._on_delta)

    def show_schedule(self, ref: str) -> None:
        """Show the history of this schedule; "" shows none."""
        if ref != self._schedule:
            self._schedule = ref
            self.refresh()
            if self.runs.rowCount():
                self.runs_table.selectRow(0)

    def refresh(self) -> None:
        """Take the runs from the cache."""
        runs = runs_by_schedule(self._workspace.cache).get(self._schedule, []) if self._schedule else []
        self.runs.set_items({run.uuid: run for run in runs})
        self._show_vms()

    def _lay_out(self) -> None:
        row = QHBoxLayout(self)
        row.setContentsMargins(0, 0, 0, 0)
        row.setSpacing(GAP)
        for title, table, model, stretched, part in (
            ("Run history", self.runs_table, self.runs, 2, 3),
            ("VMs of the run", self.vms_table, self.vms, 2, 2),
        ):
            table.setModel(model)
            table.setSortingEnabled(True)
            table.horizontalHeader().setStretchLastSection(False)
            table.horizontalHeader().setSectionResizeMode(stretched, QHeaderView.ResizeMode.Stretch)
            card = Card(margin=4)
            heading = label(title, "strong")
            heading.setContentsMargins(8, 4, 0, 0)
            card.content.addWidget(heading)
            card.content.addWidget(table)
            row.addWidget(card, part)
        KeptPlaces(self.runs_table, self.runs.key, self.runs.index_of)
        self.runs_table.sortByColumn(0, Qt.SortOrder.DescendingOrder)
        self.vms_table.sortByColumn(0, Qt.SortOrder.AscendingOrder)
        self.runs_table.setColumnWidth(0, 130)
        self.runs_table.setColumnWidth(1, 120)
        self.vms_table.setColumnWidth(0, 130)
        self.vms_table.setColumnWidth(1, 100)
        self.runs_table.selectionModel().selectionChanged.connect(lambda *_: self._show_vms())
        self.runs.modelReset.connect(self._show_vms)
        self.vms_table.doubleClicked.connect(lambda _index: self._open_vm())

    def _show_vms(self) -> None:
        key = self.runs.key(self.runs_table.currentIndex())
        run = self.runs.items.get(key) if key is not None else None
        by_uuid = {vm.uuid: ref for ref, vm in self._workspace.cache.all(VM).items()}
        results = results_of(run) if run is not None else []
        self.vms.set_items({r.uuid: VMLine(r, str(by_uuid.get(r.uuid, ""))) for r in results if r.outcome in OUTCOMES})

    def _open_vm(self) -> None:
        key = self.vms.key(self.vms_table.currentIndex())
        if key is not None and self.vms.items[key].vm:
            self._workspace.show("VM", self.vms.items[key].vm, "snapshots")

    def _on_delta(self, delta: Delta) -> None:
        if self.isVisible() and delta.touches(VMSSRun):
            self.refresh()
