"""A table of records: columns are functions of a row's item, rows are sorted and filtered in Python.

The model is told what its items are now, or which of them changed; it works out the row operations itself, so the
views keep selection and scroll position. Items are immutable and compared to find what changed.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any, Final, Generic, TypeVar

from PySide6.QtCore import QAbstractTableModel, QModelIndex, QObject, QPersistentModelIndex, Qt
from PySide6.QtGui import QColor

from ui.base import icons, text, theme
from ui.models.natural_order import Reversed, natural_key
from ui.models.sorted_rows import MOST_RUNS, SortedRows

T = TypeVar("T")
Index = QModelIndex | QPersistentModelIndex
Role = Qt.ItemDataRole
NOWHERE: Final = QModelIndex()

KEY_ROLE: Final = Role.UserRole.value + 1
"""The key of a row: a reference, or whatever the items were given under."""

_RIGHT: Final = Qt.AlignmentFlag.AlignRight | Qt.AlignmentFlag.AlignVCenter
_LEFT: Final = Qt.AlignmentFlag.AlignLeft | Qt.AlignmentFlag.AlignVCenter


@dataclass(frozen=True, kw_only=True)
class Column(Generic[T]):
    """One column: what it shows of an item, and how it is sorted (by default as its text, naturally).

    ``icon`` names an icon, "" for none; ``tone`` names a colour for the words; ``roles`` answers further roles, for a
    delegate. ``text`` is what is copied and what a screen reader says.
    """

    title: str
    text: Callable[[T], str]
    order: Callable[[T], Any] | None = None
    icon: Callable[[T], str] | None = None
    tone: Callable[[T], str] | None = None
    tooltip: Callable[[T], str] | None = None
    right: bool = False
    roles: Mapping[int, Callable[[T], Any]] = field(default_factory=dict)

    def sort_key(self, item: T) -> Any:
        """What the item is sorted by in this column."""
        return natural_key(self.text(item)) if self.order is None else self.order(item)


class TableModel(QAbstractTableModel, Generic[T]):
    """The items of a table by key (a string), sorted by one column."""

    def __init__(self, columns: Iterable[Column[T]], parent: QObject | None = None) -> None:
        super().__init__(parent)
        self.columns = tuple(columns)
        self._items: dict[str, T] = {}
        self._rows: SortedRows[str] = SortedRows()
        self._accepts: Callable[[T], bool] = lambda _item: True
        self._column = 0
        self._descending = False

    # ---- what it holds ----------------------------------------------------------------------------------------

    @property
    def items(self) -> Mapping[str, T]:
        """All items by key, the filtered ones too."""
        return self._items

    def shown_keys(self) -> list[str]:
        """The keys in the order shown."""
        return list(self._rows)

    def item(self, row: int) -> T:
        """The item of a row."""
        return self._items[self._rows.keys[row]]

    def key(self, index: Index) -> str | None:
        """The key of a row; None for an index that is no longer one."""
        return self._rows.keys[index.row()] if index.isValid() and index.row() < len(self._rows) else None

    def index_of(self, key: str) -> QModelIndex:
        """Where a key is shown; an invalid index where it is not."""
        return self.index(self._rows.row(key), 0) if key in self._rows else QModelIndex()

    # ---- changes ----------------------------------------------------------------------------------------------

    def set_items(self, items: Mapping[str, T]) -> None:
        """Hold exactly these items."""
        self.update(
            {k: i for k, i in items.items() if self._items.get(k) != i}, [k for k in self._items if k not in items]
        )

    def update(self, changed: Mapping[str, T], removed: Iterable[str] = ()) -> None:
        """Take in items that came or changed, and forget others."""
        gone = {key for key in removed if key in self._items and key not in changed}
        if not changed and not gone:
            return
        hidden = {key for key, item in changed.items() if key in self._rows and not self._accepts(item)}
        orders = {key: self._order(key, item) for key, item in changed.items() if self._accepts(item)}
        if self._rows.runs(gone | hidden, orders) > MOST_RUNS:
            self._reset(changed, gone)
            return
        self._rows.apply(gone | hidden, {k: o for k, o in orders.items() if k in self._rows}, self)
        known = [key for key in orders if key in self._rows]
        self._items.update(changed)
        for key in gone:
            del self._items[key]
        for key in known:
            row = self._rows.row(key)
            self.dataChanged.emit(self.index(row, 0), self.index(row, len(self.columns) - 1))
        self._rows.apply((), {k: o for k, o in orders.items() if k not in self._rows}, self)

    def set_filter(self, accepts: Callable[[T], bool] | None) -> None:
        """Show only the items this is true of; None shows all."""
        self._accepts = accepts or (lambda _item: True)
        wanted = {key for key, item in self._items.items() if self._accepts(item)}
        gone = [key for key in self._rows if key not in wanted]
        orders = {key: self._order(key, self._items[key]) for key in wanted if key not in self._rows}
        if self._rows.runs(gone, orders) > MOST_RUNS:
            self._reset({}, set())
        else:
            self._rows.apply(gone, orders, self)

    def sort(self, column: int, order: Qt.SortOrder = Qt.SortOrder.AscendingOrder) -> None:
        if not 0 <= column < len(self.columns):
            return
        self.layoutAboutToBeChanged.emit()
        before = self.persistentIndexList()
        keys = [self.key(index) for index in before]
        self._column, self._descending = column, order == Qt.SortOrder.DescendingOrder
        self._rows.set_all({key: self._order(key, self._items[key]) for key in self._rows})
        after = [
            QModelIndex() if key is None else self.index(self._rows.row(key), index.column())
            for key, index in zip(keys, before, strict=True)
        ]
        self.changePersistentIndexList(before, after)
        self.layoutChanged.emit()

    def _reset(self, changed: Mapping[str, T], gone: set[str]) -> None:
        self.beginResetModel()
        self._items.update(changed)
        for key in gone:
            del self._items[key]
        self._rows.set_all({key: self._order(key, item) for key, item in self._items.items() if self._accepts(item)})
        self.endResetModel()

    def _order(self, key: str, item: T) -> Any:
        order = self.columns[self._column].sort_key(item)
        # rows that are equal in this column stay in the order of the first one, whichever way it is sorted
        return (Reversed(order) if self._descending else order, self.columns[0].sort_key(item), key)

    # ---- row operations ---------------------------------------------------------------------------------------

    def removing(self, first: int, last: int) -> None:
        self.beginRemoveRows(NOWHERE, first, last)

    def removed(self) -> None:
        self.endRemoveRows()

    def moving(self, row: int, before: int) -> None:
        self.beginMoveRows(NOWHERE, row, row, NOWHERE, before)

    def moved(self) -> None:
        self.endMoveRows()

    def inserting(self, first: int, last: int) -> None:
        self.beginInsertRows(NOWHERE, first, last)

    def inserted(self) -> None:
        self.endInsertRows()

    # ---- what Qt asks -----------------------------------------------------------------------------------------

    def rowCount(self, parent: Index = NOWHERE) -> int:
        return 0 if parent.isValid() else len(self._rows)

    def columnCount(self, parent: Index = NOWHERE) -> int:
        return 0 if parent.isValid() else len(self.columns)

    def headerData(self, section: int, orientation: Qt.Orientation, role: int = Role.DisplayRole) -> Any:
        if orientation != Qt.Orientation.Horizontal or not 0 <= section < len(self.columns):
            return None
        if role == Role.DisplayRole:
            return self.columns[section].title
        if role == Role.TextAlignmentRole:
            return _RIGHT if self.columns[section].right else _LEFT
        return None

    def data(self, index: Index, role: int = Role.DisplayRole) -> Any:
        key = self.key(index)
        item = None if key is None else self._items.get(key)
        if item is None or not 0 <= index.column() < len(self.columns):
            return None
        return key if role == KEY_ROLE else _shown(self.columns[index.column()], item, role)


def _shown(column: Column[T], item: T, role: int) -> Any:
    if role == Role.DisplayRole:
        return column.text(item)
    if role == Role.TextAlignmentRole:
        return _RIGHT if column.right else _LEFT
    if role == Role.DecorationRole and column.icon is not None:
        name = column.icon(item)
        return icons.icon(name) if name else None
    if role == Role.ForegroundRole and column.tone is not None:
        tone = column.tone(item)
        return QColor(theme.current().named()[tone]) if tone else None
    if role == Role.ToolTipRole and column.tooltip is not None:
        return text.tooltip(column.tooltip(item))
    further = column.roles.get(role)
    return None if further is None else further(item)
