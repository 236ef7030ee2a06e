"""The Storage tab of a storage repository: how full it is, and everything that is in it."""

from __future__ import annotations

from typing import Final

from PySide6.QtCore import QPoint, Qt
from PySide6.QtGui import QHideEvent, QShowEvent
from PySide6.QtWidgets import QHBoxLayout, QVBoxLayout, QWidget

from app.api import SR, VBD, VDI, VM
from app.client import Delta
from ui.base.commands import Selection
from ui.base.dialogs import GAP, GROUP, label
from ui.base.sizes_and_dates import age, count, exact, size
from ui.base.workspace import Workspace
from ui.models.table_model import Column, TableModel
from ui.storage.chosen_disks import ChosenDisks, disk_menu, export_button
from ui.storage.disks import KINDS, Volume, size_or_dash, touched_volumes, volumes
from ui.widgets.buttons import ActionButton, Segmented
from ui.widgets.cards import Card
from ui.widgets.progress import CapacityBar
from ui.widgets.search_field import SearchField
from ui.widgets.seen_page import SeenPage
from ui.widgets.views import TableView

_SWITCH: Final = (
    ("all", "All"),
    ("disk", "Disks"),
    ("snapshot", "Snapshots"),
    ("base", "Base copies"),
    ("orphan", "Without a VM"),
)
_WIDTHS: Final = (0, 104, 168, 76, 76, 96)
_NOT_OF_ISOS: Final = (2, 4, 5)


def columns() -> list[Column[Volume]]:
    """Name, kind, who has it, sizes, when it was frozen."""
    return [
        Column(title="Name", text=lambda v: v.name, icon=lambda v: KINDS[v.kind][0], tooltip=_about),
        Column(title="Kind", text=lambda v: v.words, tone=lambda v: "bad" if v.missing else ""),
        Column(
            title="VM",
            text=lambda v: v.holders or v.state,
            tone=lambda v: "attention" if v.orphan else "" if v.holders else "secondary",
        ),
        Column(title="Size", text=lambda v: size_or_dash(v.virtual_size), order=lambda v: v.virtual_size, right=True),
        Column(title="Own use", text=lambda v: size_or_dash(v.used), order=lambda v: v.used, right=True),
        Column(
            title="Frozen",
            text=lambda v: age(v.frozen) if v.frozen else "",
            order=lambda v: v.frozen.timestamp() if v.frozen else 0.0,
            tooltip=lambda v: exact(v.frozen) if v.frozen else "",
        ),
    ]


def _about(volume: Volume) -> str:
    base = "Other disks build on it; it goes when none does." if volume.kind == "base" else ""
    return "\n".join(filter(None, (volume.name, volume.description, base, volume.location)))


