"""Which disks it gets, how large, where, and how they are attached."""

from __future__ import annotations

from typing import Final, cast

from PySide6.QtCore import Signal
from PySide6.QtWidgets import QDoubleSpinBox, QHBoxLayout, QVBoxLayout, QWidget

from app.api import SR, VM, Ref
from ui.base.dialogs import GAP, label
from ui.base.sizes_and_dates import size
from ui.base.wizard import WizardPage
from ui.base.workspace import Workspace
from ui.machines.copy_choice import CopyChoice
from ui.machines.creation import Bus, NewDisk, Source, Way
from ui.models.chain import disks_of
from ui.widgets.buttons import Segmented, button, icon_button
from ui.widgets.repositories import RepositoryChoice, disk_repositories

GIB: Final = 1024**3
_USUAL_GIB: Final = 20.0
_MOST_GIB: Final = 64 * 1024.0
#: a VM's drives in all, and of each kind (QEMU's IDE controller has four places, ours for SATA six)
_MOST_DRIVES: Final = 16
_PLACES: Final = {"virtio": 16, "sata": 6, "ide": 4}
_HINTS: Final = {
    "virtio": "The fastest. Linux has the driver; Windows needs it during its installation.",
    "sata": "Works with every system of the last fifteen years without a further driver.",
    "ide": "For old systems; four drives at most.",
}
_USUAL_BUS: Final[dict[Source, Bus]] = {"sample": "virtio", "iso": "sata", "image": "sata", "template": "virtio"}


class DiskRow(QWidget):
    """One new disk: its size and where it goes."""

    changed = Signal()
    removed = Signal()

    def __init__(self, workspace: Workspace, number: int) -> None:
        super().__init__()
        self.capacity = QDoubleSpinBox()
        self.capacity.setRange(0.1, _MOST_GIB)
        self.capacity.setDecimals(1)
        self.capacity.setValue(_USUAL_GIB)
        self.capacity.setSingleStep(10)
        self.capacity.setSuffix(" GiB")
        self.capacity.setFixedWidth(112)
        self.where = RepositoryChoice(workspace.cache, "Storage")
        self.remove = icon_button("delete", "Remove this disk")
        self.title = label("")
        self.title.setFixedWidth(44)
        row = QHBoxLayout(self)
        row.setContentsMargins(0, 0, 0, 0)
        row.setSpacing(GAP)
        row.addWidget(self.title)
        row.addWidget(self.capacity)
        row.addWidget(self.where, 1)
        row.addWidget(self.remove)
        self.set_number(number)
        self.capacity.valueChanged.connect(self.changed)
        self.where.currentIndexChanged.connect(self.changed)
        self.remove.clicked.connect(self.removed)

    def set_number(self, number: int) -> None:
        """Which disk it is."""
        self.title.setText(f"Disk {number}")
        self.capacity.setAccessibleName(f"Size of disk {number}")
        self.where.setAccessibleName(f"Storage of disk {number}")

    def octets(self) -> int:
        """Its size in bytes, whole mebibytes."""
        return round(self.capacity.value() * 1024) * 1024**2


