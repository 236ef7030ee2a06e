"""The pages of the export wizard: what goes along, how it is packed, and what will be done."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final, cast

from PySide6.QtWidgets import QCheckBox, QHeaderView

from app.api import SR, VDI
from app.client import ObjectCache
from app.client.exchange import MANIFEST_SUFFIX, Compression, ExportPlan
from ui.base.dialogs import GAP, Consequence, ConsequenceList, label
from ui.base.settings import Settings
from ui.base.sizes_and_dates import count, size
from ui.base.wizard import WizardPage
from ui.base.workspace import Workspace
from ui.exchange.subject import Subject
from ui.exchange.target import TargetField
from ui.models.chain import Chains, disks_of
from ui.models.table_model import Column, TableModel
from ui.widgets.cards import ChoiceCard
from ui.widgets.notice import Notice
from ui.widgets.views import TableView

COMPRESSION: Final = "exchange/compression"
"""The last choice."""
_KINDS: Final[dict[Compression, tuple[str, str]]] = {
    "zstd": ("bolt", "Zstandard"),
    "gzip": ("file", "gzip"),
    "none": ("disk", "None"),
}
SUFFIX: Final = ".xva"
_WITH_MEMORY: Final = "With its memory, so that it goes on exactly where it stood"

_Disk = tuple[str, str, int, int]


def disk_rows(cache: ObjectCache, subject: Subject) -> dict[str, _Disk]:
    """(name, storage, size, data) of each disk by reference; bytes. The data is at most what the whole chain holds."""
    chains = Chains(cache)
    rows: dict[str, _Disk] = {}
    for number, disk in enumerate(disks_of(cache, subject.record)):
        storage, facts = cache.get(SR, disk.SR), chains.of_disk(disk)
        data = min(facts.own + facts.shared, max(0, disk.virtual_size))
        where = storage.name_label if storage is not None else ""
        rows[f"{number:03}"] = (_name(disk, number), where, max(0, disk.virtual_size), data)
    return rows


def _name(disk: VDI, number: int) -> str:
    return disk.name_label or f"Disk {number}"


def _columns() -> list[Column[_Disk]]:
    return [
        Column(title="Disk", text=lambda d: d[0], icon=lambda _d: "disk"),
        Column(title="Storage", text=lambda d: d[1], tone=lambda _d: "secondary"),
        Column(title="Size", text=lambda d: size(d[2]), order=lambda d: d[2], right=True),
        Column(
            title="Data",
            text=lambda d: size(d[3]),
            order=lambda d: d[3],
            tooltip=lambda _d: "About what it adds to the file before compression",
            right=True,
        ),
    ]


class ContentsPage(WizardPage):
    """Settings and disks, or the settings alone; and the memory of what is suspended."""

    def __init__(self, workspace: Workspace, subject: Subject) -> None:
        super().__init__("Contents", "What goes into the file?", "")
        self.explanation.setText(f"Of {subject.words}. It stays as it is.")
        self.explanation.show()
        self._subject = subject
        self._plan: ExportPlan | None = None
        self._problem = "Its disks are being looked at."
        self.everything = ChoiceCard("disk", "Settings and disks", "Its disks are being looked at…", self)
        self.settings = ChoiceCard("file", "Settings only", "A few kilobytes: a record, not a backup. No disk.", self)
        self.model: TableModel[_Disk] = TableModel(_columns())
        self.table = TableView("Disks", "It has no disks.")
        self.table.setModel(self.model)
        self.model.set_items(disk_rows(workspace.cache, subject))
        self.memory = QCheckBox(_WITH_MEMORY)
        self.snapshots = QCheckBox(f"With the settings of its {count(len(subject.record.snapshots), 'snapshot')}")
        self.failure = Notice("", "bad")
        self._lay_out()
        self.everything.setChecked(True)
        for box in (self.everything, self.settings, self.memory, self.snapshots):
            box.toggled.connect(self._follow)
        self._follow()

    def show_plan(self, plan: ExportPlan) -> None:
        """What the engine says of it."""
        self._plan, self._problem = plan, ""
        disks = f"{count(plan.disks, 'disk')} with about {size(plan.data_bytes)} of data" if plan.disks else "No disk"
        self.everything.set_description(f"{disks}: all that is needed to run it elsewhere.")
        if plan.memory_bytes:
            self.memory.setText(f"{_WITH_MEMORY} ({size(plan.memory_bytes)})")
            self.memory.setChecked(True)
        self._follow()

    def show_failure(self, reason: str) -> None:
        """It cannot be exported."""
        self._problem = reason
        self.everything.set_description("All that is needed to run it elsewhere.")
        self.failure.say(reason, "bad")
        self._follow()

    def is_metadata(self) -> bool:
        """Whether no disk goes along."""
        return self.settings.isChecked()

    def with_memory(self) -> bool:
        """Whether the memory image goes along."""
        return self._has_memory() and self.memory.isChecked() and not self.is_metadata()

    def with_snapshots(self) -> bool:
        """Whether the settings of the snapshots go along."""
        return self.is_metadata() and bool(self._subject.record.snapshots) and self.snapshots.isChecked()

    def needed(self) -> int:
        """About how many bytes the file takes as it is."""
        if self._plan is None or self.is_metadata():
            return 0
        return self._plan.data_bytes + (self._plan.memory_bytes if self.with_memory() else 0)

    def why_incomplete(self) -> str:
        return self._problem

    def _has_memory(self) -> bool:
        return self._plan is not None and bool(self._plan.memory_bytes)

    def _lay_out(self) -> None:
        for width, column in ((0, 0), (120, 1), (76, 2), (76, 3)):
            if width:
                self.table.setColumnWidth(column, width)
        header = self.table.horizontalHeader()
        header.setStretchLastSection(False)
        header.setSectionResizeMode(0, QHeaderView.ResizeMode.Stretch)
        for widget in (self.everything, self.settings, self.memory, self.snapshots, self.failure):
            self.content.addWidget(widget)
        self.content.addSpacing(GAP)
        self.content.addWidget(self.table, 1)

    def _follow(self) -> None:
        self.memory.setVisible(self._has_memory() and not self.is_metadata())
        self.snapshots.setVisible(self.is_metadata() and bool(self._subject.record.snapshots))
        self.failure.setVisible(self._plan is None and bool(self.failure.sentence()))
        self.table.setEnabled(not self.is_metadata())
        self.changed.emit()


class PackingPage(WizardPage):
    """Compression, and what is done once the file is written."""

    def __init__(self, settings: Settings, *, several: bool = False) -> None:
        question = "How are they packed?" if several else "How is it packed?"
        super().__init__("Packing", question, "XenServer and XCP-ng read all three.")
        self._settings = settings
        self._needed, self._relevant = 0, True
        self.cards: dict[Compression, ChoiceCard] = {
            key: ChoiceCard(icon, title, "", self) for key, (icon, title) in _KINDS.items()
        }
        file = "each file" if several else "the file"
        self.verify = QCheckBox(f"Read {file} again when it is written, and compare every block")
        self.verify.setChecked(True)
        self.manifest = QCheckBox(f"Write a signed manifest beside {'each' if several else 'it'}")
        self.about = label("", "secondary")
        self.about.setWordWrap(True)
        for card in self.cards.values():
            self.content.addWidget(card)
            card.toggled.connect(self.changed)
        self.content.addSpacing(GAP)
        self.content.addWidget(self.verify)
        self.content.addWidget(self.manifest)
        self.content.addWidget(self.about)
        self.content.addStretch()
        self.verify.toggled.connect(self.changed)
        self.manifest.toggled.connect(self._follow)
        last = cast("Compression", settings.get(COMPRESSION, "zstd"))
        self.cards[last if last in self.cards else "zstd"].setChecked(True)
        self.show_needed(0, packed=True)
        self._follow()

    def show_needed(self, needed: int, *, packed: bool) -> None:
        """About how large the file is as it is; `packed`: there is something to pack."""
        self._needed, self._relevant = needed, packed
        exactly = f"About {size(needed)}. " if needed else ""
        self.cards["zstd"].set_description("Small and fast. Read by XenServer 8, XCP-ng 8 and later.")
        self.cards["gzip"].set_description("Read by every XenServer; takes several times as long.")
        self.cards["none"].set_description(f"{exactly}Nothing to compute; gaps in the disks take no space.")

    def compression(self) -> Compression:
        """What is chosen."""
        return next((key for key, card in self.cards.items() if card.isChecked()), "none") if self._relevant else "none"

    def is_relevant(self) -> bool:
        return self._relevant

    def remember(self) -> None:
        """Propose this the next time."""
        if self._relevant:
            self._settings.put(COMPRESSION, self.compression())

    def _follow(self) -> None:
        self.about.setText(
            "With it anybody can tell later whether the file is as it was written, and by whom."
            if self.manifest.isChecked()
            else ""
        )
        self.about.setVisible(self.manifest.isChecked())
        self.changed.emit()


class FilePage(WizardPage):
    """Which file."""

    def __init__(self, workspace: Workspace) -> None:
        super().__init__("File", "Where does the file go?", "On this computer, or on a drive that is attached to it.")
        self.target = TargetField(workspace, SUFFIX)
        self.content.addWidget(self.target)
        self.content.addStretch()
        self.target.changed.connect(self.changed)

    def why_incomplete(self) -> str:
        return self.target.why_incomplete()

    def entered(self) -> None:
        self.target.look_again()
        self.target.name.setSelection(0, len(self.target.name.text().removesuffix(SUFFIX)))


_HOW_IT_GOES: Final = "Cancel it at any time: nothing is left behind. The file has its name only once it is whole."


class FinishPage(WizardPage):
    """The plan in sentences. `how_it_goes` stands below."""

    def __init__(self, how_it_goes: str = _HOW_IT_GOES) -> None:
        super().__init__("Finish", "Ready to write", "The wizard closes; the status bar shows how far it is.")
        self.steps = ConsequenceList()
        self._shown: list[Consequence] = []
        self.content.addWidget(self.steps)
        self.content.addSpacing(GAP)
        said = label(how_it_goes)
        said.setProperty("role", "secondary")
        said.setWordWrap(True)
        self.content.addWidget(said)
        self.content.addStretch()

    def show_steps(self, steps: Sequence[Consequence]) -> None:
        """Say what will be done."""
        if list(steps) != self._shown:
            self._shown = list(steps)
            self.steps.set(steps)


def manifest_name(file_name: str) -> str:
    """What the manifest of a file is called."""
    return f"{file_name}{MANIFEST_SUFFIX}"
