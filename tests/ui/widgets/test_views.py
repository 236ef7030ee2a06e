"""Tables and trees show whole rows, copy as text, and are quick with many rows."""

from __future__ import annotations

from pathlib import Path

import pytest
from PySide6.QtCore import QPoint, Qt
from PySide6.QtGui import QGuiApplication, QHelpEvent, QImage, QStandardItem, QStandardItemModel
from PySide6.QtTest import QTest
from PySide6.QtWidgets import QApplication, QWidget
from pytestqt.qtbot import QtBot

from ui.base.palette import LIGHT
from ui.base.settings import Settings
from ui.widgets.fields import DateEdit, DateTimeEdit, SpinBox, TimeEdit
from ui.widgets.tabs import Tabs
from ui.widgets.views import TableView, TreeView, column_menu


def filled(view: TableView, rows: int = 5) -> QStandardItemModel:
    model = QStandardItemModel(0, 3, view)
    model.setHorizontalHeaderLabels(["Name", "Created", "Size"])
    for row in range(rows):
        model.appendRow([QStandardItem(words) for words in (f"web-0{row}", "today", f"{row} GiB")])
    view.setModel(model)
    return model


@pytest.fixture
def table(qtbot: QtBot) -> TableView:
    view = TableView("Snapshots", "No snapshots yet.")
    qtbot.addWidget(view)
    view.resize(500, 300)
    filled(view)
    view.show()
    return view


def grabbed(view: TableView | TreeView) -> QImage:
    return view.viewport().grab().toImage()


def middle(view: TableView, row: int) -> int:
    return view.rowViewportPosition(row) + view.rowHeight(row) // 2


def test_a_chosen_row_is_coloured_across_and_rounded(table: TableView) -> None:
    table.selectRow(1)
    image = grabbed(table)
    y = middle(table, 1)
    assert image.pixelColor(table.viewport().width() - 10, y).name() == LIGHT.selection
    assert image.pixelColor(6, y).name() == LIGHT.selection
    assert image.pixelColor(1, y).name() == LIGHT.surface, "the plane is inset"
    assert image.pixelColor(table.viewport().width() - 10, middle(table, 2)).name() == LIGHT.surface


def test_the_row_pointed_at_is_lighter(table: TableView) -> None:
    QTest.mouseMove(table.viewport(), QPoint(20, middle(table, 3)))
    table._point_at(3)
    assert grabbed(table).pixelColor(table.viewport().width() - 10, middle(table, 3)).name() == LIGHT.hover


def test_the_keyboards_row_has_a_ring(table: TableView) -> None:
    table.setFocus()
    table.selectRow(0)
    before = grabbed(table)
    QTest.keyClick(table, Qt.Key.Key_Down)
    after = grabbed(table)
    colours = {after.pixelColor(x, middle(table, 1)).name() for x in range(12)}
    assert LIGHT.accent in colours
    assert LIGHT.accent not in {before.pixelColor(x, middle(table, 0)).name() for x in range(12)}


def test_an_empty_table_says_so(qtbot: QtBot) -> None:
    view = TableView("Snapshots", "No snapshots yet.")
    qtbot.addWidget(view)
    view.resize(300, 200)
    filled(view, 0)
    said = grabbed(view)
    view.set_empty_text("")
    assert grabbed(view) != said


def test_rows_are_copied_as_text_in_the_order_shown(table: TableView) -> None:
    table.horizontalHeader().moveSection(2, 0)
    table.setColumnHidden(1, True)
    table.selectRow(3)
    QTest.keyClick(table, Qt.Key.Key_C, Qt.KeyboardModifier.ControlModifier)
    assert QGuiApplication.clipboard().text() == "3 GiB\tweb-03"
    table.selectAll()
    assert table.selected_text().splitlines()[:2] == ["Size\tName", "0 GiB\tweb-00"]


def test_a_row_that_the_program_chooses_is_chosen_alone(table: TableView) -> None:
    table.selectRow(1)
    QTest.keyPress(table, Qt.Key.Key_F16, Qt.KeyboardModifier.ControlModifier)
    try:
        table.selectRow(3)
        assert [index.row() for index in table.selectionModel().selectedRows()] == [3], "whatever key somebody holds"
    finally:
        QTest.keyRelease(table, Qt.Key.Key_F16)


