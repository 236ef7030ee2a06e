"""Taking Now in hand: dropped on a snapshot, it means to revert to that."""

from __future__ import annotations

from PySide6.QtCore import QPoint, QPointF, Qt
from PySide6.QtGui import QKeyEvent
from PySide6.QtWidgets import QApplication, QGraphicsView

from ui.snapshots.graph_scene import GraphScene
from ui.snapshots.now_item import NowContent, NowItem


class NowDrag:
    """One drag at a time, within one view. While the VM is busy Now stays where it is."""

    def __init__(self, view: QGraphicsView, scene: GraphScene) -> None:
        self._view, self._scene = view, scene
        self._from: QPoint | None = None
        self._ghost: NowItem | None = None
        self._target = ""

    def is_pressed(self) -> bool:
        """Whether the mouse went down on Now."""
        return self._from is not None

    def press(self, place: QPoint) -> None:
        """The mouse went down on Now."""
        self._from = place

    def move(self, place: QPoint) -> bool:
        """The mouse moved; True if that is ours."""
        if self._from is None:
            return False
        far = (place - self._from).manhattanLength() >= QApplication.startDragDistance()
        if self._ghost is None and far and not self._scene.now.content.doing:
            self._ghost = self._made()
        if self._ghost is not None:
            there = self._view.mapToScene(place)
            self._ghost.setPos(there - QPointF(self._ghost.plane().width() / 2, 0))
            self._aim(self._scene.card_at(there))
        return True

    def release(self) -> str:
        """The mouse came up: the snapshot that Now was dropped on, "" for none."""
        target = self._target if self._ghost is not None else ""
        self.cancel()
        return target

    def cancel(self) -> None:
        """Let go."""
        self._aim("")
        if self._ghost is not None:
            self._scene.removeItem(self._ghost)
        self._from = self._ghost = None
        self._view.viewport().unsetCursor()

    def key(self, event: QKeyEvent) -> bool:
        """Esc lets go."""
        if self._ghost is None or event.key() != Qt.Key.Key_Escape:
            return False
        self.cancel()
        return True

    def _made(self) -> NowItem:
        ghost = NowItem()
        ghost.set_content(NowContent(self._scene.now.content.state))
        ghost.setOpacity(0.8)
        ghost.setZValue(10)
        ghost.setAcceptedMouseButtons(Qt.MouseButton.NoButton)
        self._scene.addItem(ghost)
        self._view.viewport().setCursor(Qt.CursorShape.ClosedHandCursor)
        return ghost

    def _aim(self, ref: str) -> None:
        for key in {self._target, ref} - {""}:
            if key in self._scene.cards:
                self._scene.cards[key].mark("target", key == ref)
        self._target = ref
