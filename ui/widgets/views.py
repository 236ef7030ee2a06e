"""Tables and trees as the whole application shows them.

Rows are whole: a rounded plane for what is chosen, a lighter one for what is pointed at, an accent ring for the row the
keyboard is on. Tables say a sentence while they are empty, copy as text, and let their columns be chosen.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, Protocol

from PySide6.QtCore import (
    QAbstractItemModel,
    QEvent,
    QItemSelectionModel,
    QModelIndex,
    QPersistentModelIndex,
    QPoint,
    QRect,
    QRectF,
    Qt,
    QTimer,
)
from PySide6.QtGui import (
    QColor,
    QGuiApplication,
    QHelpEvent,
    QKeyEvent,
    QKeySequence,
    QMouseEvent,
    QPainter,
    QPaintEvent,
    QPen,
)
from PySide6.QtWidgets import (
    QAbstractItemView,
    QHeaderView,
    QMenu,
    QStyleOptionViewItem,
    QTableView,
    QToolTip,
    QTreeView,
    QWidget,
)

from ui.base import fonts, text, theme
from ui.models.kept_places import KeptPlaces
from ui.models.table_model import TableModel

ROW = 28
TREE_ROW = 24
_INSET = 4
Index = QModelIndex | QPersistentModelIndex


class ColumnStore(Protocol):
    """What remembers columns: ``ui.base.settings.Settings``."""

    def save_columns(self, name: str, header: QHeaderView) -> None: ...
    def restore_columns(self, name: str, header: QHeaderView) -> bool: ...


def _paint_row(painter: QPainter, row: QRect, *, chosen: bool, pointed: bool, ringed: bool) -> None:
    if not (chosen or pointed or ringed):
        return
    colours = theme.current()
    painter.save()
    painter.setRenderHint(QPainter.RenderHint.Antialiasing)
    painter.setPen(QPen(QColor(colours.accent), 2) if ringed else Qt.PenStyle.NoPen)
    painter.setBrush(
        QColor(colours.selection if chosen else colours.hover) if chosen or pointed else Qt.GlobalColor.transparent
    )
    inset = 1.0 if ringed else 0.0
    plane = QRectF(row).adjusted(_INSET + inset, inset, -_INSET - inset, -inset)
    painter.drawRoundedRect(plane, 4, 4)
    painter.restore()


def _tell_whole(view: QAbstractItemView, event: QHelpEvent) -> bool:
    """Show the whole of a cell that does not fit as its tooltip. False: it fits, or has a tooltip of its own."""
    index = view.indexAt(event.pos())
    if not index.isValid() or index.data(Qt.ItemDataRole.ToolTipRole):
        return False
    option = QStyleOptionViewItem()
    view.initViewItemOption(option)
    needed = view.itemDelegateForIndex(index).sizeHint(option, index).width()
    if needed <= view.visualRect(index).width():
        return False
    QToolTip.showText(event.globalPos(), text.tooltip(str(index.data() or "")), view)
    return True


class _Ring:
    """Whether the keyboard or the mouse was used last: only the keyboard needs to see where it is."""

    by_keyboard = False


def _selected_text(view: QAbstractItemView, columns: list[int]) -> str:
    """The chosen rows, in the order shown, as tab-separated lines; with a line of titles if there are several."""
    model = view.model()
    rows = sorted(view.selectionModel().selectedRows(columns[0]), key=lambda index: view.visualRect(index).top())
    lines = [
        "\t".join(str(index.siblingAtColumn(c).data(Qt.ItemDataRole.DisplayRole) or "") for c in columns)
        for index in rows
    ]
    if len(lines) > 1:
        titles = [str(model.headerData(c, Qt.Orientation.Horizontal) or "") for c in columns]
        lines.insert(0, "\t".join(titles))
    return "\n".join(lines)


class TableView(QTableView):
    """A table of rows.

    :param empty: the sentence shown while there are no rows.
    :param name: for a screen reader.
    """

    def __init__(self, name: str, empty: str = "", parent: QWidget | None = None) -> None:
        super().__init__(parent)
        self._empty = empty
        self._pointed = -1
        self._ring = _Ring()
        self.setAccessibleName(name)
        self.setFont(fonts.font(tabular=True))
        self.setProperty("rounded", True)
        self.setShowGrid(False)
        self.setWordWrap(False)
        self.setMouseTracking(True)
        self.setSelectionBehavior(QAbstractItemView.SelectionBehavior.SelectRows)
        self.setSelectionMode(QAbstractItemView.SelectionMode.ExtendedSelection)
        self.setEditTriggers(QAbstractItemView.EditTrigger.NoEditTriggers)
        self.setVerticalScrollMode(QAbstractItemView.ScrollMode.ScrollPerPixel)
        self.setHorizontalScrollMode(QAbstractItemView.ScrollMode.ScrollPerPixel)
        self.setTabKeyNavigation(False)
        self.setCornerButtonEnabled(False)
        self.verticalHeader().hide()
        self.verticalHeader().setMinimumSectionSize(round(ROW * fonts.scale()))
        self.verticalHeader().setDefaultSectionSize(round(ROW * fonts.scale()))
        self.verticalHeader().setSectionResizeMode(QHeaderView.ResizeMode.Fixed)
        _set_up_header(self.horizontalHeader())

    def selectRow(self, row: int) -> None:
        """Choose one row alone. Qt's own way looks at the keyboard: whoever holds Ctrl just now does not mean this."""
        how = QItemSelectionModel.SelectionFlag.ClearAndSelect | QItemSelectionModel.SelectionFlag.Rows
        self.selectionModel().setCurrentIndex(self.model().index(row, 0), how)

    def empty_text(self) -> str:
        """What is said while there are no rows."""
        return self._empty

    def set_empty_text(self, sentence: str) -> None:
        """What to say while there are no rows."""
        self._empty = sentence
        self.viewport().update()

    def show_rows(
        self,
        model: TableModel[Any],
        widths: Sequence[int],
        sort: tuple[int, Qt.SortOrder] = (0, Qt.SortOrder.AscendingOrder),
        remember: tuple[ColumnStore, str] | None = None,
    ) -> None:
        """Show a model's rows; what is chosen stays so when they change.

        :param widths: of the columns; the one of width 0 takes what is left.
        :param sort: the column that they are sorted by at first, and which way.
        :param remember: where the person's own columns are remembered, and as what.
        """
        self.setModel(model)
        KeptPlaces(self, model.key, model.index_of)
        self.setSortingEnabled(True)
        self.sortByColumn(*sort)
        header = self.horizontalHeader()
        header.setStretchLastSection(False)
        for column, width in enumerate(widths):
            self.setColumnWidth(column, width)
        if remember is not None:
            self.remember_columns(*remember)
        header.setSectionResizeMode(list(widths).index(0), QHeaderView.ResizeMode.Stretch)

    def remember_columns(self, store: ColumnStore, name: str) -> None:
        """Restore the columns remembered as ``name``, and remember every change from now on. Needs the model set."""
        _remember(self.horizontalHeader(), store, name)

    def selected_text(self) -> str:
        """What Ctrl+C copies."""
        header = self.horizontalHeader()
        order = sorted(range(header.count()), key=header.visualIndex)
        shown = [column for column in order if not header.isSectionHidden(column)]
        return _selected_text(self, shown) if shown else ""

    def viewportEvent(self, event: QEvent) -> bool:
        if isinstance(event, QHelpEvent) and event.type() == QEvent.Type.ToolTip and _tell_whole(self, event):
            return True
        return super().viewportEvent(event)

    def keyPressEvent(self, event: QKeyEvent) -> None:
        if event.matches(QKeySequence.StandardKey.Copy):
            QGuiApplication.clipboard().setText(self.selected_text())
            return
        self._ring.by_keyboard = True
        super().keyPressEvent(event)

    def mousePressEvent(self, event: QMouseEvent) -> None:
        self._ring.by_keyboard = False
        super().mousePressEvent(event)

    def mouseMoveEvent(self, event: QMouseEvent) -> None:
        super().mouseMoveEvent(event)
        self._point_at(self.rowAt(int(event.position().y())))

    def leaveEvent(self, event: QEvent) -> None:
        super().leaveEvent(event)
        self._point_at(-1)

    def _point_at(self, row: int) -> None:
        if row != self._pointed:
            self._pointed = row
            self.viewport().update()

    def paintEvent(self, event: QPaintEvent) -> None:
        painter = QPainter(self.viewport())
        if self.model() is None or self.model().rowCount(self.rootIndex()) == 0:
            _paint_empty(painter, self.viewport(), self._empty)
        else:
            self._paint_rows(painter)
        painter.end()
        super().paintEvent(event)

    def _paint_rows(self, painter: QPainter) -> None:
        last = self.rowAt(self.viewport().height() - 1)
        count = self.model().rowCount(self.rootIndex())
        chosen = self.selectionModel()
        here = self.currentIndex().row() if self.hasFocus() and self._ring.by_keyboard else -1
        for row in range(max(0, self.rowAt(0)), last + 1 if last >= 0 else count):
            place = QRect(0, self.rowViewportPosition(row), self.viewport().width(), self.rowHeight(row))
            _paint_row(
                painter,
                place,
                chosen=chosen.isRowSelected(row, self.rootIndex()),
                pointed=row == self._pointed,
                ringed=row == here,
            )


