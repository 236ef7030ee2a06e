"""The pool tree as a Qt model: rows by (class, reference), changed by deltas in as few row operations as it takes."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from itertools import count
from typing import Any, Final

from PySide6.QtCore import QAbstractItemModel, QModelIndex, QObject, QPersistentModelIndex, Qt, Signal

from app.client import Delta, ObjectCache
from ui.base import icons, text
from ui.models.sorted_rows import MOST_RUNS, SortedRows
from ui.navigation.placement import BUILT_IN, ORPHANS, Key, Row, affected, keys, row_of

Index = QModelIndex | QPersistentModelIndex
Role = Qt.ItemDataRole
NOWHERE: Final = QModelIndex()

KEY_ROLE: Final = Role.UserRole.value + 1
SECONDARY_ROLE: Final = Role.UserRole.value + 2
"""Quiet words at the right: a host's accelerator, free space."""

_HOLDERS: Final = ("pool", "host")  # the classes whose objects hold others

# put together once: a view asks for each row's, again and again
_FIXED_FLAGS: Final = Qt.ItemFlag.ItemIsEnabled | Qt.ItemFlag.ItemIsSelectable | Qt.ItemFlag.ItemNeverHasChildren
_LEAF_FLAGS: Final = _FIXED_FLAGS | Qt.ItemFlag.ItemIsEditable
_HOLDER_FLAGS: Final = Qt.ItemFlag.ItemIsEnabled | Qt.ItemFlag.ItemIsSelectable | Qt.ItemFlag.ItemIsEditable


