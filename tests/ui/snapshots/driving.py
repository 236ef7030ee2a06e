"""What a person does to the tab, for tests."""

from __future__ import annotations

from PySide6.QtCore import QPoint, Qt
from PySide6.QtTest import QTest

from ui.snapshots.tab import SnapshotsTab

CTRL, SHIFT, NONE = (
    Qt.KeyboardModifier.ControlModifier,
    Qt.KeyboardModifier.ShiftModifier,
    Qt.KeyboardModifier.NoModifier,
)
LEFT, RIGHT = Qt.MouseButton.LeftButton, Qt.MouseButton.RightButton


def plain(words: str) -> str:
    return words.replace("\u00a0", " ")


def place_of(tab: SnapshotsTab, ref: str) -> QPoint:
    card = tab.graph.graph.item(ref)
    return tab.graph.mapFromScene(card.mapToScene(card.plane().center()))


def click(tab: SnapshotsTab, ref: str, modifiers: Qt.KeyboardModifier = NONE) -> None:
    QTest.mouseClick(tab.graph.viewport(), LEFT, modifiers, place_of(tab, ref))


def press(tab: SnapshotsTab, key: Qt.Key, modifiers: Qt.KeyboardModifier = NONE) -> None:
    QTest.keyClick(tab.graph, key, modifiers)


def chosen(tab: SnapshotsTab) -> list[str]:
    """What is chosen, in order."""
    return list(tab.chosen.refs)