class TreeView(QTreeView):
    """A tree of rows, without a header unless it is given columns.

    :param name: for a screen reader.
    """

    def __init__(self, name: str, parent: QWidget | None = None) -> None:
        super().__init__(parent)
        self._ring = _Ring()
        self.setAccessibleName(name)
        self.setFont(fonts.font(tabular=True))
        self.setProperty("rounded", True)
        self.setHeaderHidden(True)
        self.setUniformRowHeights(True)
        self.setIndentation(18)
        self.setMouseTracking(True)
        self.setAnimated(False)
        self.setSelectionMode(QAbstractItemView.SelectionMode.ExtendedSelection)
        self.setEditTriggers(QAbstractItemView.EditTrigger.NoEditTriggers)
        self.setVerticalScrollMode(QAbstractItemView.ScrollMode.ScrollPerPixel)
        self.setAllColumnsShowFocus(True)
        self.setExpandsOnDoubleClick(False)

    def viewportEvent(self, event: QEvent) -> bool:
        if isinstance(event, QHelpEvent) and event.type() == QEvent.Type.ToolTip and _tell_whole(self, event):
            return True
        return super().viewportEvent(event)

    def keyPressEvent(self, event: QKeyEvent) -> None:
        self._ring.by_keyboard = True
        super().keyPressEvent(event)

    def mousePressEvent(self, event: QMouseEvent) -> None:
        self._ring.by_keyboard = False
        super().mousePressEvent(event)

    def mouseMoveEvent(self, event: QMouseEvent) -> None:
        super().mouseMoveEvent(event)
        self.viewport().update()

    def leaveEvent(self, event: QEvent) -> None:
        super().leaveEvent(event)
        self.viewport().update()

    def drawRow(self, painter: QPainter, option: QStyleOptionViewItem, index: Index) -> None:
        place = QRect(option.rect)
        place.setLeft(0)
        place.setRight(self.viewport().width() - 1)
        pointer = self.viewport().mapFromGlobal(self.cursor().pos()) if self.viewport().underMouse() else QPoint(-1, -1)
        _paint_row(
            painter,
            place,
            chosen=self.selectionModel().isSelected(index),
            pointed=place.contains(pointer),
            ringed=self.hasFocus() and self._ring.by_keyboard and index == self.currentIndex(),
        )
        super().drawRow(painter, option, index)


