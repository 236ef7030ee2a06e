"""How large the graph is shown and which part of it; by wheel, keys, buttons or the little map."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

from PySide6.QtCore import QObject, QPoint, QPointF, QRectF, Qt, Signal
from PySide6.QtGui import QKeyEvent, QNativeGestureEvent, QTransform, QWheelEvent
from PySide6.QtWidgets import QGraphicsView

from ui.snapshots.graph_items import sizes
from ui.snapshots.graph_scene import GraphScene
from ui.snapshots.minimap import Minimap
from ui.snapshots.tree import BASE, NOW

LEAST, MOST = 0.05, 2.0
#: a graph that fits at this zoom or larger is shown whole; a larger one begins at Now
READABLE = 0.7
_STEP = 1.2
_NOTCH = 120.0
_CTRL = Qt.KeyboardModifier.ControlModifier


@dataclass(frozen=True, slots=True)
class ZoomState:
    """What to come back to."""

    mode: Literal["auto", "fit", "free"] = "auto"
    factor: float = 1.0
    centre: QPointF | None = None


class Zoom(QObject):
    """Keeps a view's transform. "auto" shows all while that is readable, "fit" always shows all, "free" is the
    person's own choice, kept over every change of the tree."""

    #: the zoom is another one, 1.0 for 100 %
    changed = Signal(float)

    def __init__(self, view: QGraphicsView, scene: GraphScene) -> None:
        super().__init__(view)
        self._view, self._scene = view, scene
        self._mode: Literal["auto", "fit", "free"] = "auto"
        self._settled = False
        self.minimap = Minimap(view, scene)
        self.minimap.pointed.connect(self._point_at)
        for bar in (view.horizontalScrollBar(), view.verticalScrollBar()):
            bar.valueChanged.connect(self.minimap.update)
        view.setTransformationAnchor(QGraphicsView.ViewportAnchor.NoAnchor)
        view.setResizeAnchor(QGraphicsView.ViewportAnchor.NoAnchor)

    @property
    def factor(self) -> float:
        """The zoom now, 1.0 for 100 %."""
        return self._view.transform().m11()

    def state(self) -> ZoomState:
        """What to come back to when this VM is shown again."""
        centre = self._view.mapToScene(self._view.viewport().rect().center())
        return ZoomState(self._mode, self.factor, centre if self._settled or self._mode == "free" else None)

    def restore(self, state: ZoomState) -> None:
        """Show another VM as it was left; a default state shows it as if for the first time."""
        self._mode, self._settled = state.mode, state.centre is not None
        if state.centre is None:
            self.adjust()
            return
        self._scale(state.factor)
        self._view.centerOn(state.centre)

    def fit(self) -> None:
        """Show all, and go on showing all."""
        self._mode = "fit"
        self.adjust()

    def step(self, steps: float) -> None:
        """Larger, or smaller for negative steps, around the middle."""
        self.set(self.factor * _STEP**steps)

    def set(self, factor: float, under: QPoint | None = None) -> None:
        """Zoom so that what is at ``under`` (default: in the middle) stays there."""
        self._mode = "free"
        place = self._view.viewport().rect().center() if under is None else under
        before = self._view.mapToScene(place)
        self._scale(factor)
        moved = self._view.mapFromScene(before) - place
        self.scroll_by(moved.x(), moved.y())

    def scroll_by(self, right: int, down: int) -> None:
        """Move what is seen by pixels."""
        horizontal, vertical = self._view.horizontalScrollBar(), self._view.verticalScrollBar()
        horizontal.setValue(horizontal.value() + right)
        vertical.setValue(vertical.value() + down)

    # ---- the tree changes -------------------------------------------------------------------------------------

    def hold(self, key: str) -> tuple[str, QPoint] | None:
        """Remember where a node is on the screen (or Now, if that is gone), before the tree changes."""
        tree = self._scene.tree
        if tree is None:
            return None
        held = key if key in tree.nodes else NOW
        return held, self._view.mapFromScene(sizes().place(tree.nodes[held]))

    def release(self, held: tuple[str, QPoint] | None) -> None:
        """The tree has changed: bring the node back to where it was, or show all if that was wanted."""
        tree = self._scene.tree
        self.minimap.forget()
        if held is None or tree is None or self._shows_all():
            self.adjust()
            return
        key = held[0] if held[0] in tree.nodes else NOW
        moved = self._view.mapFromScene(sizes().place(tree.nodes[key])) - held[1]
        self.scroll_by(moved.x(), moved.y())
        self.minimap.adjust()

    def adjust(self) -> None:
        """The room or the tree changed: show all where that is wanted."""
        if self._scene.tree is not None and (self._shows_all() or not self._settled):
            if self._mode == "fit":
                self._scale(self._whole())
                self._view.centerOn(self._scene.sceneRect().center())
            elif self._mode == "auto":
                self._begin()
        self.minimap.adjust()

    def _shows_all(self) -> bool:
        return self._mode == "fit" or (self._mode == "auto" and self._whole() >= READABLE)

    def _begin(self) -> None:
        whole = self._whole()
        if whole >= READABLE:
            self._scale(whole)
            self._view.centerOn(self._scene.sceneRect().center())
            self._settled = False
            return
        tree = self._scene.tree
        self._scale(READABLE if tree is not None and len(tree.order) > 12 else 0.85)
        self._view.centerOn(self._around(BASE).center())
        self._view.ensureVisible(self._around(NOW), 24, 24)
        self._settled = self._view.isVisible()

    def _around(self, key: str) -> QRectF:
        """Where a node is going to be, with the room of a card at least."""
        tree = self._scene.tree
        place = QPointF() if tree is None else sizes().place(tree.nodes[key])
        card = sizes().card
        return QRectF(place - QPointF(0, card.height() / 2), card).united(
            self._scene.item(key).plane().translated(place)
        )

    def _whole(self) -> float:
        """The zoom at which everything fits, at most 1."""
        room, need = self._view.maximumViewportSize(), self._scene.sceneRect()
        if need.isEmpty():
            return 1.0
        return min(1.0, room.width() / need.width(), room.height() / need.height())

    def _scale(self, factor: float) -> None:
        wanted = min(MOST, max(LEAST, factor))
        if abs(wanted - self.factor) > 1e-6:
            self._view.setTransform(QTransform.fromScale(wanted, wanted))
        self.changed.emit(wanted)
        self.minimap.adjust()

    def _point_at(self, place: QPointF) -> None:
        self._view.centerOn(place)

    # ---- input ------------------------------------------------------------------------------------------------

    def wheel(self, event: QWheelEvent) -> bool:
        """Ctrl with the wheel zooms at the pointer; the wheel alone moves along a graph that is only wide."""
        turned = event.angleDelta().y()
        if event.modifiers() & _CTRL and turned:
            self.set(self.factor * _STEP ** (turned / _NOTCH), event.position().toPoint())
            return True
        only_wide = self._view.verticalScrollBar().maximum() == self._view.verticalScrollBar().minimum()
        if only_wide and turned and not event.modifiers():
            self.scroll_by(-turned, 0)
            return True
        return False

    def gesture(self, event: QNativeGestureEvent) -> bool:
        """Two fingers apart."""
        if event.gestureType() != Qt.NativeGestureType.ZoomNativeGesture:
            return False
        self.set(self.factor * (1 + event.value()), event.position().toPoint())
        return True

    def key(self, event: QKeyEvent) -> bool:
        """0 and Ctrl+0 show all, Ctrl with plus and minus steps."""
        ctrl = bool(event.modifiers() & _CTRL)
        if event.key() == Qt.Key.Key_0 and (ctrl or not event.modifiers()):
            self.fit()
        elif ctrl and event.key() in (Qt.Key.Key_Plus, Qt.Key.Key_Equal):
            self.step(1)
        elif ctrl and event.key() == Qt.Key.Key_Minus:
            self.step(-1)
        else:
            return False
        return True
