"""The scene of the graph. A new tree changes only what differs: items live as long as what they show."""

from __future__ import annotations

from collections.abc import Iterable, Mapping

from PySide6.QtCore import QEasingCurve, QObject, QPointF, QRectF, Qt, QVariantAnimation
from PySide6.QtGui import QColor, QPen
from PySide6.QtWidgets import QGraphicsItem, QGraphicsPathItem, QGraphicsScene

from ui.base import motion, theme
from ui.snapshots.card import CardContent
from ui.snapshots.graph_items import BaseItem, CardItem, Picture, elbow, sizes
from ui.snapshots.now_item import NowContent, NowItem
from ui.snapshots.tree import BASE, NOW, Tree

MARGIN = 24.0
#: with more than so many nodes things are put in their places without moving there
_MOST_MOVING = 120
_PATH, _OTHER = 2.5, 1.5


class GraphScene(QGraphicsScene):
    """Base, cards, Now and lines, by the keys of the tree."""

    def __init__(self, picture: Picture, parent: QObject | None = None) -> None:
        super().__init__(parent)
        self._picture = picture
        self.tree: Tree | None = None
        self.base = BaseItem()
        self.now = NowItem()
        self.cards: dict[str, CardItem] = {}
        self._lines: dict[str, QGraphicsPathItem] = {}
        self._ends: dict[str, tuple[float, float, float, float]] = {}
        self._inked: dict[str, bool] = {}
        self._glide = _Glide(self)
        for item in (self.base, self.now):
            self.addItem(item)
        theme.notifier.theme_changed.connect(self._ink_again)

    def show_tree(self, tree: Tree, cards: Mapping[str, CardContent], now: NowContent, *, moving: bool) -> None:
        """Show another tree.

        :param moving: whether things may be seen to go to their places.
        """
        self._glide.finish()
        before, self.tree = self.tree, tree
        self._drop(tree)
        self.now.set_content(now)
        fresh = self._add(tree, cards)
        moving = moving and before is not None and len(tree.order) <= _MOST_MOVING and not motion.is_reduced()
        if moving:
            self._glide.begin({key: sizes().place(node) for key, node in tree.nodes.items()}, fresh)
        else:
            for key, node in tree.nodes.items():
                item, place = self.item(key), sizes().place(node)
                if item.pos() != place:
                    item.setPos(place)
            self.draw_lines(tree.order)
        self._ink()
        self._make_room()

    def set_contents(self, cards: Mapping[str, CardContent], now: NowContent) -> None:
        """Say something else of the same nodes."""
        for key, content in cards.items():
            if key in self.cards:
                self.cards[key].set_content(content)
        if now != self.now.content:
            self.now.set_content(now)
            self._make_room()

    def item(self, key: str) -> CardItem | BaseItem | NowItem:
        """The item of a node.

        :raise KeyError: there is no such node.
        """
        return self.base if key == BASE else self.now if key == NOW else self.cards[key]

    def card_at(self, place: QPointF) -> str:
        """The snapshot at a place of the scene, "" for none."""
        for item in self.items(place):
            if isinstance(item, CardItem):
                return item.key
        return ""

    def cards_in(self, area: QRectF) -> tuple[str, ...]:
        """The snapshots that an area touches, in the tree's order."""
        order = self.tree.order if self.tree is not None else ()
        found = {item.key for item in self.items(area) if isinstance(item, CardItem)}
        return tuple(key for key in order if key in found)

    def bounds(self) -> QRectF:
        """Where the nodes are going to be."""
        if self.tree is None:
            return QRectF()
        card = sizes().card
        right = sizes().first + (self.tree.depth - 1) * sizes().column + card.width()
        whole = QRectF(0, -card.height() / 2, right, self.tree.lowest * sizes().row + card.height())
        return whole.united(self.now.plane().translated(sizes().place(self.tree.nodes[NOW])))

    def draw_lines(self, keys: Iterable[str]) -> None:
        """Draw the lines that arrive at these nodes anew, from where things are now."""
        if self.tree is None:
            return
        for key in keys:
            if key == BASE:
                continue
            origin, end = self.item(self.tree.nodes[key].parent), self.item(key).pos()
            start = origin.pos() + QPointF(_width(origin), 0)
            ends = (start.x(), start.y(), end.x(), end.y())
            if self._ends.get(key) != ends:
                self._ends[key] = ends
                self._lines[key].setPath(elbow(start, end))

    def _make_room(self) -> None:
        self.setSceneRect(self.bounds().adjusted(-MARGIN, -MARGIN, MARGIN, MARGIN))

    def _drop(self, tree: Tree) -> None:
        for key in [key for key in self.cards if key not in tree.nodes]:
            self.removeItem(self.cards.pop(key))
            self.removeItem(self._lines.pop(key))
            self._ends.pop(key, None)
            self._inked.pop(key, None)

    def _add(self, tree: Tree, cards: Mapping[str, CardContent]) -> list[str]:
        fresh = []
        for key in tree.order:
            if key not in (BASE, NOW):
                if key not in self.cards:
                    self.cards[key] = CardItem(key, cards[key], self._picture)
                    self.addItem(self.cards[key])
                    fresh.append(key)
                self.cards[key].set_content(cards[key])
            if key != BASE and key not in self._lines:
                self._lines[key] = QGraphicsPathItem()
                self._lines[key].setAcceptedMouseButtons(Qt.MouseButton.NoButton)
                self.addItem(self._lines[key])
        return fresh

    def _ink_again(self) -> None:
        """The theme is another one."""
        self._inked.clear()
        self._ink()
        self.update()

    def _ink(self) -> None:
        """Give the lines their colours: the way to Now in the accent, above the others."""
        if self.tree is None:
            return
        colours = theme.current()
        pens = {
            on_path: QPen(QColor(colour), width, Qt.PenStyle.SolidLine, Qt.PenCapStyle.RoundCap)
            for on_path, colour, width in ((True, colours.accent, _PATH), (False, colours.border, _OTHER))
        }
        for key, line in self._lines.items():
            on_path = self.tree.nodes[key].on_path
            if self._inked.get(key) is not on_path:
                self._inked[key] = on_path
                line.setPen(pens[on_path])
                line.setZValue(-1 if on_path else -2)