def _paint_empty(painter: QPainter, viewport: QWidget, sentence: str) -> None:
    painter.setPen(QColor(theme.current().secondary))
    painter.setFont(fonts.font())
    place = viewport.rect().adjusted(24, 16, -24, -16)
    painter.drawText(place, Qt.AlignmentFlag.AlignCenter | Qt.TextFlag.TextWordWrap, sentence)


def _set_up_header(header: QHeaderView) -> None:
    header.setHighlightSections(False)
    header.setSectionsMovable(True)
    header.setDefaultAlignment(Qt.AlignmentFlag.AlignLeft | Qt.AlignmentFlag.AlignVCenter)
    header.setMinimumSectionSize(40)
    header.setStretchLastSection(True)
    header.setContextMenuPolicy(Qt.ContextMenuPolicy.CustomContextMenu)
    header.customContextMenuRequested.connect(lambda place: column_menu(header).popup(header.mapToGlobal(place)))


def column_menu(header: QHeaderView) -> QMenu:
    """A menu that shows and hides columns. The last one that is shown cannot be hidden."""
    menu = QMenu(header)
    menu.setAttribute(Qt.WidgetAttribute.WA_DeleteOnClose)
    shown = header.count() - header.hiddenSectionCount()
    model: QAbstractItemModel = header.model()
    for column in range(header.count()):
        entry = menu.addAction(str(model.headerData(column, header.orientation()) or ""))
        entry.setCheckable(True)
        entry.setChecked(not header.isSectionHidden(column))
        entry.setEnabled(header.isSectionHidden(column) or shown > 1)
        entry.toggled.connect(lambda on, column=column: header.setSectionHidden(column, not on))
    return menu


def _remember(header: QHeaderView, store: ColumnStore, name: str) -> None:
    store.restore_columns(name, header)
    # A hidden column is told as a resized one before it counts as hidden, and dragging tells of every pixel.
    soon = QTimer(header)
    soon.setSingleShot(True)
    soon.timeout.connect(lambda: store.save_columns(name, header))
    header.sectionResized.connect(lambda: soon.start())
    header.sectionMoved.connect(lambda: soon.start())
    header.sortIndicatorChanged.connect(lambda: soon.start())
