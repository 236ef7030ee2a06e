"""Chooses an ISO of the ISO repositories, and says where to put more of them."""

from __future__ import annotations

from PySide6.QtCore import Qt, Signal
from PySide6.QtGui import QStandardItem, QStandardItemModel
from PySide6.QtWidgets import QHBoxLayout, QHeaderView, QVBoxLayout, QWidget

from app.api import SR, VDI, Ref
from app.client import Delta
from ui.base import icons
from ui.base.sizes_and_dates import size
from ui.base.workspace import Workspace
from ui.base.xe_lines import line, together
from ui.base.xe_menu import offer_xe
from ui.machines.facts import iso_folder
from ui.widgets.buttons import button
from ui.widgets.labels import ElidedLabel
from ui.widgets.repositories import iso_repositories
from ui.widgets.views import TableView

_REF = Qt.ItemDataRole.UserRole


class IsoPicker(QWidget):
    """A table of ISOs; the choice is kept by reference when the list changes."""

    changed = Signal()

    def __init__(self, workspace: Workspace, parent: QWidget | None = None) -> None:
        super().__init__(parent)
        self._workspace = workspace
        self._scanning = 0
        self.table = TableView("ISOs", "There is no ISO yet. Put one into the folder below, then rescan.")
        self.table.setSelectionMode(TableView.SelectionMode.SingleSelection)
        self.table.setProperty("frame", True)
        self.table.setMinimumHeight(110)
        self._model = QStandardItemModel(0, 2, self.table)
        self._model.setHorizontalHeaderLabels(["Name", "Size"])
        self.table.setModel(self._model)
        self.table.horizontalHeader().setStretchLastSection(False)
        self.table.horizontalHeader().setSectionResizeMode(0, QHeaderView.ResizeMode.Stretch)
        self.table.horizontalHeader().setSectionResizeMode(1, QHeaderView.ResizeMode.ResizeToContents)
        self.folder = ElidedLabel("", "secondary", Qt.TextElideMode.ElideMiddle)
        self.rescan = button("Rescan", "refresh")
        self.rescan.clicked.connect(self._rescan)
        offer_xe(self.rescan, self._scan_lines)
        rows = QVBoxLayout(self)
        rows.setContentsMargins(0, 0, 0, 0)
        rows.addWidget(self.table, 1)
        below = QHBoxLayout()
        below.addWidget(self.folder, 1)
        below.addWidget(self.rescan)
        rows.addLayout(below)
        self._fill()
        self.table.selectionModel().selectionChanged.connect(lambda *_: self.changed.emit())

    def iso(self) -> Ref[VDI] | None:
        """The chosen ISO."""
        rows = self.table.selectionModel().selectedRows(0)
        return Ref(rows[0].data(_REF)) if rows else None

    def chosen_name(self) -> str:
        """Its name, "" for none."""
        iso = self.iso()
        vdi = self._workspace.cache.get(VDI, iso) if iso is not None else None
        return vdi.name_label if vdi is not None else ""

    def why_incomplete(self) -> str:
        """What is missing."""
        return "" if self.iso() is not None else "Choose the ISO to install from."

    def on_delta(self, delta: Delta) -> None:
        """ISOs may have come or gone."""
        if delta.touches(VDI, SR):
            self._fill()

    def _fill(self) -> None:
        chosen = self.iso()
        repositories = dict(iso_repositories(self._workspace.cache))
        isos = [(ref, vdi) for ref, vdi in self._workspace.cache.all(VDI).items() if vdi.SR in repositories]
        isos = [(ref, vdi) for ref, vdi in isos if not vdi.missing]
        isos.sort(key=lambda item: item[1].name_label.casefold())
        if [ref for ref, _ in isos] != [self._model.item(row).data(_REF) for row in range(self._model.rowCount())]:
            self._model.removeRows(0, self._model.rowCount())
            for ref, vdi in isos:
                self._model.appendRow(_row(ref, vdi))
                if ref == chosen:
                    self.table.selectRow(self._model.rowCount() - 1)
            self.changed.emit()
        folders = [iso_folder(self._workspace.cache, ref) for ref in repositories]
        self.folder.setText(", ".join(filter(None, folders)) or "There is no repository of ISOs.")

    def _scan_lines(self) -> str:
        found = iso_repositories(self._workspace.cache)
        return together(*(line("sr-scan", uuid=record.uuid) for _, record in found))

    def _rescan(self) -> None:
        self._workspace.spawn(self._scan(), "Rescan")

    async def _scan(self) -> None:
        self.rescan.setEnabled(False)
        try:
            for ref, _ in iso_repositories(self._workspace.cache):
                await self._workspace.session.SR.scan(ref)
        finally:
            self.rescan.setEnabled(True)


def _row(ref: str, vdi: VDI) -> list[QStandardItem]:
    name = QStandardItem(icons.icon("cd"), vdi.name_label or vdi.location)
    name.setData(ref, _REF)
    name.setToolTip(vdi.name_description)
    octets = QStandardItem(size(max(0, vdi.virtual_size)))
    octets.setTextAlignment(Qt.AlignmentFlag.AlignRight | Qt.AlignmentFlag.AlignVCenter)
    return [name, octets]
