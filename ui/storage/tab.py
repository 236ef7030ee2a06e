"""The Storage tab of a VM or template: its drives, and a table of its disks."""

from __future__ import annotations

from functools import partial
from typing import Final

from PySide6.QtCore import QPoint, Qt
from PySide6.QtGui import QHideEvent, QShowEvent
from PySide6.QtWidgets import QHBoxLayout, QMenu, QPushButton, QVBoxLayout, QWidget

from app.api import VBD
from app.client import Delta
from ui.base.commands import Selection
from ui.base.dialogs import GAP, GROUP, IconLabel, label
from ui.base.sizes_and_dates import count, size
from ui.base.text import no_mnemonic, tooltip
from ui.base.workspace import Workspace
from ui.base.xe_menu import offer_xe
from ui.models.looking import Looking
from ui.models.table_model import Column, TableModel
from ui.storage.chosen_disks import ChosenDisks, disk_menu, export_button
from ui.storage.commands import SCOPE
from ui.storage.disks import Device, devices, isos, size_or_dash
from ui.widgets.buttons import MenuButton, button
from ui.widgets.cards import Card
from ui.widgets.labels import ElidedLabel
from ui.widgets.seen_page import SeenPage
from ui.widgets.views import TableView

_MOST_IN_MENU: Final = 20
_WIDTHS: Final = (90, 0, 110, 80, 80, 64, 84, 64)
_NAME: Final = 1


def columns() -> list[Column[Device]]:
    """Position, name, repository, sizes, kind, read only, bootable."""
    return [
        Column(title="Position", text=lambda d: d.position),
        Column(title="Name", text=lambda d: d.name, icon=lambda d: d.icon, tooltip=_about),
        Column(title="Storage", text=lambda d: d.storage),
        Column(
            title="Size", text=lambda d: size_or_dash(d.virtual_size), order=lambda d: d.virtual_size or 0, right=True
        ),
        Column(
            title="Own use",
            text=lambda d: size_or_dash(d.used),
            order=lambda d: d.used or 0,
            tooltip=lambda _d: "What its own file uses; what it shares with snapshots is not counted",
            right=True,
        ),
        Column(title="Type", text=lambda d: d.what),
        Column(title="Read only", text=lambda d: "yes" if d.read_only else "no"),
        Column(title="Boot", text=lambda d: "yes" if d.bootable else "no"),
    ]


def _about(device: Device) -> str:
    missing = "Its file is missing." if device.missing else ""
    used = "In use by the guest" if device.attached else ""
    return "\n".join(filter(None, (device.name, device.description, missing, used)))


class StorageTab(SeenPage):
    """Shows one VM. Hidden, it waits until it is shown."""

    def __init__(self, workspace: Workspace, parent: QWidget | None = None) -> None:
        super().__init__(parent)
        self._workspace = workspace
        self._ref = ""
        self._look = Looking(workspace.cache)
        self.setAccessibleName("Storage")
        self.summary = label("", "quiet")
        self.drives = Card("Drives")
        self._drives: dict[str, DriveRow] = {}
        self.model: TableModel[Device] = TableModel(columns())
        self.table = TableView("Disks", "This VM has no disks.")
        self._tell = ChosenDisks(workspace)
        self.export = export_button(workspace)
        self.table.show_rows(self.model, _WIDTHS, remember=(workspace.settings, "vm-storage"))
        card = Card(margin=4)
        card.content.addWidget(self.table)
        rows = QVBoxLayout(self)
        rows.setContentsMargins(24, GROUP, 24, GROUP)
        rows.setSpacing(12)
        rows.addWidget(self.drives)
        rows.addWidget(card, 1)
        rows.addLayout(self._foot())
        self.table.selectionModel().selectionChanged.connect(lambda *_: self._choose_disks())
        self.model.modelReset.connect(self._choose_disks)
        self.table.setContextMenuPolicy(Qt.ContextMenuPolicy.CustomContextMenu)
        self.table.customContextMenuRequested.connect(self._open_menu)
        workspace.changed.connect(self._follow)

    def show_object(self, _cls: str, ref: str) -> None:
        """Show the VM of that reference."""
        if ref != self._ref:
            self.table.clearSelection()
        self._ref = ref
        self.refresh_or_wait()

    def drive(self, vbd: str) -> DriveRow:
        """The row of a drive.

        :raise KeyError: there is no such drive.
        """
        return self._drives[vbd]

    def showEvent(self, event: QShowEvent) -> None:
        super().showEvent(event)
        self._choose_drive()

    def _follow(self, delta: Delta) -> None:
        if self._ref and self._look.matters(delta):
            self.refresh_or_wait()

    def refresh(self) -> None:
        self._look = Looking(self._workspace.cache)
        found = devices(self._look, self._ref)
        self.model.set_items({ref: device for ref, device in found.items() if not device.is_drive})
        self._show_drives({ref: device for ref, device in found.items() if device.is_drive})
        disks = [device for device in found.values() if not device.is_drive]
        total = sum(device.virtual_size or 0 for device in disks)
        used = sum(device.used or 0 for device in disks)
        words = f"{count(len(disks), 'disk')} · {size(total)} in all, {size(used)} in own files"
        self.summary.setText(words if disks else "")
        self._choose_drive()

    def _foot(self) -> QHBoxLayout:
        row = QHBoxLayout()
        row.setSpacing(GAP)
        row.addWidget(self.summary, 1)
        if self.export is not None:
            row.addWidget(self.export)
        return row

    def chosen(self) -> Selection:
        """The disks of the chosen devices."""
        rows = (self.model.key(row) for row in self.table.selectionModel().selectedRows())
        held = (self._workspace.cache.get(VBD, key) for key in rows if key is not None)
        return tuple(("VDI", vbd.VDI) for vbd in held if vbd is not None)

    def _choose_disks(self) -> None:
        self._tell.choose(self.chosen() if self.isVisible() else ())

    def _open_menu(self, place: QPoint) -> None:
        ids = disk_menu(self._workspace)
        if self.chosen() and ids:
            menu = self._workspace.commands.menu(ids, self.chosen(), self)
            menu.setAttribute(Qt.WidgetAttribute.WA_DeleteOnClose)
            menu.popup(self.table.viewport().mapToGlobal(place))

    def _choose_drive(self) -> None:
        """The commands of the menu act on the first drive of the VM that is looked at."""
        drives = list(self._drives) if self.isVisible() else []
        self._workspace.commands.update((("VBD", drives[0]),) if drives else (), SCOPE)
        self._choose_disks()

    def hideEvent(self, event: QHideEvent) -> None:
        super().hideEvent(event)
        self._choose_drive()

    def _show_drives(self, found: dict[str, Device]) -> None:
        for ref in [ref for ref in self._drives if ref not in found]:
            self._drives.pop(ref).deleteLater()
        for ref, device in sorted(found.items(), key=lambda pair: pair[1].position):
            if ref not in self._drives:
                self._drives[ref] = DriveRow(self._workspace, ref)
                self.drives.content.addWidget(self._drives[ref])
            self._drives[ref].show_device(device)
        self.drives.setVisible(bool(found))


