"""The snapshots that were taken at one instant: which VMs, how close together, and the way back for all."""

from __future__ import annotations

from PySide6.QtGui import QStandardItem, QStandardItemModel
from PySide6.QtWidgets import QHeaderView, QWidget

from app.api import VM
from ui.base import icons
from ui.base.dialogs import Dialog
from ui.base.sizes_and_dates import count, duration, exact
from ui.base.workspace import Workspace
from ui.snapshots import words
from ui.snapshots.figures import figures_of, group_of
from ui.widgets.buttons import button
from ui.widgets.views import TableView

_WIDTH, _TALLEST = 560, 320


class GroupDialog(Dialog):
    """Accepted: the group is to be reverted to. `shown` is the snapshot whose VM is to be shown, "" for none."""

    def __init__(self, workspace: Workspace, snapshot: str, parent: QWidget | None = None) -> None:
        cache = workspace.cache
        self.members = group_of(cache, snapshot)
        self.shown = ""
        figures = figures_of(cache.get(VM, snapshot) or VM())
        super().__init__(
            f"{count(len(self.members), 'snapshot')} of one group", primary="Revert To…", cancel="Close", parent=parent
        )
        spread = f" within {duration(figures.spread / 1000)} of each other" if figures.spread >= 0 else ""
        self.add_sentence(f"Their disks were frozen{spread}, so that they fit together.")
        self.table = TableView("Snapshots of the group")
        model = QStandardItemModel(0, 3, self.table)
        model.setHorizontalHeaderLabels(["VM", "Snapshot", "Frozen at"])
        for ref in self.members:
            record = cache.get(VM, ref) or VM()
            owner = words.name_of(cache, record.snapshot_of) if cache.get(VM, record.snapshot_of) else "deleted"
            name = QStandardItem(icons.icon(words.list_icon_of(record)), record.name_label)
            model.appendRow([QStandardItem(owner), name, QStandardItem(exact(record.snapshot_time))])
        self.table.setModel(model)
        for column, width in enumerate((130, 180)):
            self.table.setColumnWidth(column, width)
        self.table.horizontalHeader().setSectionResizeMode(2, QHeaderView.ResizeMode.Stretch)
        self.table.setMinimumWidth(_WIDTH)
        self.table.setFixedHeight(min(_TALLEST, 48 + 28 * len(self.members)))
        self.table.selectRow(0)
        self.content.addWidget(self.table, 1)
        self.go_to = button("Go to VM")
        self.go_to.clicked.connect(self._go)
        self.table.doubleClicked.connect(self._go)
        self.buttons.insertWidget(0, self.go_to)

    def _go(self) -> None:
        row = self.table.currentIndex().row()
        self.shown = self.members[row] if 0 <= row < len(self.members) else ""
        self.reject()
