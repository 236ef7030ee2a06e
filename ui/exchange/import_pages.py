"""The pages of the import wizard: which file and what is in it, where its disks go, networks, identity, the plan."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from pathlib import Path
from typing import Final

from PySide6.QtCore import Qt, QTimer
from PySide6.QtGui import QDragEnterEvent, QDragLeaveEvent, QDropEvent
from PySide6.QtWidgets import QCheckBox, QFileDialog, QFrame, QHBoxLayout, QHeaderView, QLineEdit

from app.api import ConnectionLost, Failure
from app.client.exchange import ContainedDisk
from ui.base.dialogs import GAP, Consequence, ConsequenceList, IconLabel, ask_for_path, label
from ui.base.failures import explain
from ui.base.sizes_and_dates import size
from ui.base.wizard import WizardPage
from ui.base.workspace import Workspace
from ui.exchange.contents import FILTER, Contents, facts_of, look_into
from ui.exchange.dropping import DropZone, dropped
from ui.exchange.file_names import typed_path
from ui.exchange.target import FOLDER
from ui.models.table_model import Column, TableModel
from ui.widgets.buttons import button
from ui.widgets.cards import Card
from ui.widgets.facts import FactGrid
from ui.widgets.labels import ElidedLabel
from ui.widgets.notice import Notice
from ui.widgets.views import TableView

#: typing a path is followed after a breath
_BREATH_MS: Final = 300
_WRONG_MANIFEST: Final = "Its manifest does not fit: the file is not as it was written. It is refused at the import."


class FilePage(WizardPage):
    """A path, and what is in the file. `contents` is None until it has been looked into."""

    def __init__(self, workspace: Workspace, path: str = "") -> None:
        super().__init__("File", "What is imported?", "A VM from XenServer, XCP-ng or here; an appliance; or a disk.")
        self._workspace = workspace
        self._looking: asyncio.Task[None] | None = None
        self._pause = QTimer(self)
        self._pause.setSingleShot(True)
        self._pause.setInterval(_BREATH_MS)
        self._pause.timeout.connect(self._begin)
        self._refusal = ""
        self.contents: Contents | None = None
        self.path = QLineEdit()
        self.path.setPlaceholderText("Choose a file, or drop one here")
        self.path.setAccessibleName("File")
        self.path.setAcceptDrops(False)
        self.browse = button("Choose…", "folder")
        self.inside = ContentsCard()
        self.verdict = Notice()
        self.zone = DropZone("Drop a file here", "An .xva, .ova or .ovf, or a disk: qcow2, VHD, VMDK or raw")
        self._lay_out()
        self.setAcceptDrops(True)
        self.path.textChanged.connect(self._typed)
        self.browse.clicked.connect(lambda: workspace.spawn(self._choose(), "Choosing a file"))
        self.path.setText(path)
        if path:
            self._pause.stop()
            self._begin()

    def chosen(self) -> Path:
        """The path as it stands."""
        return typed_path(self.path.text())

    def why_incomplete(self) -> str:
        if not self.path.text().strip():
            return "Choose a file."
        if self.contents is None and not self._refusal:
            return "The file is being looked into."
        return self._refusal

    def stop(self) -> None:
        """Look no more: another path is typed, or the wizard goes."""
        self._pause.stop()
        if self._looking is not None:
            self._looking.cancel()
            self._looking = None

    def _lay_out(self) -> None:
        first = QHBoxLayout()
        first.setSpacing(GAP)
        first.addWidget(self.path, 1)
        first.addWidget(self.browse)
        self.content.addWidget(label("File", "quiet"))
        self.content.addLayout(first)
        self.content.addWidget(self.verdict)
        self.content.addWidget(self.inside, 1)
        self.content.addSpacing(GAP)
        self.content.addWidget(self.zone, 1)
        self.verdict.hide()
        self.inside.hide()

    def _typed(self) -> None:
        self.stop()
        self.contents, self._refusal = None, ""
        self.verdict.hide()
        self.inside.hide()
        self.zone.show()
        if self.path.text().strip():
            self._pause.start()
        self.changed.emit()

    def _begin(self) -> None:
        self._looking = self._workspace.spawn(self._look(self.chosen()), "Looking into the file")

    async def _look(self, path: Path) -> None:
        try:
            self.contents = await look_into(self._workspace.session, path)
        except (Failure, ConnectionLost, OSError) as error:
            self._refuse(explain(error, self._workspace.cache).why)
        else:
            self._show(self.contents)
        self._looking = None
        self.changed.emit()

    def _refuse(self, reason: str) -> None:
        self._refusal = reason
        self.verdict.say(reason, "bad")
        self.verdict.show()

    def _show(self, found: Contents) -> None:
        self.inside.show_contents(found)
        self.zone.hide()
        self.inside.show()
        said = " ".join(found.notes)
        if found.metadata_only:
            said = f"It holds settings only: its disks must be here already. {said}".strip()
        if found.manifest == "wrong":
            said = _WRONG_MANIFEST
        if said:
            self.verdict.say(said, "bad" if found.manifest == "wrong" else "attention")
        self.verdict.setVisible(bool(said))

    async def _choose(self) -> None:
        folder = str(self.chosen().parent) if self.path.text() else self._workspace.settings.get(FOLDER, "")
        dialog = QFileDialog(self, "Choose a file", folder)
        dialog.setFileMode(QFileDialog.FileMode.ExistingFile)
        dialog.setNameFilter(FILTER)
        if chosen := await ask_for_path(dialog):
            self.path.setText(chosen)

    def dragEnterEvent(self, event: QDragEnterEvent) -> None:
        if dropped(event):
            self.zone.set_hot(True)
            event.acceptProposedAction()

    def dragLeaveEvent(self, _event: QDragLeaveEvent) -> None:
        self.zone.set_hot(False)

    def dropEvent(self, event: QDropEvent) -> None:
        self.zone.set_hot(False)
        if path := dropped(event):
            event.acceptProposedAction()
            self.path.setText(path)


def _disk_columns() -> list[Column[ContainedDisk]]:
    return [
        Column(title="Disk", text=lambda d: d.name or "Unnamed", icon=lambda _d: "disk"),
        Column(title="Size", text=lambda d: size(d.virtual_size), order=lambda d: d.virtual_size, right=True),
    ]


class ContentsCard(Card):
    """What is in a file."""

    def __init__(self) -> None:
        super().__init__()
        self.setAccessibleName("In the file")
        self.picture = IconLabel("vm", 20)
        self.name = ElidedLabel("", "strong")
        self.what = label("", "quiet")
        self.facts = FactGrid(name="In the file")
        self.model: TableModel[ContainedDisk] = TableModel(_disk_columns())
        self.table = TableView("Disks in the file", "There is no disk in it.")
        self.table.setModel(self.model)
        self.table.setFrameShape(QFrame.Shape.NoFrame)
        header = self.table.horizontalHeader()
        header.setStretchLastSection(False)
        header.setSectionResizeMode(0, QHeaderView.ResizeMode.Stretch)
        self.table.setColumnWidth(1, 96)
        row = QHBoxLayout()
        row.setSpacing(GAP)
        row.addWidget(self.picture)
        row.addWidget(self.name, 1)
        row.addWidget(self.what)
        self.content.addLayout(row)
        self.content.addWidget(self.facts)
        self.content.addWidget(self.table, 1)

    def show_contents(self, found: Contents) -> None:
        """Show this file's."""
        self.picture.set_icon(found.icon)
        self.name.setText(found.name or "Unnamed")
        self.what.setText(found.what[0].upper() + found.what[1:])
        self.facts.set_facts(facts_of(found))
        self.model.set_items({f"{number:03}": disk for number, disk in enumerate(found.disks)})
        self.table.setVisible(found.kind != "disk" and bool(found.disks))


class FinishPage(WizardPage):
    """The plan in sentences, and whether the VM starts at once."""

    def __init__(self) -> None:
        super().__init__("Finish", "Ready to import it", "The wizard closes; the status bar shows how far it is.")
        self.steps = ConsequenceList()
        self.start = QCheckBox("Start the VM afterwards")
        self.start.toggled.connect(self.changed)
        self._shown: list[Consequence] = []
        self.content.addWidget(self.steps)
        self.content.addSpacing(GAP)
        self.content.addWidget(self.start)
        said = label("If it fails or is cancelled, all that was made is removed again.", "secondary")
        self.content.addWidget(said, 0, Qt.AlignmentFlag.AlignTop)
        self.content.addStretch()

    def show_steps(self, steps: Sequence[Consequence], start: str) -> None:
        """Say what will be done; `start` are the words of the box."""
        if list(steps) != self._shown:
            self._shown = list(steps)
            self.steps.set(steps)
        self.start.setText(start)
