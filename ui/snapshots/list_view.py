"""The snapshots as a table: sorted, filtered, several chosen at once, copied as text."""

from __future__ import annotations

from PySide6.QtCore import QItemSelection, QItemSelectionModel, QPoint, Qt, Signal
from PySide6.QtGui import QContextMenuEvent, QKeyEvent
from PySide6.QtWidgets import QWidget

from ui.base.settings import Settings
from ui.snapshots.chosen import Chosen
from ui.snapshots.list_model import AGE, CREATED, NAME, SIZE, TAGS, TITLES, TYPE, ListModel
from ui.snapshots.subject import Subject
from ui.widgets.views import TableView

_WIDTHS = {TYPE: 150, NAME: 200, CREATED: 156, AGE: 112, SIZE: 86, TAGS: 80}
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
        self.rows = ListModel(subject, self)
        self.setModel(self.rows)
        header = self.horizontalHeader()
        for column, width in _WIDTHS.items():
            header.resizeSection(column, width)
        header.setSortIndicator(CREATED, Qt.SortOrder.DescendingOrder)
        self.remember_columns(settings, "snapshots")
        self.setSortingEnabled(True)
        self.selectionModel().selectionChanged.connect(self._tell)
        self.doubleClicked.connect(lambda index: self.activated_ref.emit(self.rows.refs[index.row()]))
        chosen.changed.connect(self.show_chosen)

    def follow(self, matching: frozenset[str] | None) -> None:
        """The subject or the filter changed. What is chosen stays chosen, wherever its row went."""
        self._following = True
        try:
            self.rows.set_matching(matching)
        finally:
            self._following = False
        self.show_chosen()

    def show_chosen(self) -> None:
        """Select the rows of what is chosen."""
        if self._following:
            return
        wanted = QItemSelection()
        for ref in self._chosen.refs:
            row = self.rows.row_of(ref)
            if row >= 0:
                wanted.select(self.rows.index(row, 0), self.rows.index(row, len(TITLES) - 1))
        self._following = True
        try:
            self.selectionModel().select(wanted, _FLAGS.ClearAndSelect)
            current = self.rows.row_of(self._chosen.current)
            if current >= 0:
                self.selectionModel().setCurrentIndex(self.rows.index(current, NAME), _FLAGS.NoUpdate)
        finally:
            self._following = False

    def reveal(self, ref: str) -> None:
        """Scroll to a snapshot's row."""
        row = self.rows.row_of(ref)
        if row >= 0:
            self.scrollTo(self.rows.index(row, NAME))

    def _tell(self) -> None:
        if self._following:
            return
        rows = sorted({index.row() for index in self.selectionModel().selectedRows()})
        here = self.currentIndex().row()
        current = self.rows.refs[here] if 0 <= here < len(self.rows.refs) else None
        self._following = True
        try:
            self._chosen.choose([self.rows.refs[row] for row in rows], current)
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