class PoolTreeModel(QAbstractItemModel):
    """Pool, hosts, VMs, storage and templates. Call :meth:`apply` with each delta of the cache."""

    #: a name was typed over another: the key and the new name
    renamed = Signal(object, str)

    def __init__(self, cache: ObjectCache, *, default_templates: bool = False, parent: QObject | None = None) -> None:
        super().__init__(parent)
        self._cache = cache
        self._default_templates = default_templates
        self._words: list[str] = []
        self._all: dict[Key, Row] = {}
        self._rows: dict[Key, Row] = {}
        self._below: dict[Key | None, SortedRows[Key]] = {}
        self._ids: dict[Key, int] = {}
        self._keys: dict[int, Key] = {}
        self._numbers = count(1)
        self.rebuild()

    # ---- what it holds ----------------------------------------------------------------------------------------

    def row(self, key: Key) -> Row | None:
        """The row of an object that stands in the tree, shown or filtered out."""
        return self._all.get(key)

    def key(self, index: Index) -> Key | None:
        """The object of an index; None where it has none."""
        return self._keys.get(index.internalId()) if index.isValid() else None

    def index_of(self, key: Key | None) -> QModelIndex:
        """Where an object is shown; an invalid index where it is not."""
        if key is None or key not in self._rows:
            return QModelIndex()
        return self.createIndex(self._below[self._rows[key].parent].row(key), 0, self._ids[key])

    def outline(self) -> list[tuple[int, Key]]:
        """Every row shown with its depth, from top to bottom."""

        def below(parent: Key | None, depth: int) -> list[tuple[int, Key]]:
            found: list[tuple[int, Key]] = []
            for key in self._below.get(parent, ()):
                found += [(depth, key), *below(key, depth + 1)]
            return found

        return below(None, 0)

    def parents(self) -> list[Key]:
        """The objects that hold others now, from the top down."""
        return sorted((key for key in self._below if key is not None and self._below[key].keys), key=_depth)

    @property
    def is_filtered(self) -> bool:
        """Whether only what was searched for is shown."""
        return bool(self._words)

    # ---- changes ----------------------------------------------------------------------------------------------

    def rebuild(self) -> None:
        """Take everything from the cache anew."""
        self.beginResetModel()
        found = (row_of(self._cache, key, default_templates=self._default_templates) for key in keys(self._cache))
        self._all = {row.key: row for row in found if row is not None}
        self._show_all()
        self.endResetModel()

    def set_default_templates(self, shown: bool) -> None:
        """Whether the templates that come with the product are in the tree."""
        if shown != self._default_templates:
            self._default_templates = shown
            self.rebuild()

    def set_filter(self, words: str) -> None:
        """Show what has one of these words in its name or description, and what it stands under; "" shows all."""
        self.beginResetModel()
        self._words = words.casefold().split()
        self._show_all()
        self.endResetModel()

    def apply(self, delta: Delta) -> None:
        """Follow the cache."""
        touched = affected(self._cache, delta)
        if touched is None:
            touched = {*self._all, *keys(self._cache)}
        changed: dict[Key, Row] = {}
        removed: set[Key] = set()
        for key in touched:
            row = row_of(self._cache, key, default_templates=self._default_templates)
            if row is None and key in self._all:
                removed.add(key)
            elif row is not None and row != self._all.get(key):
                changed[key] = row
        if not changed and not removed:
            return
        if self._needs_reset(changed, removed):
            self.beginResetModel()
            self._take_in(changed, removed)
            self._show_all()
            self.endResetModel()
        else:
            self._change(changed, removed)

    def _needs_reset(self, changed: Mapping[Key, Row], removed: set[Key]) -> bool:
        """Whether there would be many row operations, or some that change what holds others."""
        structural = [key for key, row in changed.items() if self._is_structural(key, row)]
        if self._words:
            return bool(structural or removed) or any(
                row.found_by(self._words) != self._all[key].found_by(self._words) for key, row in changed.items()
            )
        if any(cls in _HOLDERS for cls, _ in (*structural, *removed)):
            return True
        planned = self._by_parent({key: changed[key] for key in structural}, removed)
        return sum(self._rows_below(p).runs(gone, orders) for p, (gone, orders) in planned.items()) > MOST_RUNS

    def _is_structural(self, key: Key, row: Row) -> bool:
        before = self._all.get(key)
        return before is None or (before.parent, before.order) != (row.parent, row.order)

    def _change(self, changed: Mapping[Key, Row], removed: set[Key]) -> None:
        before = {key: self._all[key] for key in changed if key in self._all}
        self._take_in(changed, removed)
        for key, old in before.items():
            if old.parent != changed[key].parent:
                self._move_home(key, old.parent, changed[key])
        for parent, (gone, orders) in self._by_parent(
            {k: r for k, r in changed.items() if k in before}, removed
        ).items():
            self._rows_below(parent).apply(gone, orders, _Signals(self, parent))
        self._forget(removed)
        for key in before:
            if key in self._rows:
                self._rows[key] = changed[key]
                index = self.index_of(key)
                self.dataChanged.emit(index, index)
        self._add({key: row for key, row in changed.items() if key not in before})

    def _add(self, added: Mapping[Key, Row]) -> None:
        for key, row in added.items():
            self._rows[key] = row
            self._number(key)
        for parent, (_, orders) in self._by_parent(added, set()).items():
            self._rows_below(parent).apply((), orders, _Signals(self, parent))

    def _move_home(self, key: Key, old: Key | None, row: Row) -> None:
        """A VM that starts on another host moves below it, and stays chosen."""
        source, target = self._rows_below(old), self._rows_below(row.parent)
        at = source.row(key)
        self.beginMoveRows(self.index_of(old), at, at, self.index_of(row.parent), target.place(row.order))
        source.drop(key)
        target.add(key, row.order)
        self._rows[key] = row
        self.endMoveRows()

    def _by_parent(
        self, changed: Mapping[Key, Row], removed: Iterable[Key]
    ) -> dict[Key | None, tuple[list[Key], dict[Key, Any]]]:
        """What goes from below each parent, and the orders of what comes or stays there."""
        found: dict[Key | None, tuple[list[Key], dict[Key, Any]]] = {}
        for key in removed:
            if key in self._rows:
                found.setdefault(self._rows[key].parent, ([], {}))[0].append(key)
        for key, row in changed.items():
            if not self._words or key in self._rows:
                found.setdefault(row.parent, ([], {}))[1][key] = row.order
        return found

    def _rows_below(self, parent: Key | None) -> SortedRows[Key]:
        return self._below.setdefault(parent, SortedRows())

    def _take_in(self, changed: Mapping[Key, Row], removed: Iterable[Key]) -> None:
        self._all.update(changed)
        for key in removed:
            del self._all[key]

    def _forget(self, gone: Iterable[Key]) -> None:
        for key in gone:
            self._rows.pop(key, None)
            if key in self._ids:
                del self._keys[self._ids.pop(key)]

    def _show_all(self) -> None:
        """Show everything there is, or everything that is searched for and what that stands under."""
        self._rows = self._found() if self._words else dict(self._all)
        orders: dict[Key | None, dict[Key, Any]] = {}
        for key, row in self._rows.items():
            orders.setdefault(row.parent, {})[key] = row.order
            self._number(key)
        self._below = {}
        for parent, below in orders.items():
            self._rows_below(parent).set_all(below)
        self._forget([key for key in self._ids if key not in self._rows])

    def _found(self) -> dict[Key, Row]:
        found: dict[Key, Row] = {}
        for row in self._all.values():
            at: Row | None = row if row.found_by(self._words) else None
            while at is not None and at.key not in found:
                found[at.key] = at
                at = self._all.get(at.parent) if at.parent is not None else None
        return found

    def _number(self, key: Key) -> None:
        """Give a row the number that Qt knows it by; none is given twice."""
        if key not in self._ids:
            self._ids[key] = next(self._numbers)
            self._keys[self._ids[key]] = key

    # ---- what Qt asks -----------------------------------------------------------------------------------------

    def index(self, row: int, column: int, parent: Index = NOWHERE) -> QModelIndex:
        above: Key | None = None
        if parent.isValid():
            above = self._keys.get(parent.internalId())
            if above is None:
                return QModelIndex()
        rows = self._below.get(above)
        if rows is None or column != 0 or not 0 <= row < len(rows.keys):
            return QModelIndex()
        return self.createIndex(row, 0, self._ids[rows.keys[row]])

    def parent(self, index: Index) -> QModelIndex:  # type: ignore[override]
        key = self.key(index)
        row = None if key is None else self._rows.get(key)
        return QModelIndex() if row is None else self.index_of(row.parent)

    def hasChildren(self, parent: Index = NOWHERE) -> bool:
        return self.rowCount(parent) > 0

    def rowCount(self, parent: Index = NOWHERE) -> int:
        above: Key | None = None
        if parent.isValid():
            above = self._keys.get(parent.internalId())
            if above is None:
                return 0
        rows = self._below.get(above)
        return 0 if rows is None else len(rows.keys)

    def columnCount(self, parent: Index = NOWHERE) -> int:
        return 1

    def flags(self, index: Index) -> Qt.ItemFlag:
        key = self.key(index)
        row = None if key is None else self._rows.get(key)
        if row is None:
            return Qt.ItemFlag.NoItemFlags
        if row.key[0] in _HOLDERS:
            return _HOLDER_FLAGS
        return _FIXED_FLAGS if row.what == BUILT_IN or row.key == ORPHANS else _LEAF_FLAGS

    def data(self, index: Index, role: int = Role.DisplayRole) -> Any:
        key = self.key(index)
        row = None if key is None else self._rows.get(key)
        return None if row is None else _shown(row, role)

    def setData(self, index: Index, value: Any, role: int = Role.EditRole) -> bool:
        """Ask for another name; the row shows it when the engine says so."""
        key, name = self.key(index), str(value).strip()
        if key is None or role != Role.EditRole or not name or name == self._rows[key].name:
            return False
        self.renamed.emit(key, name)
        return True