class SRStorageTab(SeenPage):
    """Shows one storage repository. Hidden, it waits until it is shown."""

    def __init__(self, workspace: Workspace, parent: QWidget | None = None) -> None:
        super().__init__(parent)
        self._workspace = workspace
        self._ref = ""
        self.setAccessibleName("Storage")
        self.capacity = CapacityBar("Space")
        self.allocation = label("", "secondary")
        self.kinds = Segmented(_SWITCH, "Which disks")
        self.search = SearchField("Filter…")
        self.search.setMaximumWidth(220)
        self.scan = ActionButton(workspace.commands.action("sr.scan"), words="Rescan")
        self.clean = ActionButton(workspace.commands.action("sr.clean"))
        self.delete = ActionButton(workspace.commands.action("vdi.destroy"), words="Delete…")
        self.export = export_button(workspace)
        self._tell = ChosenDisks(workspace)
        self.model: TableModel[Volume] = TableModel(columns())
        self.table = TableView("Disks of the storage", "There is nothing in this storage yet.")
        self.summary = label("", "quiet")
        self.table.show_rows(self.model, _WIDTHS, remember=(workspace.settings, "sr-storage"))
        self._lay_out()
        self.kinds.chosen.connect(lambda _kind: self._filter())
        self.search.searched.connect(lambda _words: self._filter())
        self.table.doubleClicked.connect(lambda _index: self._show_holder())
        self.table.selectionModel().selectionChanged.connect(lambda *_: self._choose())
        self.model.modelReset.connect(self._choose)
        self.table.setContextMenuPolicy(Qt.ContextMenuPolicy.CustomContextMenu)
        self.table.customContextMenuRequested.connect(self._open_menu)
        workspace.changed.connect(self._follow)

    def show_object(self, _cls: str, ref: str) -> None:
        """Show the storage repository of that reference."""
        if ref != self._ref:
            self.table.clearSelection()
        self._ref = ref
        self.refresh_or_wait()

    def _lay_out(self) -> None:
        self._space = Card("Space")
        self._space.content.addWidget(self.capacity)
        self._space.content.addWidget(self.allocation)
        acts, bar = QHBoxLayout(), QHBoxLayout()
        for row in (acts, bar):
            row.setSpacing(GAP)
        for act in (self.clean, self.export, self.delete, self.scan):
            if act is not None:
                acts.addWidget(act)
        acts.addStretch()
        bar.addWidget(self.kinds)
        bar.addStretch()
        bar.addWidget(self.search, 1)
        card = Card(margin=4)
        card.content.addWidget(self.table)
        rows = QVBoxLayout(self)
        rows.setContentsMargins(24, GROUP, 24, GROUP)
        rows.setSpacing(12)
        rows.addWidget(self._space)
        rows.addLayout(acts)
        rows.addLayout(bar)
        rows.addWidget(card, 1)
        rows.addWidget(self.summary)

    def showEvent(self, event: QShowEvent) -> None:
        super().showEvent(event)
        self._choose()

    def _follow(self, delta: Delta) -> None:
        if not self._ref or not delta.touches(SR, VDI, VBD, VM):
            return
        if self.stale or not self.isVisible():
            self.stale = True
        else:
            self._take_in(delta)

    def refresh(self) -> None:
        self.model.set_items(volumes(self._workspace.cache, self._ref))
        self._show_totals()

    def _take_in(self, delta: Delta) -> None:
        """Look again at the disks that a delta touched, and at no others: there may be thousands."""
        touched = touched_volumes(self._workspace.cache, delta)
        found = volumes(self._workspace.cache, self._ref, touched)
        known = self.model.items
        changed = {ref: volume for ref, volume in found.items() if known.get(ref) != volume}
        gone = [ref for ref in touched if ref in known and ref not in found]
        self.model.update(changed, gone)
        if changed or gone or ("SR", self._ref) in delta.changed:
            self._show_totals()

    def _show_totals(self) -> None:
        record = self._workspace.cache.get(SR, self._ref)
        if record is not None:
            self._show_space(record)
        self._summarise()

    def _show_space(self, record: SR) -> None:
        iso = record.content_type == "iso"
        self._space.setVisible(not iso)
        self.kinds.setVisible(not iso)
        for shown in (self.delete, self.clean, self.export):
            if shown is not None:
                shown.setVisible(not iso)
        for column in _NOT_OF_ISOS:
            self.table.setColumnHidden(column, iso)
        known = record.physical_size > 0 and record.physical_utilisation >= 0
        self.capacity.set_values(record.physical_utilisation if known else 0, record.physical_size if known else 0)
        asked = sum(v.virtual_size for v in self.model.items.values() if v.kind == "disk")
        words = f"{size(asked)} promised to disks"
        if known and asked > record.physical_size:
            words += ", more than there is: watch the free space"
        self.allocation.setText(words)

    def _summarise(self) -> None:
        shown = [self.model.item(row) for row in range(self.model.rowCount())]
        used = sum(max(0, volume.used) for volume in shown)
        self.summary.setText(f"{count(len(shown), 'entry', 'entries')} · {size(used)} in own files" if shown else "")
        hidden = bool(self.model.items) and not shown
        self.table.set_empty_text(
            "Nothing here is like that. Change the filter to see more."
            if hidden
            else "There is nothing in this storage yet."
        )

    def _filter(self) -> None:
        kind, words = self.kinds.current(), self.search.text().casefold().split()
        self.model.set_filter(
            lambda v: (
                (v.orphan if kind == "orphan" else kind in ("all", v.kind))
                and all(word in f"{v.name}\n{v.holders}\n{v.words}\n{v.state}".casefold() for word in words)
            )
        )
        self._summarise()

    def chosen(self) -> Selection:
        """The chosen disks."""
        rows = self.table.selectionModel().selectedRows()
        return tuple(("VDI", key) for row in rows if (key := self.model.key(row)) is not None)

    def _choose(self) -> None:
        """Commands on disks act on what is chosen in the table that is looked at."""
        self._tell.choose(self.chosen() if self.isVisible() else ())

    def hideEvent(self, event: QHideEvent) -> None:
        super().hideEvent(event)
        self._choose()

    def _open_menu(self, place: QPoint) -> None:
        if self.chosen():
            menu = self._workspace.commands.menu(disk_menu(self._workspace), self.chosen(), self)
            menu.setAttribute(Qt.WidgetAttribute.WA_DeleteOnClose)
            menu.popup(self.table.viewport().mapToGlobal(place))

    def _show_holder(self) -> None:
        key = self.model.key(self.table.currentIndex())
        volume = None if key is None else self.model.items[key]
        if volume is not None and volume.holder:
            self._workspace.show("VM", volume.holder, "storage")