def _width(item: QGraphicsItem) -> float:
    """How far right of its place a line leaves an item."""
    return sizes().card.width() if isinstance(item, CardItem) else sizes().base.width()


class _Glide:
    """Lets nodes go from where they are to where they belong, their lines following, and new ones fade in."""

    def __init__(self, scene: GraphScene) -> None:
        self._scene = scene
        self._ways: dict[str, tuple[QPointF, QPointF]] = {}
        self._fresh: list[str] = []
        self._movement = QVariantAnimation(scene)
        self._movement.setStartValue(0.0)
        self._movement.setEndValue(1.0)
        self._movement.setEasingCurve(QEasingCurve.Type.OutCubic)
        self._movement.valueChanged.connect(self._step)

    def begin(self, places: Mapping[str, QPointF], fresh: list[str]) -> None:
        for key in fresh:
            parent = self._scene.tree.nodes[key].parent if self._scene.tree is not None else BASE
            near = self._scene.item(parent).pos() if parent not in fresh else places[key]
            self._scene.item(key).setPos(places[key] + (near - places[key]) * 0.25)
            self._scene.item(key).setOpacity(0.0)
        self._fresh = fresh
        self._ways = {key: (self._scene.item(key).pos(), end) for key, end in places.items()}
        self._movement.setDuration(motion.milliseconds())
        self._movement.start()

    def finish(self) -> None:
        """Be there at once."""
        if self._movement.state() != QVariantAnimation.State.Stopped:
            self._movement.stop()
            self._step(1.0)
        self._ways, self._fresh = {}, []

    def _step(self, value: object) -> None:
        part = float(value) if isinstance(value, float) else 1.0
        for key, (start, end) in self._ways.items():
            item: QGraphicsItem = self._scene.item(key)
            item.setPos(start + (end - start) * part)
        for key in self._fresh:
            self._scene.item(key).setOpacity(part)
        self._scene.draw_lines(tuple(self._ways))
