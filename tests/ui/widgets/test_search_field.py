"""Searching follows typing after a breath, and Enter and emptying at once."""

from __future__ import annotations

from PySide6.QtCore import Qt
from PySide6.QtTest import QSignalSpy, QTest
from PySide6.QtWidgets import QLineEdit, QVBoxLayout, QWidget
from pytestqt.qtbot import QtBot

from ui.widgets.search_field import SearchField


def test_typing_is_told_once_it_pauses(qtbot: QtBot) -> None:
    field = SearchField()
    qtbot.addWidget(field)
    told = QSignalSpy(field.searched)
    with qtbot.waitSignal(field.searched) as searched:
        QTest.keyClicks(field, "web ")
    assert searched.args == ["web"]
    assert told.count() == 1


def test_enter_and_emptying_are_told_at_once(qtbot: QtBot) -> None:
    field = SearchField()
    qtbot.addWidget(field)
    told = QSignalSpy(field.searched)
    QTest.keyClicks(field, "db")
    QTest.keyClick(field, Qt.Key.Key_Return)
    QTest.keyClick(field, Qt.Key.Key_Return)
    assert [told.at(i) for i in range(told.count())] == [["db"]]
    QTest.keyClick(field, Qt.Key.Key_Escape)
    assert told.at(1) == [""]
    assert field.text() == ""


def test_ctrl_f_comes_here(qtbot: QtBot) -> None:
    window = QWidget()
    qtbot.addWidget(window)
    rows = QVBoxLayout(window)
    other, field = QLineEdit(), SearchField(shortcut=True)
    rows.addWidget(other)
    rows.addWidget(field)
    with qtbot.waitActive(window):
        window.show()
        window.activateWindow()
    other.setFocus()
    field.setText("web")
    QTest.keyClick(other, Qt.Key.Key_F, Qt.KeyboardModifier.ControlModifier)
    assert window.focusWidget() is field
    assert field.selectedText() == "web"


def test_the_hint_is_drawn_only_where_nothing_is_typed(qtbot: QtBot) -> None:
    plain, hinted = SearchField(), SearchField(shortcut=True)
    for field in (plain, hinted):
        qtbot.addWidget(field)
        field.resize(240, 32)
    assert plain.grab().toImage() != hinted.grab().toImage()
    for field in (plain, hinted):
        field.setText("x")
    assert plain.grab().toImage() == hinted.grab().toImage()
    assert hinted.accessibleName() == "Search"
