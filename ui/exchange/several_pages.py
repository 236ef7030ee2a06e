"""The pages of the export of several that differ from those of one: what goes along, and the files' names."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, Final

from PySide6.QtCore import QAbstractItemModel, QModelIndex, QPersistentModelIndex, Qt, QTimer, Signal
from PySide6.QtWidgets import (
    QAbstractItemView,
    QCheckBox,
    QHBoxLayout,
    QHeaderView,
    QLineEdit,
    QStyledItemDelegate,
    QStyleOptionViewItem,
    QWidget,
)

from ui.base.dialogs import GAP, label
from ui.base.sizes_and_dates import count, size
from ui.base.wizard import WizardPage
from ui.base.workspace import Workspace
from ui.exchange.file_names import typed_path
from ui.exchange.room import Place, Verdict, judge_all, place_of
from ui.exchange.several import SUFFIX, Item, Looked, interrupted, interrupted_words, problems, proposals, state_words
from ui.exchange.target import FOLDER, choose_folder, documents
from ui.models.table_model import Column, Role, TableModel
from ui.widgets.buttons import button
from ui.widgets.cards import ChoiceCard
from ui.widgets.notice import Notice
from ui.widgets.progress import CapacityBar
from ui.widgets.views import TableView

Index = QModelIndex | QPersistentModelIndex
_FILE: Final = 1
_NARROW: Final = 140
_WIDE: Final = 210


@dataclass(frozen=True, slots=True)
class _Row:
    """One of them on the first page."""

    item: Item
    words: str

    @property
    def goes(self) -> bool:
        return not self.words.startswith("Left out")


def _contents_columns() -> list[Column[_Row]]:
    return [
        Column(title="Name", text=lambda r: r.item.subject.name, icon=lambda r: r.item.subject.icon),
        Column(title="Of", text=lambda r: r.item.subject.owner, tone=lambda _r: "secondary"),
        Column(
            title="Data",
            text=lambda r: size(r.item.data),
            order=lambda r: r.item.data,
            tooltip=lambda _r: "About what its disks add to the file before compression",
            right=True,
        ),
        Column(
            title="Export",
            text=lambda r: r.words,
            icon=lambda r: ("camera" if r.item.runs else "alert-good") if r.goes else "alert-info",
            tone=lambda r: "text" if r.goes else "secondary",
        ),
    ]


class SeveralContentsPage(WizardPage):
    """Settings and disks, or the settings alone; what runs; and which of them stay behind."""

    def __init__(self, items: Mapping[str, Item]) -> None:
        super().__init__("Contents", "What goes into the files?", "")
        self._items = dict(items)
        self.everything = ChoiceCard("disk", "Settings and disks", "", self)
        self.settings = ChoiceCard(
            "file", "Settings only", "A few kilobytes each: records, not backups. No disk.", self
        )
        self.snapshot_first = QCheckBox("Take a snapshot of VMs that run, and export that")
        self.memory = QCheckBox("")
        self.snapshots = QCheckBox("With the settings of their snapshots")
        self.model: TableModel[_Row] = TableModel(_contents_columns())
        self.table = TableView("What is exported")
        self.table.setModel(self.model)
        self._lay_out()
        self.everything.setChecked(True)
        for box in (self.snapshot_first, self.memory, self.snapshots):
            box.setChecked(box is not self.snapshots)
        for button_ in (self.everything, self.settings, self.snapshot_first, self.memory, self.snapshots):
            button_.toggled.connect(self._follow)
        self._follow()

    def show_items(self, items: Mapping[str, Item]) -> None:
        """They have changed."""
        if dict(items) != self._items:
            self._items = dict(items)
            self._follow()

    def going(self) -> dict[str, Item]:
        """Those that are exported, by reference."""
        return {ref: self._items[ref] for ref, row in self._rows().items() if row.goes}

    def left_out(self) -> list[tuple[str, str]]:
        """(name, reason) of the others."""
        rows = (row for row in self._rows().values() if not row.goes)
        return [(row.item.subject.name, row.words.removeprefix("Left out. ")) for row in rows]

    def is_metadata(self) -> bool:
        """Whether no disk goes along."""
        return self.settings.isChecked()

    def with_memory(self) -> bool:
        """Whether memory images go along, where there are some."""
        return not self.is_metadata() and self.memory.isChecked() and self._memory() > 0

    def with_snapshots(self) -> bool:
        """Whether the settings of the snapshots go along."""
        return self.is_metadata() and self._have_snapshots() and self.snapshots.isChecked()

    def needed(self, item: Item) -> int:
        """About how many bytes its file takes as it is."""
        if self.is_metadata():
            return 0
        return item.data + (item.memory if self.with_memory() else 0)

    def why_incomplete(self) -> str:
        return "" if self.going() else "None of them can be exported in this way now."

    def _rows(self) -> dict[str, _Row]:
        first = self.snapshot_first.isChecked()
        return {ref: _Row(item, state_words(item, snapshot_first=first)) for ref, item in self._items.items()}

    def _memory(self) -> int:
        return sum(item.memory for item in self.going().values())

    def _have_snapshots(self) -> bool:
        return any(item.snapshots and item.subject.kind == "VM" for item in self.going().values())

    def _lay_out(self) -> None:
        header = self.table.horizontalHeader()
        header.setStretchLastSection(False)
        for column, width in ((1, 100), (2, 76)):
            self.table.setColumnWidth(column, width)
        header.setSectionResizeMode(0, QHeaderView.ResizeMode.Stretch)
        for widget in (self.everything, self.settings, self.snapshot_first, self.memory, self.snapshots):
            self.content.addWidget(widget)
        self.content.addSpacing(GAP)
        self.content.addWidget(self.table, 1)

    def _follow(self) -> None:
        rows, going = self._rows(), self.going()
        self.model.set_items(rows)
        owned = any(row.item.subject.owner for row in rows.values())
        self.table.setColumnHidden(1, not owned)
        self.table.setColumnWidth(3, _NARROW if owned else _WIDE)
        some = f"{len(going)} of {len(rows)} can be exported now, each as a file." if len(going) < len(rows) else ""
        self.explanation.setText(f"{some or 'Each as a file.'} They stay as they are.")
        self.explanation.show()
        disks = sum(item.disks for item in going.values())
        data = sum(item.data for item in going.values())
        held = f"{count(disks, 'disk')} with about {size(data)} of data" if disks else "No disk"
        self.everything.set_description(f"{held}: all that is needed to run them elsewhere.")
        self.memory.setText(f"With memory where there is some ({size(self._memory())})")
        self.memory.setVisible(self._memory() > 0 and not self.is_metadata())
        self.snapshots.setVisible(self._have_snapshots() and self.is_metadata())
        self.snapshot_first.setVisible(any(item.runs and not item.reason for item in self._items.values()))
        self.changed.emit()


@dataclass(frozen=True, slots=True)
class FileRow:
    """A file to be written: of what, its name, its size in bytes as it is, and what stands in its way."""

    item: Item
    name: str
    needed: int
    problem: str = ""
    note: str = ""

    @property
    def words(self) -> str:
        """What is to be said of it; "" for nothing."""
        return self.problem or self.note

    @property
    def icon(self) -> str:
        """Whether it can be written, as an icon."""
        return "alert-bad" if self.problem else "alert-info" if self.note else "alert-good"


def _file_columns() -> list[Column[FileRow]]:
    return [
        Column(title="Export", text=lambda r: r.item.subject.name, icon=lambda r: r.item.subject.icon),
        Column(
            title="File name",
            text=lambda r: r.name,
            icon=lambda r: r.icon,
            tone=lambda r: "bad" if r.problem else "text",
            tooltip=lambda r: "\n".join(filter(None, (r.name, r.words))),
            roles={Role.AccessibleTextRole.value: lambda r: " ".join(filter(None, (r.name, r.words)))},
        ),
        Column(title="Size", text=lambda r: size(r.needed) if r.needed else "", order=lambda r: r.needed, right=True),
    ]


class FilesModel(TableModel[FileRow]):
    """The files; their names can be edited."""

    #: another name was typed: key, name
    renamed = Signal(str, str)

    def __init__(self) -> None:
        super().__init__(_file_columns())

    def flags(self, index: Index) -> Qt.ItemFlag:
        found = super().flags(index)
        return found | Qt.ItemFlag.ItemIsEditable if index.isValid() and index.column() == _FILE else found

    def data(self, index: Index, role: int = Role.DisplayRole) -> Any:
        return super().data(index, Role.DisplayRole if role == Role.EditRole else role)

    def setData(self, index: Index, value: Any, role: int = Role.EditRole) -> bool:
        key = self.key(index)
        if key is None or role != Role.EditRole or index.column() != _FILE:
            return False
        self.renamed.emit(key, str(value).strip())
        return True


class _NameEditing(QStyledItemDelegate):
    """Edits a file's name with every letter seen by the model; what comes before the ending is selected first."""

    def createEditor(self, parent: QWidget, option: QStyleOptionViewItem, index: Index) -> QWidget:
        editor = QLineEdit(parent)
        editor.setAccessibleName("File name")
        editor.setMaxLength(240)
        editor.setStyleSheet("QLineEdit, QLineEdit:focus { padding: 0 2px; min-height: 0; border-radius: 4px; }")
        editor.textEdited.connect(lambda: self.commitData.emit(editor))
        return editor

    def setEditorData(self, editor: QWidget, index: Index) -> None:
        assert isinstance(editor, QLineEdit)
        if not editor.isModified():  # else it is what has just been typed
            name = str(index.data() or "")
            editor.setText(name)
            # later: the view selects all when this returns
            QTimer.singleShot(0, editor, lambda: editor.setSelection(0, len(name.removesuffix(SUFFIX))))

    def setModelData(self, editor: QWidget, model: QAbstractItemModel, index: Index) -> None:
        assert isinstance(editor, QLineEdit)
        model.setData(index, editor.text())


