"""Buttons follow their actions, and a switch always has one choice."""

from __future__ import annotations

import pytest
from PySide6.QtCore import QSize, Qt
from PySide6.QtGui import QAction
from PySide6.QtTest import QSignalSpy, QTest
from PySide6.QtWidgets import QMenu, QPushButton, QVBoxLayout, QWidget
from pytestqt.qtbot import QtBot

from ui.base import icons
from ui.base.palette import LIGHT
from ui.widgets.buttons import ActionButton, MenuButton, Segmented, button, icon_button


@pytest.mark.parametrize("kind", ["primary", "danger", "link"])
def test_kinds_are_properties_of_the_style_sheet(qtbot: QtBot, kind: str) -> None:
    made = button("Delete", kind=kind)
    qtbot.addWidget(made)
    assert made.property(kind) is True


def test_unknown_kinds_and_icons_are_refused() -> None:
    with pytest.raises(ValueError, match="no button is 'loud'"):
        button("X", kind="loud")
    with pytest.raises(LookupError):
        button("X", "no-such-icon")


def test_an_icon_on_a_filled_button_has_its_one_colour(qtbot: QtBot) -> None:
    made = button("Take Snapshot…", "camera", "primary")
    qtbot.addWidget(made)
    image = made.icon().pixmap(QSize(64, 64)).toImage()
    seen = {
        image.pixelColor(x, y).name() for x in range(64) for y in range(64) if image.pixelColor(x, y).alpha() == 255
    }
    assert LIGHT.accent_text in seen
    assert LIGHT.accent not in seen


def test_a_button_does_not_take_the_focus_from_a_click(qtbot: QtBot) -> None:
    made = button("Revert To…")
    qtbot.addWidget(made)
    made.show()
    QTest.mouseClick(made, Qt.MouseButton.LeftButton)
    assert not made.hasFocus()
    made.setFocus(Qt.FocusReason.TabFocusReason)
    assert made.window().focusWidget() is made


def test_an_icon_button_is_named(qtbot: QtBot) -> None:
    made = icon_button("fit", "Fit")
    qtbot.addWidget(made)
    assert (made.accessibleName(), made.toolTip()) == ("Fit", "Fit")


def test_an_action_button_follows_its_action(qtbot: QtBot) -> None:
    action = QAction(icons.icon("revert"), "Revert To…")
    holder = QWidget()
    qtbot.addWidget(holder)
    made = ActionButton(action, parent=holder)
    QVBoxLayout(holder).addWidget(made)
    holder.show()
    triggered = QSignalSpy(action.triggered)
    made.click()
    assert triggered.count() == 1
    action.setEnabled(False)
    action.setToolTip("Revert To\nwww is busy.")
    action.setStatusTip("www is busy.")
    assert (made.isEnabled(), made.toolTip()) == (False, "Revert To\nwww is busy.")
    assert made.accessibleDescription() == "www is busy."
    made.click()
    assert triggered.count() == 1
    action.setVisible(False)
    assert not made.isVisible()
    action.setText("Revert")
    assert made.text() == "Revert"


def test_an_action_button_can_have_its_own_words(qtbot: QtBot) -> None:
    made = ActionButton(QAction("Take Snapshot…"), "primary", "Take one")
    qtbot.addWidget(made)
    assert made.text() == "Take one"
    assert made.property("primary") is True


def test_a_menu_button_has_its_menu(qtbot: QtBot) -> None:
    menu = QMenu()
    qtbot.addWidget(menu)
    made = MenuButton("New", menu, "plus")
    qtbot.addWidget(made)
    assert made.menu() is menu


def test_a_switch_tells_only_what_the_person_chose(qtbot: QtBot) -> None:
    made = Segmented([("graph", "Graph"), ("list", "List", "list")], "View", "list")
    qtbot.addWidget(made)
    with qtbot.waitActive(made):
        made.show()
        made.activateWindow()
    told = QSignalSpy(made.chosen)
    assert made.current() == "list"
    made.set_current("graph")
    assert (made.current(), told.count()) == ("graph", 0)
    segments = made.findChildren(QPushButton)
    segments[1].click()
    assert (made.current(), told.at(0)) == ("list", ["list"])
    segments[1].setFocus()
    QTest.keyClick(segments[1], Qt.Key.Key_Left)
    assert made.current() == "graph"


def test_a_choice_can_be_switched_off_with_a_reason(qtbot: QtBot) -> None:
    made = Segmented([("graph", "Graph"), ("list", "List")], "View")
    qtbot.addWidget(made)
    made.set_choice_enabled("list", False, "There are no snapshots yet.")
    off = made.findChildren(QPushButton)[1]
    assert (off.isEnabled(), off.toolTip()) == (False, "There are no snapshots yet.")
    made.set_choice_enabled("list", True)
    assert (off.isEnabled(), off.toolTip()) == (True, "")


def test_a_switch_keeps_its_width_when_another_is_chosen(qtbot: QtBot) -> None:
    made = Segmented([("hourly", "Hourly"), ("weekly", "Weekly")], "How often")
    qtbot.addWidget(made)
    before = made.sizeHint()
    made.set_current("weekly")
    assert made.sizeHint() == before


def test_a_switch_refuses_what_it_has_not() -> None:
    with pytest.raises(ValueError, match="needs a choice"):
        Segmented([], "View")
    with pytest.raises(ValueError, match="is not in list"):
        Segmented([("graph", "Graph")], "View", "map")
