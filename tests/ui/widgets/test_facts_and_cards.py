"""Facts, cards and choices."""

from __future__ import annotations

from collections.abc import Iterator

import pytest
from PySide6.QtCore import Qt
from PySide6.QtGui import QAction
from PySide6.QtTest import QSignalSpy, QTest
from PySide6.QtWidgets import QApplication, QLabel, QProgressBar, QVBoxLayout, QWidget
from pytestqt.qtbot import QtBot

from ui.widgets.cards import Card, ChoiceCard, EmptyState
from ui.widgets.facts import FactGrid
from ui.widgets.labels import ValueLabel


def test_facts_are_updated_in_place(qtbot: QtBot) -> None:
    grid = FactGrid([("Created", "today"), ("Size", "2.1 GiB")], "Facts")
    qtbot.addWidget(grid)
    before = grid.findChildren(ValueLabel)
    grid.set_facts([("Created", "today"), ("Size", "2.2 GiB", "exactly 2362232012 bytes")])
    assert grid.findChildren(ValueLabel) == before
    assert grid.facts() == [("Created", "today"), ("Size", "2.2 GiB")]
    assert before[1].accessibleName() == "Size: 2.2 GiB"
    assert "exactly" in before[1].toolTip()


def test_other_facts_replace_them(qtbot: QtBot) -> None:
    grid = FactGrid([("Created", "today")])
    qtbot.addWidget(grid)
    grid.set_facts([("Size", "1 GiB"), ("Created", "today")])
    assert [what for what, _ in grid.facts()] == ["Size", "Created"]
    grid.clear()
    assert grid.facts() == []


def test_an_empty_fact_is_hidden(qtbot: QtBot) -> None:
    grid = FactGrid([("Created", "today"), ("Kept by", "")])
    qtbot.addWidget(grid)
    grid.show()
    assert [label.text() for label in grid.findChildren(QLabel) if label.isVisible()] == ["Created", "today"]
    grid.set_fact("Kept by", "a lock")
    assert grid.value("Kept by") == "a lock"
    assert len([label for label in grid.findChildren(QLabel) if label.isVisible()]) == 4


def test_a_value_of_a_narrow_grid_takes_the_lines_it_needs(qtbot: QtBot) -> None:
    path = "/srv/exports/of the second quarter/billing-db.xva"
    grid = FactGrid([("Size", "2.1 GiB"), ("File", path)], label_width=40, wrap=True)
    qtbot.addWidget(grid)
    grid.setFixedWidth(180)
    grid.show()
    low, high = (value for value in grid.findChildren(ValueLabel))
    assert high.height() > 2 * low.height() > 0
    high.copy()
    assert QApplication.clipboard().text() == path == grid.value("File")


def test_a_fact_can_be_a_widget_but_not_both(qtbot: QtBot) -> None:
    grid = FactGrid()
    qtbot.addWidget(grid)
    grid.set_widget("Merge", QProgressBar())
    with pytest.raises(ValueError, match="a fact Merge already"):
        grid.set_widget("Merge", QProgressBar())
    with pytest.raises(TypeError, match="shows a widget"):
        grid.set_fact("Merge", "62 %")
    with pytest.raises(LookupError):
        grid.value("Nothing")


def test_a_card_has_its_title(qtbot: QtBot) -> None:
    card = Card("Marks")
    qtbot.addWidget(card)
    assert card.accessibleName() == "Marks"
    assert [label.text() for label in card.findChildren(QLabel)] == ["Marks"]


@pytest.fixture
def cards(qtbot: QtBot) -> Iterator[list[ChoiceCard]]:
    holder = QWidget()
    rows = QVBoxLayout(holder)
    made = [
        ChoiceCard("snapshot", "Disks only", "No pause."),
        ChoiceCard("snapshot-quiesced", "Disks, files flushed", "A short pause."),
        ChoiceCard("snapshot-memory", "Disks and memory", "Paused for about 15 ms."),
    ]
    for card in made:
        rows.addWidget(card)
    qtbot.addWidget(holder)
    holder.resize(420, 300)
    holder.show()
    made[0].setChecked(True)
    yield made


def test_one_card_is_chosen(cards: list[ChoiceCard]) -> None:
    told = QSignalSpy(cards[2].toggled)
    QTest.mouseClick(cards[2], Qt.MouseButton.LeftButton)
    assert [card.isChecked() for card in cards] == [False, False, True]
    assert told.count() == 1


def test_arrow_keys_go_between_cards_past_one_that_is_unavailable(cards: list[ChoiceCard]) -> None:
    cards[1].set_unavailable("The guest agent is not running.")
    cards[0].setFocus()
    QTest.keyClick(cards[0], Qt.Key.Key_Down)
    assert [card.isChecked() for card in cards] == [False, False, True]


def test_a_chosen_card_that_becomes_unavailable_is_no_longer_chosen(cards: list[ChoiceCard]) -> None:
    cards[0].set_unavailable("A snapshot is being taken.")
    assert (cards[0].isChecked(), cards[0].isEnabled()) == (False, False)
    assert cards[0].accessibleDescription() == "A snapshot is being taken."
    cards[0].set_unavailable("")
    assert (cards[0].isEnabled(), cards[0].toolTip()) == (True, "")
    assert cards[0].accessibleDescription() == "No pause."


def test_a_card_grows_with_its_words(cards: list[ChoiceCard]) -> None:
    before = cards[0].heightForWidth(300)
    cards[0].set_description("No pause. " * 20)
    assert cards[0].heightForWidth(300) > before
    assert cards[0].heightForWidth(600) < cards[0].heightForWidth(300)


def test_a_chosen_card_looks_different(cards: list[ChoiceCard]) -> None:
    before = cards[1].grab().toImage()
    cards[1].setChecked(True)
    assert cards[1].grab().toImage() != before


def test_an_empty_state_offers_its_one_act(qtbot: QtBot) -> None:
    state = EmptyState("snapshot", "No snapshots yet.", "Take Snapshot…")
    qtbot.addWidget(state)
    told = QSignalSpy(state.clicked)
    assert state.button is not None
    state.button.click()
    assert told.count() == 1
    state.set_sentence("Nothing fits the filter.")
    assert state.accessibleName() == "Nothing fits the filter."
    assert not state.grab().isNull()


def test_the_act_of_an_empty_state_may_be_an_action(qtbot: QtBot) -> None:
    action = QAction("Take Snapshot…")
    state = EmptyState("snapshot", "No snapshots yet.", action)
    qtbot.addWidget(state)
    action.setEnabled(False)
    assert state.button is not None
    assert not state.button.isEnabled()
    assert EmptyState("snapshot", "None.").button is None


def test_unknown_pictures_are_refused(qtbot: QtBot) -> None:
    with pytest.raises(LookupError):
        ChoiceCard("no-such-icon", "A", "B")
    with pytest.raises(LookupError):
        EmptyState("no-such-icon", "A")


def test_every_line_of_an_empty_state_is_seen(qtbot: QtBot) -> None:
    state = EmptyState("objects", "")
    qtbot.addWidget(state)
    state.sentence.setMinimumWidth(420)  # as the page of several objects has it
    state.resize(900, 600)
    state.show()
    state.set_sentence("9 objects chosen. The menus and the tool bar act on all of them, whatever they are called.")
    label = state.sentence
    qtbot.waitUntil(lambda: label.height() >= label.heightForWidth(label.width()))