class FilesPage(WizardPage):
    """Which folder, and what each file is called there."""

    def __init__(self, workspace: Workspace) -> None:
        super().__init__("Files", "Where do the files go?", "Double-click a file name, or press F2, to change it.")
        self._workspace = workspace
        self._rows: dict[str, FileRow] = {}
        self._typed: dict[str, str] = {}
        self._compressed = False
        self._place = Place(Path())
        self._looked = Looked(Path())
        self.folder = QLineEdit(workspace.settings.get(FOLDER, "") or documents())
        self.folder.setAccessibleName("Folder")
        self.browse = button("Choose…", "folder")
        self.space = CapacityBar("Space on the drive")
        self.verdict = Notice()
        self.model = FilesModel()
        self.table = TableView("Files")
        self._lay_out()
        self.folder.textChanged.connect(self._look)
        self.browse.clicked.connect(lambda: workspace.spawn(self._choose(), "Choosing a folder"))
        self.model.renamed.connect(self._rename)
        self._look()

    def show_items(self, items: Mapping[str, tuple[Item, int]], *, compressed: bool) -> None:
        """These go, each with about how many bytes its file takes as it is."""
        self._compressed = compressed
        self._rows = {ref: FileRow(item, "", needed) for ref, (item, needed) in items.items()}
        self._judge()

    def paths(self) -> dict[str, Path]:
        """The files that are asked for, by reference."""
        return {ref: self._place.folder / _whole(row.name) for ref, row in self._rows.items()}

    def place(self) -> Place:
        """The folder as it was last looked at."""
        return self._place

    def remember(self) -> None:
        """Propose this folder the next time."""
        self._workspace.settings.put(FOLDER, str(self._place.folder))

    def why_incomplete(self) -> str:
        if not self.folder.text().strip():
            return "Choose a folder."
        if self._place.problem:
            return self._place.problem
        wrong = next((row for row in self._rows.values() if row.problem), None)
        if wrong is not None:
            return f"{wrong.item.subject.name}: {wrong.problem}"
        verdict = self._verdict()
        return verdict.words if verdict.refuses else ""

    def entered(self) -> None:
        self._look()

    def _lay_out(self) -> None:
        line = QHBoxLayout()
        line.setSpacing(GAP)
        line.addWidget(self.folder, 1)
        line.addWidget(self.browse)
        self.content.addWidget(label("Folder", "quiet"))
        self.content.addLayout(line)
        self.content.addWidget(self.space)
        self.content.addWidget(self.verdict)
        self.content.addSpacing(GAP)
        self.content.addWidget(self.table, 1)
        self.table.setModel(self.model)
        triggers = QAbstractItemView.EditTrigger
        self.table.setEditTriggers(triggers.DoubleClicked | triggers.EditKeyPressed | triggers.SelectedClicked)
        self.table.setItemDelegateForColumn(_FILE, _NameEditing(self.table))
        header = self.table.horizontalHeader()
        header.setStretchLastSection(False)
        for column, width in ((0, 150), (2, 76)):
            self.table.setColumnWidth(column, width)
        header.setSectionResizeMode(_FILE, QHeaderView.ResizeMode.Stretch)

    def _look(self) -> None:
        folder = typed_path(self.folder.text())
        self._place, self._looked = place_of(folder), Looked(folder)
        self._judge()

    def _rename(self, ref: str, name: str) -> None:
        if name != self._rows[ref].name:
            self._typed[ref] = name
            self._judge()

    def _named(self) -> dict[str, str]:
        """What each file is called: as somebody typed, else as is proposed."""
        proposed = proposals(self._looked, [(ref, row.item.proposal) for ref, row in self._rows.items()])
        return {ref: self._typed.get(ref, name) for ref, name in proposed.items()}

    def _judge(self) -> None:
        looked, names = self._looked, self._named()
        found = problems(looked, [(ref, row.item.subject.name, _whole(names[ref])) for ref, row in self._rows.items()])
        for ref, row in self._rows.items():
            note = interrupted(looked, _whole(names[ref]), compressed=self._compressed)
            self._rows[ref] = replace(row, name=names[ref], problem=found[ref], note=note)
        self.model.set_items(self._rows)
        self._show_space()
        self.changed.emit()

    def _show_space(self) -> None:
        verdict, place = self._verdict(), self._place
        needed = sum(row.needed for row in self._rows.values())
        known = place.free is not None and place.total is not None
        self.space.setVisible(known)
        if place.free is not None and place.total is not None:
            self.space.set_values(max(0, place.total - place.free), place.total, min(needed, place.free))
        begun = sum(bool(row.note) for row in self._rows.values())
        if reason := self.why_incomplete():
            self.verdict.say(reason, "bad")
        elif begun and verdict.tone == "good":
            self.verdict.say(interrupted_words(begun, compressed=self._compressed), "info")
        else:
            self.verdict.say(verdict.words, verdict.tone)

    def _verdict(self) -> Verdict:
        return judge_all(self._place, [row.needed for row in self._rows.values()], compressed=self._compressed)

    async def _choose(self) -> None:
        if chosen := await choose_folder(self, self.folder.text()):
            self.folder.setText(chosen)


def _whole(name: str) -> str:
    """A file's name with its ending, which need not be typed."""
    name = name.strip()
    return name if name.endswith(SUFFIX) else f"{name}{SUFFIX}"
