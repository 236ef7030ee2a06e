"""Which ISO goes into the drive."""

from __future__ import annotations

from dataclasses import dataclass

from PySide6.QtWidgets import QHeaderView, QWidget

from app.api import SR, VBD, VDI
from app.client import ObjectCache
from ui.base.dialogs import Dialog
from ui.models.looking import Looking
from ui.models.table_model import Column, TableModel
from ui.storage.disks import isos, size_or_dash
from ui.storage.xe_lines import insert_lines
from ui.widgets.search_field import SearchField
from ui.widgets.views import TableView


@dataclass(frozen=True, slots=True)
class _Iso:
    name: str
    size: int
    library: str


class InsertDialog(Dialog):
    """A list of the ISOs of all libraries."""

    def __init__(self, cache: ObjectCache, drive: VBD | None = None, parent: QWidget | None = None) -> None:
        super().__init__("Insert a disc", primary="Insert", parent=parent)
        self._cache, self._drive = cache, drive
        self.model: TableModel[_Iso] = TableModel(
            [
                Column(title="Name", text=lambda i: i.name, icon=lambda _i: "cd"),
                Column(title="Library", text=lambda i: i.library),
                Column(title="Size", text=lambda i: size_or_dash(i.size), order=lambda i: i.size, right=True),
            ]
        )
        self.search = SearchField("Filter…")
        self.search.searched.connect(self._filter)
        self.table = TableView("ISOs", "There is no ISO yet. Put ISO files into the library's folder, then rescan it.")
        self.table.setSelectionMode(TableView.SelectionMode.SingleSelection)
        self.table.setModel(self.model)
        self.model.set_items(_found(cache))
        header = self.table.horizontalHeader()
        header.setStretchLastSection(False)
        header.setSectionResizeMode(0, QHeaderView.ResizeMode.Stretch)
        self.table.setSortingEnabled(True)
        self.table.sortByColumn(0, self.table.horizontalHeader().sortIndicatorOrder().AscendingOrder)
        self.table.setMinimumSize(560, 260)
        self.content.addWidget(self.search)
        self.content.addWidget(self.table, 1)
        self.table.selectionModel().selectionChanged.connect(lambda *_: self._check())
        self.table.doubleClicked.connect(lambda _index: self.accept())
        self.table.selectRow(0)
        self.table.setFocus()
        self._check()

    def iso(self) -> str:
        """The reference of the chosen ISO; "" where none is chosen."""
        rows = self.table.selectionModel().selectedRows()
        return (self.model.key(rows[0]) or "") if rows else ""

    def xe_line(self) -> str:
        return insert_lines(self._cache, self._drive, self.iso()) if self._drive is not None else ""

    def _filter(self, words: str) -> None:
        self.model.set_filter(lambda i: words.casefold() in i.name.casefold())
        self._check()

    def _check(self) -> None:
        self.set_problem("" if self.iso() else "Choose an ISO first.")


def _found(cache: ObjectCache) -> dict[str, _Iso]:
    found = {}
    for ref, name in isos(Looking(cache)):
        vdi = cache.get(VDI, ref)
        library = cache.get(SR, vdi.SR) if vdi is not None else None
        if vdi is not None and library is not None:
            found[ref] = _Iso(name, vdi.virtual_size, library.name_label)
    return found
