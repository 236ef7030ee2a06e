"""The snapshots as rows: sorted and filtered as a list of references, changed row by row."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator
from typing import Any, Final

from PySide6.QtCore import QAbstractTableModel, QModelIndex, QObject, QPersistentModelIndex, Qt

from app.api import VM
from ui.base import icons, text
from ui.base.sizes_and_dates import age, date_and_time, exact, size
from ui.snapshots import words
from ui.snapshots.subject import Subject

TITLES: Final = ("Type", "Name", "Created", "Age", "Own size", "Tags", "Description")
TYPE, NAME, CREATED, AGE, SIZE, TAGS, DESCRIPTION = range(len(TITLES))
#: with more changes than so many runs of rows it is cheaper to say that all of them changed
_MOST_RUNS = 8
_NUMBER = re.compile(r"(\d+)")

Index = QModelIndex | QPersistentModelIndex
Role = Qt.ItemDataRole


def natural(name: str) -> tuple[tuple[int, int, str], ...]:
    """A key that sorts names as people count: ``disk 9`` before ``disk 10``, whatever the case."""
    return tuple(
        (0, int(part), "") if part.isdecimal() else (1, 0, part) for part in _NUMBER.split(name.casefold()) if part
    )


class ListModel(QAbstractTableModel):
    """Rows of references; what they say is looked up when it is painted."""

    def __init__(self, subject: Subject, parent: QObject | None = None) -> None:
        super().__init__(parent)
        self._subject = subject
        self._column, self._order = CREATED, Qt.SortOrder.DescendingOrder
        self._matching: frozenset[str] | None = None
        self.refs: list[str] = []

    def row_of(self, ref: str) -> int:
        """The row of a snapshot, -1 if it is not shown."""
        return self.refs.index(ref) if ref in self.refs else -1

    def set_matching(self, refs: frozenset[str] | None) -> None:
        """Show only these; None shows all."""
        self._matching = refs
        self.follow()

    def follow(self) -> None:
        """The subject changed: bring the rows in line with it."""
        wanted = self._wanted()
        if wanted != self.refs:
            self._turn_into(wanted)
        if self.refs:
            self.dataChanged.emit(self.index(0, 0), self.index(len(self.refs) - 1, len(TITLES) - 1))

    def sort(self, column: int, order: Qt.SortOrder = Qt.SortOrder.AscendingOrder) -> None:
        self._column, self._order = column, order
        wanted = self._wanted()
        if wanted != self.refs:
            self._reorder(wanted)

    def _wanted(self) -> list[str]:
        subject = self._subject
        refs = [ref for ref in subject.shown if self._matching is None or ref in self._matching]
        refs.sort(key=lambda ref: subject.snapshots[ref].snapshot_time, reverse=True)
        refs.sort(key=self._key(), reverse=self._order == Qt.SortOrder.DescendingOrder)
        return refs

    def _key(self) -> Callable[[str], Any]:
        subject = self._subject
        record = subject.snapshots.__getitem__
        return {
            TYPE: lambda ref: (words.type_of(record(ref)), words.is_scheduled(record(ref))),
            NAME: lambda ref: natural(record(ref).name_label),
            CREATED: lambda ref: record(ref).snapshot_time,
            AGE: lambda ref: -record(ref).snapshot_time.timestamp(),
            SIZE: lambda ref: subject.facts[ref].own,
            TAGS: lambda ref: sorted(record(ref).tags),
            DESCRIPTION: lambda ref: natural(record(ref).name_description),
        }[self._column]

    def _turn_into(self, wanted: list[str]) -> None:
        keep = set(wanted)
        gone = list(_runs([row for row, ref in enumerate(self.refs) if ref not in keep]))
        left = [ref for ref in self.refs if ref in keep]
        have = set(left)
        came = list(_runs([row for row, ref in enumerate(wanted) if ref not in have]))
        if len(gone) + len(came) > _MOST_RUNS:
            self.beginResetModel()
            self.refs = wanted
            self.endResetModel()
            return
        for first, last in reversed(gone):
            self.beginRemoveRows(QModelIndex(), first, last)
            del self.refs[first : last + 1]
            self.endRemoveRows()
        ordered = [ref for ref in wanted if ref in have]
        if ordered != self.refs:
            self._reorder(ordered)
        for first, last in came:
            self.beginInsertRows(QModelIndex(), first, last)
            self.refs[first:first] = wanted[first : last + 1]
            self.endInsertRows()

    def _reorder(self, wanted: list[str]) -> None:
        """The same rows in another order; what views hold on to goes along."""
        self.layoutAboutToBeChanged.emit()
        before = self.persistentIndexList()
        row = {ref: place for place, ref in enumerate(wanted)}
        after = [self.index(row.get(self.refs[i.row()], -1), i.column()) for i in before]
        self.refs = wanted
        self.changePersistentIndexList(before, after)
        self.layoutChanged.emit()

    # ---- what views ask ---------------------------------------------------------------------------------------

    def rowCount(self, parent: Index = QModelIndex()) -> int:  # noqa: B008
        return 0 if parent.isValid() else len(self.refs)

    def columnCount(self, parent: Index = QModelIndex()) -> int:  # noqa: B008
        return 0 if parent.isValid() else len(TITLES)

    def headerData(self, section: int, orientation: Qt.Orientation, role: int = Role.DisplayRole) -> Any:
        if orientation == Qt.Orientation.Horizontal and role == Role.DisplayRole:
            return TITLES[section]
        if orientation == Qt.Orientation.Horizontal and role == Role.TextAlignmentRole and section == SIZE:
            return Qt.AlignmentFlag.AlignRight | Qt.AlignmentFlag.AlignVCenter
        return None

    def data(self, index: Index, role: int = Role.DisplayRole) -> Any:
        ref = self.refs[index.row()]
        record = self._subject.snapshots.get(ref)
        if record is None:
            return None
        column = index.column()
        if role == Role.DisplayRole:
            return self._said(ref, record, column)
        if role == Role.DecorationRole and column == TYPE:
            return icons.icon(words.list_icon_of(record))
        if role == Role.ToolTipRole:
            return _hint(record, column)
        if role == Role.TextAlignmentRole and column == SIZE:
            return Qt.AlignmentFlag.AlignRight | Qt.AlignmentFlag.AlignVCenter
        return None

    def _said(self, ref: str, record: VM, column: int) -> str:
        card = self._subject.cards.get(ref)
        if column == AGE and card is not None and card.busy:
            return card.busy
        return {
            TYPE: lambda: words.type_of(record),
            NAME: lambda: record.name_label,
            CREATED: lambda: date_and_time(record.snapshot_time),
            AGE: lambda: age(record.snapshot_time),
            SIZE: lambda: size(self._subject.facts[ref].own),
            TAGS: lambda: ", ".join(sorted(record.tags)),
            DESCRIPTION: lambda: " ".join(record.name_description.split()),
        }[column]()


def _hint(record: VM, column: int) -> str | None:
    if column == CREATED:
        return exact(record.snapshot_time)
    if column == TYPE and words.is_scheduled(record):
        return f"{words.type_of(record)}, made by a schedule"
    if column == DESCRIPTION and "\n" in record.name_description:
        return text.tooltip(record.name_description)
    return None


def _runs(rows: list[int]) -> Iterator[tuple[int, int]]:
    """Ascending numbers as (first, last) of each run without gaps."""
    start = 0
    for place in range(1, len(rows) + 1):
        if place == len(rows) or rows[place] != rows[place - 1] + 1:
            yield rows[start], rows[place - 1]
            start = place
