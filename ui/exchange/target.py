"""Where a file goes: a folder, a name, how full the drive is, and what that means for the file."""

from __future__ import annotations

from pathlib import Path
from typing import Final

from PySide6.QtCore import QStandardPaths, Signal
from PySide6.QtWidgets import QFileDialog, QHBoxLayout, QLineEdit, QVBoxLayout, QWidget

from app.client.exchange import PART_SUFFIX
from ui.base.dialogs import GAP, ask_for_path, label
from ui.base.workspace import Workspace
from ui.exchange.file_names import is_there, typed_path, unused, why_no_name
from ui.exchange.room import Place, Verdict, judge, place_of
from ui.widgets.buttons import button
from ui.widgets.notice import Notice
from ui.widgets.progress import CapacityBar

FOLDER: Final = "exchange/folder"
"""The folder of the last export."""


class TargetField(QWidget):
    """Asks for a new file. It looks at the drive, and refuses a file that cannot fit.

    :param suffix: what the name ends in, as ".xva"; added where it is missing.
    """

    changed = Signal()

    def __init__(self, workspace: Workspace, suffix: str, parent: QWidget | None = None) -> None:
        super().__init__(parent)
        self._workspace, self._suffix = workspace, suffix
        self._needed, self._compressed, self._proposed = 0, False, ""
        self._place = Place(Path())
        self.name = QLineEdit()
        self.name.setAccessibleName("File name")
        self.name.setMaxLength(240)
        self.folder = QLineEdit(workspace.settings.get(FOLDER, "") or documents())
        self.folder.setAccessibleName("Folder")
        self.browse = button("Choose…", "folder")
        self.space = CapacityBar("Space on the drive")
        self.verdict = Notice()
        self._lay_out()
        self.folder.textChanged.connect(self._look)
        self.name.textChanged.connect(self._judge)
        self.browse.clicked.connect(lambda: workspace.spawn(self._choose(), "Choosing a folder"))
        self._look()

    def propose(self, name: str) -> None:
        """A name, with a number where there is such a file already; a name that was typed stays."""
        if self.name.text() in ("", self._proposed):
            self._proposed = unused(typed_path(self.folder.text()), name)
            self.name.setText(self._proposed)

    def set_suffix(self, suffix: str) -> None:
        """The name ends in another way now."""
        typed = self.name.text()
        before, self._suffix = self._suffix, suffix
        if typed.endswith(before):
            name = f"{typed.removesuffix(before)}{suffix}"
            if typed == self._proposed:
                self._proposed = ""
                self.name.clear()
                self.propose(name)
            else:
                self.name.setText(name)
        self._judge()

    def set_needed(self, octets: int, *, compressed: bool) -> None:
        """About how large the file becomes, in bytes; with compression at most so large."""
        if (octets, compressed) != (self._needed, self._compressed):
            self._needed, self._compressed = octets, compressed
            self._judge()

    def path(self) -> Path:
        """The file that is asked for."""
        name = self.name.text().strip()
        return self._place.folder / (name if name.endswith(self._suffix) else f"{name}{self._suffix}")

    def place(self) -> Place:
        """The folder as it was last looked at."""
        return self._place

    def look_again(self) -> None:
        """The drive may have changed."""
        self._look()

    def remember(self) -> None:
        """Propose this folder the next time."""
        self._workspace.settings.put(FOLDER, str(self._place.folder))

    def why_incomplete(self) -> str:
        """What is missing, or why the file cannot be there; "" when all is well."""
        name = self.name.text().strip()
        if not self.folder.text().strip():
            return "Choose a folder."
        if self._place.problem:
            return self._place.problem
        if wrong := why_no_name(name.removesuffix(self._suffix) + self._suffix, self._suffix):
            return wrong
        if is_there(self.path()):
            return "There is a file of this name already. Choose another name."
        verdict = self._verdict()
        return verdict.words if verdict.refuses else ""

    # ---- inside -----------------------------------------------------------------------------------------------

    def _lay_out(self) -> None:
        first = QHBoxLayout()
        first.setSpacing(GAP)
        first.addWidget(self.folder, 1)
        first.addWidget(self.browse)
        rows = QVBoxLayout(self)
        rows.setContentsMargins(0, 0, 0, 0)
        rows.setSpacing(GAP)
        rows.addWidget(label("File name", "quiet"))
        rows.addWidget(self.name)
        rows.addSpacing(4)
        rows.addWidget(label("Folder", "quiet"))
        rows.addLayout(first)
        rows.addSpacing(GAP)
        rows.addWidget(self.space)
        rows.addWidget(self.verdict)

    def _look(self) -> None:
        self._place = place_of(typed_path(self.folder.text()))
        proposed = self._proposed
        if proposed and self.name.text() == proposed:
            self.propose(proposed)
        self._judge()

    def _verdict(self) -> Verdict:
        return judge(self._place, self._needed, compressed=self._compressed)

    def _judge(self) -> None:
        verdict, place = self._verdict(), self._place
        known = place.free is not None and place.total is not None
        self.space.setVisible(known)
        if place.free is not None and place.total is not None:
            self.space.set_values(max(0, place.total - place.free), place.total, min(self._needed, place.free))
        reason = self.why_incomplete()
        if reason:
            self.verdict.say(reason, "bad")
        elif note := self._interrupted():
            self.verdict.say(note, "info")
        else:
            self.verdict.say(verdict.words, verdict.tone)
        self.changed.emit()

    def _interrupted(self) -> str:
        """What becomes of what an interrupted export has left under this name."""
        path = self.path()
        if not is_there(path.with_name(f"{path.name}{PART_SUFFIX}")):
            return ""
        if self._compressed:
            return "An interrupted export of this name is there. A compressed one cannot go on: it begins anew."
        return "An interrupted export of this name is there. It goes on where it stopped, if it is of the same state."

    async def _choose(self) -> None:
        if chosen := await choose_folder(self, self.folder.text()):
            self.folder.setText(chosen)


async def choose_folder(parent: QWidget, folder: str) -> str:
    """Ask for a folder, from `folder` on; "" where the person thought better of it."""
    dialog = QFileDialog(parent, "Choose a folder", folder)
    dialog.setFileMode(QFileDialog.FileMode.Directory)
    dialog.setOption(QFileDialog.Option.ShowDirsOnly)
    return await ask_for_path(dialog)


def documents() -> str:
    """The person's own folder for documents."""
    return QStandardPaths.writableLocation(QStandardPaths.StandardLocation.DocumentsLocation) or str(Path.home())
