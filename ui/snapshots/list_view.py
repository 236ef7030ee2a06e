"""The snapshots as a table: sorted, filtered, several chosen at once, copied as text."""

from __future__ import annotations

from PySide6.QtCore import QItemSelection, QItemSelectionModel, QPoint, Qt, Signal
from PySide6.QtGui import QContextMenuEvent, QKeyEvent
from PySide6.QtWidgets import QWidget

from ui.base.settings import Settings
from ui.models.table_model import TableModel
from ui.snapshots.chosen import Chosen
from ui.snapshots.list_rows import AGE, COLUMNS, CREATED, DEPTH, LOCKED, NAME, SHARED, SIZE, TAGS, TYPE, Row, rows
from ui.snapshots.subject import Subject
from ui.widgets.views import TableView

_WIDTHS = {TYPE: 152, NAME: 176, CREATED: 144, AGE: 104, SIZE: 76, SHARED: 76, DEPTH: 56, LOCKED: 84, TAGS: 64}
_FLAGS = QItemSelectionModel.SelectionFlag


class ListView(TableView):
    """The table of a subject's snapshots.

    :param chosen: shared with the graph; the table shows and changes it.
    """

    #: Enter or a double click on a snapshot
    activated_ref = Signal(str)
    #: a context menu is wanted here, in global coordinates, for what is chosen
    menu_requested = Signal(QPoint)

    def __init__(self, subject: Subject, chosen: Chosen, settings: Settings, parent: QWidget | None = None) -> None:
        super().__init__("Snapshots", "No snapshot matches.", parent)
        self._chosen = chosen
        self._following = False
        self._subject = subject
        self.rows: TableModel[Row] = TableModel(COLUMNS, self)
        self.setModel(self.rows)
        header = self.horizontalHeader()
        for column, width in _WIDTHS.items():
            header.resizeSection(column, width)
        header.setSortIndicator(CREATED, Qt.SortOrder.DescendingOrder)
        self.remember_columns(settings, "snapshots")
        self.setSortingEnabled(True)
        self.selectionModel().selectionChanged.connect(self._tell)
        self.doubleClicked.connect(lambda index: self.activated_ref.emit(self.rows.key(index) or ""))
        chosen.changed.connect(self.show_chosen)

    def follow(self, matching: frozenset[str] | None) -> None:
        """The subject or the filter changed. What is chosen stays chosen, wherever its row went."""
        self._following = True
        try:
            shown = [ref for ref in self._subject.shown if matching is None or ref in matching]
            self.rows.set_items(rows(self._subject, shown))
        finally:
            self._following = False
        self.show_chosen()
        self.viewport().update()  # ages

    def show_chosen(self) -> None:
        """Select the rows of what is chosen."""
        if self._following:
            return
        wanted = QItemSelection()
        for ref in self._chosen.refs:
            first = self.rows.index_of(ref)
            if first.isValid():
                wanted.select(first, first.siblingAtColumn(len(COLUMNS) - 1))
        self._following = True
        try:
            self.selectionModel().select(wanted, _FLAGS.ClearAndSelect)
            current = self.rows.index_of(self._chosen.current)
            if current.isValid():
                self.selectionModel().setCurrentIndex(current.siblingAtColumn(NAME), _FLAGS.NoUpdate)
        finally:
            self._following = False

    def reveal(self, ref: str) -> None:
        """Scroll to a snapshot's row."""
        place = self.rows.index_of(ref)
        if place.isValid():
            self.scrollTo(place.siblingAtColumn(NAME))

    def _tell(self) -> None:
        if self._following:
            return
        chosen = sorted(self.selectionModel().selectedRows(), key=lambda index: index.row())
        self._following = True
        try:
            self._chosen.choose([self.rows.key(index) or "" for index in chosen], self.rows.key(self.currentIndex()))
        finally:
            self._following = False

    def keyPressEvent(self, event: QKeyEvent) -> None:
        if event.key() in (Qt.Key.Key_Return, Qt.Key.Key_Enter) and len(self._chosen.refs) == 1:
            self.activated_ref.emit(self._chosen.refs[0])
        elif event.key() == Qt.Key.Key_Escape and self._chosen.refs:
            self._chosen.choose(())
        else:
            super().keyPressEvent(event)

    def contextMenuEvent(self, event: QContextMenuEvent) -> None:
        place = event.globalPos()
        if event.reason() == QContextMenuEvent.Reason.Keyboard:
            place = self.viewport().mapToGlobal(self.visualRect(self.currentIndex()).center())
        elif not self.indexAt(event.pos()).isValid():
            self._chosen.choose(())
        self.menu_requested.emit(place)
        event.accept()
