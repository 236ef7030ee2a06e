"""Chooses what to copy: a template that somebody made, or a snapshot of a VM."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime

from PySide6.QtCore import QItemSelectionModel, Qt, Signal
from PySide6.QtWidgets import QHeaderView, QVBoxLayout, QWidget

from app.api import EPOCH, VM, Ref
from app.client import Delta, ObjectCache
from ui.base.dialogs import GAP
from ui.base.sizes_and_dates import age, exact, size
from ui.base.workspace import Workspace
from ui.models.chain import disks_of
from ui.models.kept_places import KeptPlaces
from ui.models.states import is_own_template, state_icon
from ui.models.table_model import Column, TableModel
from ui.widgets.search_field import SearchField
from ui.widgets.views import TableView

#: fewer than these need no filter
_MANY = 8


@dataclass(frozen=True, slots=True)
class Copyable:
    """A row: a template, or a snapshot with the VM it is of. Size in bytes, as the guest sees it."""

    name: str
    icon: str
    of: str
    taken: datetime
    size: int

    @property
    def full_name(self) -> str:
        """``billing-db › Before upgrade``."""
        return f"{self.of} › {self.name}" if self.taken > EPOCH else self.name


def copyables(cache: ObjectCache) -> dict[str, Copyable]:
    """Every own template and every snapshot, by reference."""
    found = {}
    for ref, vm in cache.all(VM).items():
        if vm.is_a_snapshot or is_own_template(vm):
            octets = sum(disk.virtual_size for disk in disks_of(cache, vm))
            found[str(ref)] = Copyable(vm.name_label, state_icon(vm), _of(cache, vm), vm.snapshot_time, octets)
    return found


def _of(cache: ObjectCache, vm: VM) -> str:
    if not vm.is_a_snapshot:
        return "Template"
    owner = cache.get(VM, vm.snapshot_of)
    return owner.name_label if owner is not None else "a VM that is gone"


def _columns() -> list[Column[Copyable]]:
    return [
        Column(title="Name", text=lambda c: c.name, icon=lambda c: c.icon, tooltip=lambda c: c.full_name),
        # templates first: their word is sorted before all names
        Column(
            title="From",
            text=lambda c: c.of,
            order=lambda c: (c.taken > EPOCH, c.of.casefold(), -c.taken.timestamp()),
        ),
        Column(
            title="Taken",
            text=lambda c: age(c.taken) if c.taken > EPOCH else "",
            order=lambda c: -c.taken.timestamp(),
            tooltip=lambda c: exact(c.taken) if c.taken > EPOCH else "",
        ),
        Column(title="Disks", text=lambda c: size(c.size), order=lambda c: c.size, right=True),
    ]


class TemplatePicker(QWidget):
    """A table of them, templates first; the choice is kept by reference when the list changes."""

    changed = Signal()

    def __init__(self, workspace: Workspace, preselected: str = "", parent: QWidget | None = None) -> None:
        super().__init__(parent)
        self._workspace = workspace
        self.search = SearchField("Filter…")
        self.model: TableModel[Copyable] = TableModel(_columns())
        self.table = TableView("Templates and snapshots", "Nothing here is called like that.")
        self.table.setSelectionMode(TableView.SelectionMode.SingleSelection)
        self.table.setProperty("frame", True)
        self.table.setMinimumHeight(110)
        self.table.setModel(self.model)
        KeptPlaces(self.table, self.model.key, self.model.index_of)
        self.table.setSortingEnabled(True)
        self.table.sortByColumn(1, Qt.SortOrder.AscendingOrder)
        header = self.table.horizontalHeader()
        header.setStretchLastSection(False)
        header.setSectionResizeMode(0, QHeaderView.ResizeMode.Stretch)
        for column, width in ((1, 104), (2, 104), (3, 72)):
            self.table.setColumnWidth(column, width)
        rows = QVBoxLayout(self)
        rows.setContentsMargins(0, 0, 0, 0)
        rows.setSpacing(GAP)
        rows.addWidget(self.search)
        rows.addWidget(self.table, 1)
        self._fill()
        self.choose(preselected if preselected in self.model.items else next(iter(self.model.shown_keys()), ""))
        self.search.searched.connect(self._filter)
        self.table.selectionModel().selectionChanged.connect(lambda *_: self.changed.emit())

    def chosen(self) -> Ref[VM] | None:
        """The chosen template or snapshot."""
        rows = self.table.selectionModel().selectedRows(0)
        key = self.model.key(rows[0]) if rows else None
        return None if key is None else Ref(key)

    def choose(self, ref: str) -> None:
        """Choose one, if it is among them."""
        index = self.model.index_of(ref)
        if index.isValid():
            how = QItemSelectionModel.SelectionFlag.ClearAndSelect | QItemSelectionModel.SelectionFlag.Rows
            self.table.selectionModel().setCurrentIndex(index, how)
            self.table.scrollTo(index)

    def on_delta(self, delta: Delta) -> None:
        """Some may have come or gone."""
        if delta.touches(VM):
            self._fill()

    def _fill(self) -> None:
        self.model.set_items(copyables(self._workspace.cache))
        self.search.setVisible(len(self.model.items) >= _MANY)

    def _filter(self, typed: str) -> None:
        words = typed.casefold().split()
        self.model.set_filter(lambda c: all(word in c.full_name.casefold() for word in words))
        if self.chosen() is None:
            self.choose(next(iter(self.model.shown_keys()), ""))
        self.changed.emit()