def test_columns_can_be_chosen_but_not_all_hidden(table: TableView, qtbot: QtBot) -> None:
    header = table.horizontalHeader()
    menu = column_menu(header)
    qtbot.addWidget(menu)
    menu.actions()[0].trigger()
    menu.actions()[1].trigger()
    assert [header.isSectionHidden(column) for column in range(3)] == [True, True, False]
    last = column_menu(header)
    qtbot.addWidget(last)
    assert [entry.isEnabled() for entry in last.actions()] == [True, True, False]


def test_columns_are_remembered(table: TableView, tmp_path: Path, qtbot: QtBot) -> None:
    settings = Settings(tmp_path / "settings.ini")
    table.remember_columns(settings, "snapshots")
    table.horizontalHeader().resizeSection(0, 177)
    table.setColumnHidden(1, True)
    QApplication.processEvents()
    other = TableView("Snapshots")
    qtbot.addWidget(other)
    filled(other)
    other.remember_columns(settings, "snapshots")
    assert (other.columnWidth(0), other.isColumnHidden(1)) == (177, True)


def test_only_visible_rows_are_drawn(qtbot: QtBot, monkeypatch: pytest.MonkeyPatch) -> None:
    view = TableView("Many")
    qtbot.addWidget(view)
    view.resize(400, 300)
    filled(view, 3000)
    view.selectAll()
    drawn: list[int] = []
    monkeypatch.setattr("ui.widgets.views._paint_row", lambda *_args, **_names: drawn.append(1))
    grabbed(view)
    assert 0 < len(drawn) < 30


def test_a_cell_that_is_cut_is_told_whole(table: TableView, monkeypatch: pytest.MonkeyPatch) -> None:
    shown: list[str] = []
    monkeypatch.setattr("ui.widgets.views.QToolTip.showText", lambda _place, words, _view: shown.append(words))
    model = table.model()
    model.setData(model.index(0, 0), "A virtual machine with a very long name")
    for width in (400, 60):
        table.setColumnWidth(0, width)
        place = table.visualRect(model.index(0, 0)).center()
        event = QHelpEvent(QHelpEvent.Type.ToolTip, place, table.viewport().mapToGlobal(place))
        QApplication.sendEvent(table.viewport(), event)
    assert shown == ["A virtual machine with a very long name"]


def test_a_tree_colours_whole_rows(qtbot: QtBot) -> None:
    view = TreeView("Resources")
    qtbot.addWidget(view)
    model = QStandardItemModel(view)
    pool = QStandardItem("Local pool")
    pool.appendRow(QStandardItem("workstation"))
    model.appendRow(pool)
    view.setModel(model)
    view.expandAll()
    view.resize(260, 200)
    view.show()
    view.setCurrentIndex(model.index(0, 0, model.index(0, 0)))
    y = view.visualRect(view.currentIndex()).center().y()
    image = grabbed(view)
    for x in (8, view.viewport().width() - 10):
        assert image.pixelColor(x, y).name() == LIGHT.selection
    assert image.pixelColor(1, y).name() == LIGHT.surface
    assert view.accessibleName() == "Resources"


def test_tabs_stand_on_a_surface_with_a_line_below(qtbot: QtBot) -> None:
    tabs = Tabs("Views")
    qtbot.addWidget(tabs)
    for name in ("General", "Snapshots"):
        tabs.addTab(QWidget(), name)
    tabs.resize(600, 200)
    tabs.show()
    image = tabs.grab().toImage()
    bottom = tabs.tabBar().geometry().bottom()
    assert image.pixelColor(590, 8).name() == LIGHT.surface
    assert image.pixelColor(590, bottom).name() == LIGHT.line
    underlined = image.pixelColor(tabs.tabBar().tabRect(0).center().x(), bottom).name()
    assert underlined == LIGHT.accent


def test_fields_are_named_and_indented(qtbot: QtBot) -> None:
    fields = [SpinBox("Keep", 1, 99, 7, " GiB"), TimeEdit("At"), DateEdit("On"), DateTimeEdit("From")]
    for field in fields:
        qtbot.addWidget(field)
        assert field.accessibleName()
        assert field.lineEdit().textMargins().left() > 0
    keep = fields[0]
    assert isinstance(keep, SpinBox)
    assert (keep.value(), keep.text(), keep.minimum(), keep.maximum()) == (7, "7 GiB", 1, 99)