def _depth(key: Key) -> tuple[int, str]:
    return (_HOLDERS.index(key[0]), key[1])


def _shown(row: Row, role: int) -> Any:
    if role in (Role.DisplayRole, Role.EditRole):
        return row.name
    if role == Role.DecorationRole:
        return icons.icon(row.icon)
    if role == Role.ToolTipRole:
        return text.tooltip("\n".join(filter(None, (row.name, row.what, row.description))))
    if role == Role.AccessibleTextRole:
        return ", ".join(filter(None, (row.name, row.what, row.secondary)))
    if role == KEY_ROLE:
        return row.key
    return row.secondary if role == SECONDARY_ROLE else None


class _Signals:
    """Tells views about the rows below one parent."""

    def __init__(self, model: PoolTreeModel, parent: Key | None) -> None:
        self._model, self._parent = model, parent

    def removing(self, first: int, last: int) -> None:
        self._model.beginRemoveRows(self._model.index_of(self._parent), first, last)

    def removed(self) -> None:
        self._model.endRemoveRows()

    def moving(self, row: int, before: int) -> None:
        parent = self._model.index_of(self._parent)
        self._model.beginMoveRows(parent, row, row, parent, before)

    def moved(self) -> None:
        self._model.endMoveRows()

    def inserting(self, first: int, last: int) -> None:
        self._model.beginInsertRows(self._model.index_of(self._parent), first, last)

    def inserted(self) -> None:
        self._model.endInsertRows()
