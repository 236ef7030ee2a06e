"""The graph: large ones change only where they must, zoom keeps what is looked at, the map leads there."""

from __future__ import annotations

from pathlib import Path

import pytest
from PySide6.QtCore import QPoint, QPointF, Qt
from PySide6.QtGui import QPainterPath, QWheelEvent
from PySide6.QtTest import QTest
from PySide6.QtWidgets import QApplication, QGraphicsItem

from app.api import VM
from tests.ui.snapshots.conftest import OpenTab
from tests.ui.snapshots.driving import CTRL, LEFT, NONE, press
from tests.ui.snapshots.estate import Estate
from ui.base import motion
from ui.snapshots.graph_items import elbow
from ui.snapshots.graph_scene import GraphScene
from ui.snapshots.tab import SnapshotsTab


def row_of(folder: Path, number: int) -> Estate:
    """So many snapshots, each grown from the one before."""
    estate = Estate(folder, disks=1)
    for n in range(number):
        estate.snapshot(f"s{n}", parent=f"s{n - 1}" if n else "", hours=number - n)
    estate.stand_on(f"s{number - 1}")
    return estate


class Spy:
    """Notes what a scene adds and removes, and how many lines it draws."""

    def __init__(self, scene: GraphScene, monkeypatch: pytest.MonkeyPatch) -> None:
        self.added: list[QGraphicsItem] = []
        self.removed: list[QGraphicsItem] = []
        self.lines = 0
        self._add, self._remove = scene.addItem, scene.removeItem
        monkeypatch.setattr(scene, "addItem", self.add)
        monkeypatch.setattr(scene, "removeItem", self.remove)
        monkeypatch.setattr("ui.snapshots.graph_scene.elbow", self.draw)

    def add(self, item: QGraphicsItem) -> None:
        self.added.append(item)
        self._add(item)

    def remove(self, item: QGraphicsItem) -> None:
        self.removed.append(item)
        self._remove(item)

    def draw(self, start: QPointF, end: QPointF) -> QPainterPath:
        self.lines += 1
        return elbow(start, end)


