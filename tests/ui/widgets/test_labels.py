"""Words that do not fit are cut, never lost; words that can be changed are changed where they stand."""

from __future__ import annotations

from collections.abc import Iterator

import pytest
from PySide6.QtCore import Qt
from PySide6.QtGui import QFocusEvent, QGuiApplication
from PySide6.QtTest import QSignalSpy, QTest
from PySide6.QtWidgets import QVBoxLayout, QWidget
from pytestqt.qtbot import QtBot

from ui.widgets.labels import EditableLabel, ElidedLabel, ValueLabel

LONG = "A virtual machine with a very long name that has sixty letters"


def test_a_label_that_fits_has_no_tooltip_and_one_that_does_not_has_it_all(qtbot: QtBot) -> None:
    label = ElidedLabel(LONG)
    qtbot.addWidget(label)
    label.resize(800, 20)
    assert (label.is_elided(), label.toolTip()) == (False, "")
    label.resize(80, 20)
    label.grab()
    assert (label.is_elided(), label.toolTip(), label.text()) == (True, LONG, LONG)


def test_a_cut_label_draws_less_than_the_whole(qtbot: QtBot) -> None:
    label = ElidedLabel("W" * 100)
    qtbot.addWidget(label)
    label.resize(100, 20)
    other = ElidedLabel("W" * 100, mode=Qt.TextElideMode.ElideMiddle)
    qtbot.addWidget(other)
    other.resize(100, 20)
    assert label.grab().toImage() != other.grab().toImage()


def test_a_hint_stands_below_the_whole_text(qtbot: QtBot) -> None:
    label = ElidedLabel("web-01")
    qtbot.addWidget(label)
    label.resize(200, 20)
    label.set_hint("Running since yesterday")
    assert label.toolTip() == "Running since yesterday"
    label.resize(24, 20)
    label.grab()
    assert label.toolTip() == "web-01\nRunning since yesterday"


def test_labels_do_not_read_names_as_html_nor_break_lines(qtbot: QtBot) -> None:
    label = ElidedLabel("<b>web</b>\nsecond line")
    qtbot.addWidget(label)
    label.resize(24, 20)
    label.grab()
    assert label.textFormat() == Qt.TextFormat.PlainText
    assert label.text() == "<b>web</b> second line"
    assert "&lt;b&gt;" in label.toolTip()
    assert label.minimumSizeHint().width() <= 24


def test_a_cut_value_copies_whole(qtbot: QtBot) -> None:
    value = ValueLabel(LONG)
    qtbot.addWidget(value)
    value.resize(100, 20)
    value.grab()
    assert value.text().endswith("…")
    assert value.toolTip() == LONG
    QTest.keyClick(value, Qt.Key.Key_C, Qt.KeyboardModifier.ControlModifier)
    assert QGuiApplication.clipboard().text() == LONG
    value.resize(900, 20)
    value.grab()
    assert (value.text(), value.toolTip()) == (LONG, "")


def test_part_of_a_value_can_be_copied(qtbot: QtBot) -> None:
    value = ValueLabel("2.1 GiB own")
    qtbot.addWidget(value)
    value.resize(200, 20)
    value.setSelection(0, 3)
    QTest.keyClick(value, Qt.Key.Key_C, Qt.KeyboardModifier.ControlModifier)
    assert QGuiApplication.clipboard().text() == "2.1"


@pytest.fixture
def name(qtbot: QtBot) -> Iterator[EditableLabel]:
    holder = QWidget()
    rows = QVBoxLayout(holder)
    made = EditableLabel("Before upgrade", what="name", required=True)
    rows.addWidget(made)
    qtbot.addWidget(holder)
    holder.show()
    yield made


@pytest.mark.parametrize("key", [Qt.Key.Key_F2, Qt.Key.Key_Return, Qt.Key.Key_Space])
def test_a_key_begins_enter_commits(name: EditableLabel, key: Qt.Key) -> None:
    told = QSignalSpy(name.committed)
    QTest.keyClick(name, key)
    assert name.is_editing()
    QTest.keyClicks(name.editor, " After upgrade ")
    QTest.keyClick(name.editor, Qt.Key.Key_Return)
    assert (told.count(), told.at(0), name.text()) == (1, ["After upgrade"], "After upgrade")
    assert not name.is_editing()


def test_a_click_begins_and_escape_gives_up(name: EditableLabel) -> None:
    told = QSignalSpy(name.committed)
    QTest.mouseClick(name, Qt.MouseButton.LeftButton)
    QTest.keyClicks(name.editor, "something else")
    QTest.keyClick(name.editor, Qt.Key.Key_Escape)
    assert (told.count(), name.text(), name.is_editing()) == (0, "Before upgrade", False)


def test_leaving_commits(name: EditableLabel, qtbot: QtBot) -> None:
    told = QSignalSpy(name.committed)
    name.begin()
    QTest.keyClicks(name.editor, "After")
    name.editor.focusOutEvent(QFocusEvent(QFocusEvent.Type.FocusOut, Qt.FocusReason.TabFocusReason))
    assert (told.count(), told.at(0)) == (1, ["After"])


def test_its_own_context_menu_is_not_leaving(name: EditableLabel) -> None:
    name.begin()
    name.editor.focusOutEvent(QFocusEvent(QFocusEvent.Type.FocusOut, Qt.FocusReason.PopupFocusReason))
    assert name.is_editing()


@pytest.mark.parametrize("words", ["", "   ", "Before upgrade"])
def test_nothing_new_is_not_committed(name: EditableLabel, words: str) -> None:
    told = QSignalSpy(name.committed)
    name.begin()
    QTest.keyClick(name.editor, Qt.Key.Key_Delete)
    QTest.keyClicks(name.editor, words)
    QTest.keyClick(name.editor, Qt.Key.Key_Return)
    assert (told.count(), name.text()) == (0, "Before upgrade")


def test_news_does_not_touch_what_is_being_typed(name: EditableLabel) -> None:
    name.begin()
    QTest.keyClicks(name.editor, "My words")
    name.set_text("Somebody else's words")
    assert name.editor.words() == "My words"
    QTest.keyClick(name.editor, Qt.Key.Key_Escape)
    assert name.text() == "Somebody else's words"


def test_read_only_words_cannot_be_changed(name: EditableLabel) -> None:
    name.begin()
    name.set_read_only(True)
    assert not name.is_editing()
    name.begin()
    assert not name.is_editing()
    assert name.focusPolicy() == Qt.FocusPolicy.NoFocus


def test_a_description_may_have_lines_and_may_be_emptied(qtbot: QtBot) -> None:
    made = EditableLabel("Old", what="description", placeholder="Add a description", multiline=True)
    qtbot.addWidget(made)
    made.show()
    told = QSignalSpy(made.committed)
    made.begin()
    QTest.keyClicks(made.editor, "One")
    QTest.keyClick(made.editor, Qt.Key.Key_Return, Qt.KeyboardModifier.ShiftModifier)
    QTest.keyClicks(made.editor, "Two")
    QTest.keyClick(made.editor, Qt.Key.Key_Return)
    assert told.at(0) == ["One\nTwo"]
    made.begin()
    QTest.keyClick(made.editor, Qt.Key.Key_Delete)
    QTest.keyClick(made.editor, Qt.Key.Key_Return)
    assert told.at(1) == [""]
    assert made.accessibleName() == "description"


def test_editing_is_named_for_a_screen_reader(name: EditableLabel) -> None:
    assert name.accessibleName() == "name: Before upgrade"
    assert name.editor.accessibleName() == "Edit name"
