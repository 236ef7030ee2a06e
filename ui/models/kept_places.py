"""What is chosen, unfolded and scrolled to in a view, kept by key over a reset of its model."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from typing import Any

from PySide6.QtCore import QItemSelection, QItemSelectionModel, QModelIndex, QObject
from PySide6.QtWidgets import QAbstractItemView, QTreeView

from ui.models.table_model import Index

_Select = QItemSelectionModel.SelectionFlag


class KeptPlaces(QObject):
    """Restores a view's selection, current row, unfolded rows and scroll position after each reset.

    :param view: with its model set.
    :param key: the key of an index, None where it has none.
    :param index_of: the index of a key, an invalid one where it is gone.
    :param parents: for a tree: the keys of the rows that have children, from the top down.
    """

    def __init__(
        self,
        view: QAbstractItemView,
        key: Callable[[Index], Any],
        index_of: Callable[[Any], QModelIndex],
        parents: Callable[[], Iterable[Any]] = tuple,
    ) -> None:
        super().__init__(view)
        self._view, self._key, self._index_of, self._parents = view, key, index_of, parents
        self._selected: list[Any] = []
        self._current: Any = None
        self._unfolded: list[Any] = []
        self._scrolled = 0
        view.model().modelAboutToBeReset.connect(self._keep)
        view.model().modelReset.connect(self._restore)

    def _keep(self) -> None:
        view = self._view
        self._selected = [self._key(index) for index in view.selectionModel().selectedRows()]
        self._current = self._key(view.currentIndex())
        self._scrolled = view.verticalScrollBar().value()
        if isinstance(view, QTreeView):
            self._unfolded = [key for key in self._parents() if view.isExpanded(self._index_of(key))]

    def _restore(self) -> None:
        view = self._view
        if isinstance(view, QTreeView):
            for key in self._unfolded:
                view.expand(self._index_of(key))
        chosen = QItemSelection()
        for key in self._selected:
            index = self._index_of(key)
            if index.isValid():
                chosen.select(index, index)
        view.selectionModel().select(chosen, _Select.ClearAndSelect | _Select.Rows)
        current = self._index_of(self._current)
        if current.isValid():
            follows = view.hasAutoScroll()
            view.setAutoScroll(False)  # else what it stands in would be unfolded
            view.selectionModel().setCurrentIndex(current, _Select.NoUpdate)
            view.setAutoScroll(follows)
        view.verticalScrollBar().setValue(self._scrolled)