class DriveRow(QWidget):
    """A drive: what is in it, a menu to insert another disc, and a button to eject it."""

    def __init__(self, workspace: Workspace, vbd: str) -> None:
        super().__init__()
        self._workspace, self._vbd = workspace, vbd
        self.what = label("", "quiet")
        self.medium = ElidedLabel("")
        self.menu = QMenu(self)
        self.menu.setToolTipsVisible(True)
        self.menu.aboutToShow.connect(self._fill)
        self.insert = MenuButton("Insert disc", self.menu, "cd")
        self.eject = button("Eject", "export")
        self.eject.clicked.connect(lambda: workspace.commands.run("vbd.eject", (("VBD", vbd),)))
        offer_xe(self.eject, lambda: workspace.commands.xe_line("vbd.eject", (("VBD", vbd),)))
        offer_xe(self.insert, lambda: workspace.commands.xe_line("vbd.insert", (("VBD", vbd),)))
        row = QHBoxLayout(self)
        row.setContentsMargins(0, 0, 0, 0)
        row.setSpacing(GAP)
        row.addWidget(IconLabel("cd"))
        row.addWidget(self.what)
        row.addWidget(self.medium, 1)
        row.addWidget(self.insert)
        row.addWidget(self.eject)

    def show_device(self, device: Device) -> None:
        """Show what is in it now."""
        self.what.setText(f"{device.what} {device.position}")
        self.medium.setText(device.name)
        self.medium.set_hint(device.storage)
        self.setAccessibleName(f"{device.what} {device.position}: {device.name}")
        chosen = (("VBD", self._vbd),)
        self._gate(self.insert, "vbd.insert", chosen)
        self._gate(self.eject, "vbd.eject", chosen)

    def _gate(self, shown: QPushButton, command: str, chosen: tuple[tuple[str, str], ...]) -> None:
        state = self._workspace.commands.state(command, chosen)
        shown.setEnabled(state.enabled)
        shown.setToolTip(tooltip(state.reason))
        shown.setAccessibleDescription(state.reason)

    def _fill(self) -> None:
        """The ISOs there are now, and a dialog for more of them."""
        self.menu.clear()
        found = isos(Looking(self._workspace.cache))
        for ref, name in found[:_MOST_IN_MENU]:
            self.menu.addAction(no_mnemonic(name), partial(self._insert, (("VBD", self._vbd), ("VDI", ref))))
        if found:
            self.menu.addSeparator()
        self.menu.addAction("Choose from the Libraries…", partial(self._insert, (("VBD", self._vbd),)))

    def _insert(self, chosen: tuple[tuple[str, str], ...]) -> None:
        self._workspace.commands.run("vbd.insert", chosen)