def test_one_more_of_a_thousand_is_one_more_item(
    open_tab: OpenTab, qapp: QApplication, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    estate = row_of(tmp_path, 1000)
    tab = open_tab(estate)
    before = dict(tab.graph.graph.cards)
    spy = Spy(tab.graph.graph, monkeypatch)
    estate.snapshot("new", parent="s999", hours=0, now=True)
    assert [getattr(item, "key", "line") for item in spy.added] == ["new", "line"]
    assert spy.removed == []
    assert all(tab.graph.graph.cards[key] is item for key, item in before.items())
    assert spy.lines == 2
    estate.drop("new")
    assert len(spy.removed) == 2
    assert all(tab.graph.graph.cards[key] is item for key, item in before.items())


def test_a_word_changes_one_card(tab: SnapshotsTab, estate: Estate, monkeypatch: pytest.MonkeyPatch) -> None:
    spy = Spy(tab.graph.graph, monkeypatch)
    others = {key: card.content for key, card in tab.graph.graph.cards.items() if key != "trial"}
    estate.engine.change(VM, "trial", name_label="Renamed")
    assert tab.graph.graph.cards["trial"].content.name == "Renamed"
    assert all(tab.graph.graph.cards[key].content is content for key, content in others.items())
    assert (spy.added, spy.removed, spy.lines) == ([], [], 0)


def test_cards_move_when_motion_is_wanted_and_arrive(open_tab: OpenTab, estate: Estate, qapp: QApplication) -> None:
    motion.set_reduced(False)
    tab = open_tab(estate)
    old = tab.graph.graph.cards["trial"].pos()
    estate.snapshot("new", parent="nightly22", hours=0)
    assert tab.graph.graph.cards["new"].opacity() < 1
    tab.graph.graph._glide.finish()
    assert tab.graph.graph.cards["new"].opacity() == 1
    assert tab.graph.graph.cards["trial"].pos() != old
    assert tab.graph.graph.tree is not None


def test_a_change_during_a_movement_leaves_nothing_behind(open_tab: OpenTab, estate: Estate) -> None:
    motion.set_reduced(False)
    tab = open_tab(estate)
    estate.snapshot("new", parent="nightly22", hours=0)
    estate.drop("new", "quiet")
    estate.snapshot("other", parent="trial", hours=0)
    scene = tab.graph.graph
    scene._glide.finish()
    assert set(scene.cards) == set(scene._lines) - {"now"} == set(tab.subject.shown)
    assert scene.cards["other"].opacity() == 1


def test_a_small_graph_is_shown_whole_and_a_large_one_from_now(
    open_tab: OpenTab, estate: Estate, qapp: QApplication, tmp_path: Path
) -> None:
    small = open_tab(estate).graph
    seen = small.mapToScene(small.viewport().rect()).boundingRect()
    assert all(seen.contains(card.sceneBoundingRect()) for card in small.graph.cards.values())
    (tmp_path / "large").mkdir()
    large = open_tab(row_of(tmp_path / "large", 60)).graph
    seen = large.mapToScene(large.viewport().rect()).boundingRect()
    assert seen.contains(large.graph.now.sceneBoundingRect())
    assert large.zoom.factor >= 0.7


def test_zoom_by_wheel_keeps_what_is_under_the_pointer(tab: SnapshotsTab) -> None:
    view = tab.graph
    place = QPoint(300, 250)
    view.zoom.set(1.5)
    under = view.mapToScene(place)
    event = QWheelEvent(
        QPointF(place), QPointF(view.mapToGlobal(place)), QPoint(), QPoint(0, 120), Qt.MouseButton.NoButton, CTRL,
        Qt.ScrollPhase.NoScrollPhase, False,
    )  # fmt: skip
    QApplication.sendEvent(view.viewport(), event)
    assert view.zoom.factor == pytest.approx(1.8)
    assert (view.mapToScene(place) - under).manhattanLength() < 3


def test_keys_and_buttons_zoom(tab: SnapshotsTab) -> None:
    start = tab.graph.zoom.factor
    press(tab, Qt.Key.Key_Plus, CTRL)
    assert tab.graph.zoom.factor == pytest.approx(start * 1.2)
    press(tab, Qt.Key.Key_Minus, CTRL)
    press(tab, Qt.Key.Key_Minus, CTRL)
    assert tab.graph.zoom.factor == pytest.approx(start / 1.2)
    tab.footer.stepped.emit(1)
    assert tab.graph.zoom.factor == pytest.approx(start)
    tab.graph.zoom.set(9.0)
    assert tab.graph.zoom.factor == 2.0
    assert tab.footer.zoom_words() == "200\u00a0%"
    press(tab, Qt.Key.Key_0, CTRL)
    seen = tab.graph.mapToScene(tab.graph.viewport().rect()).boundingRect()
    assert all(seen.contains(card.sceneBoundingRect()) for card in tab.graph.graph.cards.values())


def test_fit_goes_on_fitting(tab: SnapshotsTab, estate: Estate) -> None:
    tab.footer.fitted.emit()
    for n in range(8):
        estate.snapshot(f"n{n}", parent=f"n{n - 1}" if n else "nightly22", hours=1)
    seen = tab.graph.mapToScene(tab.graph.viewport().rect()).boundingRect()
    assert all(seen.contains(card.sceneBoundingRect()) for card in tab.graph.graph.cards.values())


def test_the_map_comes_with_more_than_forty_nodes_and_leads(
    open_tab: OpenTab, estate: Estate, qapp: QApplication, tmp_path: Path
) -> None:
    assert not open_tab(estate).graph.zoom.minimap.isVisible()
    (tmp_path / "large").mkdir()
    tab = open_tab(row_of(tmp_path / "large", 60))
    little = tab.graph.zoom.minimap
    assert little.isVisible()
    before = tab.graph.mapToScene(tab.graph.viewport().rect().center())
    QTest.mouseClick(little, LEFT, NONE, QPoint(12, little.height() - 12))
    after = tab.graph.mapToScene(tab.graph.viewport().rect().center())
    assert after.x() < before.x()
    assert not little.grab().isNull()
    tab.graph.zoom.fit()
    assert not little.isVisible()


def test_painting_at_any_zoom_raises_nothing(tab: SnapshotsTab, estate: Estate) -> None:
    tab.chosen.choose(("before", "trial"))
    tab.graph.set_matching({"trial"})
    pictures = set()
    for factor in (0.1, 0.3, 0.7, 2.0):
        tab.graph.zoom.set(factor)
        pictures.add(tab.graph.viewport().grab().toImage().pixel(400, 300))
    assert pictures


def test_elbows_begin_and_end_where_they_should() -> None:
    for end in (QPointF(100, 0), QPointF(100, 80), QPointF(100, -3), QPointF(100, -80)):
        path = elbow(QPointF(0, 0), end)
        assert path.pointAtPercent(0) == QPointF(0, 0)
        assert (path.currentPosition() - end).manhattanLength() < 0.01
        inside = path.boundingRect()
        assert inside.left() >= 0
        assert inside.right() <= 100.01