class DisksPage(WizardPage):
    """The disks that come with the source, then the new ones, then the bus."""

    def __init__(self, workspace: Workspace) -> None:
        super().__init__("Disks", "Which disks does it get?", "Disks take space only as the guest fills them.")
        self._workspace = workspace
        self._source: Source = "sample"
        self._template_disks = 0
        self._bus_chosen = False
        self.rows: list[DiskRow] = []
        self.given = label("")
        self.given.setWordWrap(True)
        self.image_where = RepositoryChoice(workspace.cache, "Storage of the imported disk")
        self.copying = CopyChoice(workspace.cache)
        self.add = button("Add a disk", "plus")
        self.bus = Segmented([("virtio", "virtio"), ("sata", "SATA"), ("ide", "IDE")], "How disks are attached")
        self.hint = label("", "secondary")
        self.hint.setWordWrap(True)
        self._list = QVBoxLayout()
        self._list.setSpacing(GAP)
        for widget in (self.given, self.image_where, self.copying):
            self.content.addWidget(widget)
        self.content.addLayout(self._list)
        line = QHBoxLayout()
        line.addWidget(self.add)
        line.addStretch()
        self.content.addLayout(line)
        self.content.addSpacing(GAP)
        self.content.addWidget(label("Attached by", "quiet"))
        line = QHBoxLayout()
        line.addWidget(self.bus)
        line.addStretch()
        self.content.addLayout(line)
        self.content.addWidget(self.hint)
        self.content.addStretch()
        self.add.clicked.connect(self.add_disk)
        self.bus.chosen.connect(self._choose_bus)
        self.image_where.currentIndexChanged.connect(self.changed)
        self.copying.changed.connect(self.changed)
        self.show_source("sample", 0)

    def show_source(self, source: Source, image_size: int, template: VM | None = None) -> None:
        """Fit the page to the source; new disks that were added stay."""
        template_bus = template.platform.get("disk-bus", "") if template is not None else ""
        self._template_disks = len(disks_of(self._workspace.cache, template)) if template is not None else 0
        self.copying.setVisible(source == "template")
        if source == "template" and template is not None:
            self.copying.show_source(template)
        before, self._source = self._source, source
        self.given.setText(_given(source, image_size))
        self.given.setVisible(source in ("sample", "image"))
        self.image_where.setVisible(source == "image")
        if source == "iso" and not self.rows:
            self.add_disk()
        if before == "iso" and source != "iso" and len(self.rows) == 1 and self.rows[0].capacity.value() == _USUAL_GIB:
            self._remove(self.rows[0])
        if not self._bus_chosen:
            usual = template_bus if source == "template" and template_bus in _PLACES else _USUAL_BUS[source]
            self.bus.set_current(usual)
        self._number()

    def add_disk(self) -> None:
        """One more."""
        row = DiskRow(self._workspace, 0)
        row.changed.connect(self.changed)
        row.removed.connect(lambda: self._remove(row))
        self.rows.append(row)
        self._list.addWidget(row)
        self._number()
        row.capacity.setFocus()

    def new_disks(self, name: str) -> list[NewDisk]:
        """The new disks of a VM called `name`."""
        first = self.given_count()
        return [
            NewDisk(f"{name} disk {first + number}", row.octets(), row.where.ref())
            for number, row in enumerate(self.rows)
        ]

    def image_repository(self) -> Ref[SR]:
        """Where the imported image goes."""
        return self.image_where.ref()

    def way(self) -> Way:
        """How the disks of a template or snapshot are copied."""
        return self.copying.way() if self._source == "template" else Way()

    def given_count(self) -> int:
        """How many disks come with the source."""
        return self._template_disks if self._source == "template" else 0 if self._source == "iso" else 1

    def chosen_bus(self) -> Bus:
        """How the disks are attached."""
        return cast("Bus", self.bus.current())

    def why_incomplete(self) -> str:
        if self._source == "template" and (impossible := self.copying.why_impossible()):
            return impossible
        drives = self.given_count() + len(self.rows) + (1 if self._source in ("iso", "image") else 0)
        places = _PLACES[self.bus.current()]
        if (self.rows or self._source == "image") and not disk_repositories(self._workspace.cache):
            return "There is no storage for disks."
        if drives > min(places, _MOST_DRIVES):
            return f"{self.bus.current().upper()} takes {places} drives at most, and this VM would have {drives}."
        return ""

    def _remove(self, row: DiskRow) -> None:
        self.rows.remove(row)
        self._list.removeWidget(row)
        row.deleteLater()
        self._number()
        (self.rows[-1].capacity if self.rows else self.add).setFocus()

    def _number(self) -> None:
        for number, row in enumerate(self.rows, self.given_count()):
            row.set_number(number)
        self.hint.setText(_HINTS[self.bus.current()])
        self.changed.emit()

    def _choose_bus(self) -> None:
        self._bus_chosen = True
        self._number()


def _given(source: Source, image_size: int) -> str:
    if source == "sample":
        return "Disk 0 comes with the sample guest."
    if source == "image":
        return f"Disk 0 is a copy of the image{f', {size(image_size)}' if image_size else ''}. It goes to:"
    return ""
