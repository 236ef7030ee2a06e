"""Chooses a disk image on the engine's host, which looks at it first and may refuse it."""

from __future__ import annotations

import asyncio
from pathlib import PurePath

from PySide6.QtCore import QTimer, Signal
from PySide6.QtWidgets import QFileDialog, QHBoxLayout, QLineEdit, QVBoxLayout, QWidget

from app.api import ConnectionLost, Failure
from ui.base.dialogs import GAP, ask_for_path, label
from ui.base.failures import explain
from ui.base.sizes_and_dates import size
from ui.base.workspace import Workspace
from ui.widgets.buttons import button
from ui.widgets.notice import Notice

_KINDS = "Disk images (*.qcow2 *.qcow *.img *.raw *.vmdk *.vhd *.vhdx);;All files (*)"
#: typing a path is followed after a breath
_BREATH_MS = 300


class ImagePicker(QWidget):
    """A path, and what the engine says of the file. `facts` is empty until it has accepted it."""

    changed = Signal()

    def __init__(self, workspace: Workspace, parent: QWidget | None = None) -> None:
        super().__init__(parent)
        self._workspace = workspace
        self._looking: asyncio.Task[None] | None = None
        self._pause = QTimer(self)
        self._pause.setSingleShot(True)
        self._pause.setInterval(_BREATH_MS)
        self._pause.timeout.connect(self._begin)
        self._refusal = ""
        self.facts: dict[str, str] = {}
        self.path = QLineEdit()
        self.path.setPlaceholderText("/path/to/disk.qcow2")
        self.path.setAccessibleName("Disk image")
        self.browse = button("Choose a file…", "folder")
        self.verdict = Notice()
        self.verdict.hide()
        first = QHBoxLayout()
        first.setSpacing(GAP)
        first.addWidget(self.path, 1)
        first.addWidget(self.browse)
        rows = QVBoxLayout(self)
        rows.setContentsMargins(0, 0, 0, 0)
        rows.setSpacing(GAP)
        rows.addWidget(label("Disk image", "quiet"))
        rows.addLayout(first)
        rows.addWidget(self.verdict)
        rows.addStretch()
        self.path.textChanged.connect(self._typed)
        self.browse.clicked.connect(lambda: workspace.spawn(self._browse(), "Choosing a file"))

    def chosen(self) -> str:
        """The path as it stands."""
        return self.path.text().strip()

    def virtual_size(self) -> int:
        """The size of the disk that it will be, in bytes; 0 until it is known."""
        return int(self.facts.get("virtual_size", "0"))

    def suggested_name(self) -> str:
        """The file's name without its ending."""
        return PurePath(self.chosen()).stem

    def why_incomplete(self) -> str:
        """What is missing, or why the file is refused."""
        if not self.chosen():
            return "Choose a disk image."
        if self._looking is not None or self._pause.isActive():
            return "The disk image is being looked at."
        return self._refusal

    def _typed(self) -> None:
        self.stop()
        self.facts, self._refusal = {}, ""
        self.verdict.hide()
        if self.chosen():
            self._pause.start()
        self.changed.emit()

    def _begin(self) -> None:
        self._looking = self._workspace.spawn(self._look(self.chosen()), "Looking at the disk image")

    async def _look(self, path: str) -> None:
        try:
            self.facts = dict(await self._workspace.session.VDI.inspect_file(path))
            self._refusal = ""
            self.verdict.say(_words(self.facts), "good")
        except (Failure, ConnectionLost) as error:
            self._refusal = explain(error, self._workspace.cache).why
            self.verdict.say(self._refusal, "bad")
        self._looking = None
        self.verdict.show()
        self.changed.emit()

    async def _browse(self) -> None:
        dialog = QFileDialog(self, "Choose a disk image", str(PurePath(self.chosen()).parent) if self.chosen() else "")
        dialog.setFileMode(QFileDialog.FileMode.ExistingFile)
        dialog.setNameFilter(_KINDS)
        if chosen := await ask_for_path(dialog):
            self.path.setText(chosen)

    def stop(self) -> None:
        """Look no more: another path is typed, or the wizard goes."""
        self._pause.stop()
        if self._looking is not None:
            self._looking.cancel()
            self._looking = None


def _words(facts: dict[str, str]) -> str:
    kind = facts.get("format", "")
    virtual, used = int(facts.get("virtual_size", "0")), int(facts.get("file_size", "0"))
    return f"A {kind} image: a disk of {size(virtual)} in a file of {size(used)}."
