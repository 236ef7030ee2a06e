"""The graph of a VM's snapshots: chosen with mouse and keyboard, zoomed, and reverted to by a double click."""

from __future__ import annotations

from collections.abc import Mapping
from collections.abc import Set as AbstractSet
from typing import Final

from PySide6.QtCore import QEvent, QPoint, QPointF, QRect, Qt, Signal
from PySide6.QtGui import (
    QAccessible,
    QAccessibleEvent,
    QContextMenuEvent,
    QFocusEvent,
    QHideEvent,
    QKeyEvent,
    QMouseEvent,
    QNativeGestureEvent,
    QPainter,
    QResizeEvent,
    QShowEvent,
    QWheelEvent,
)
from PySide6.QtWidgets import QFrame, QGraphicsView, QWidget

from ui.snapshots.card import CardContent
from ui.snapshots.chosen import Chosen
from ui.snapshots.graph_items import Picture
from ui.snapshots.graph_scene import GraphScene
from ui.snapshots.now_drag import NowDrag
from ui.snapshots.now_item import NowContent
from ui.snapshots.tree import Direction, Tree, between, neighbour
from ui.snapshots.zoom import Zoom

_ARROWS: Final[Mapping[int, Direction]] = {
    Qt.Key.Key_Left: "left",
    Qt.Key.Key_Right: "right",
    Qt.Key.Key_Up: "up",
    Qt.Key.Key_Down: "down",
}
_CTRL = Qt.KeyboardModifier.ControlModifier
_SHIFT = Qt.KeyboardModifier.ShiftModifier
_LEFT = Qt.MouseButton.LeftButton


class GraphView(QGraphicsView):
    """Cards from left to right, Base to Now.

    :param chosen: shared with the list; the graph shows and changes it.
    """

    #: Enter or a double click on a snapshot
    activated = Signal(str)
    #: a context menu is wanted here, in global coordinates, for what is chosen
    menu_requested = Signal(QPoint)
    #: Now was dropped on a snapshot
    dropped = Signal(str)
    #: the task of what Now shows is to be stopped
    cancelled = Signal(str)

    def __init__(self, chosen: Chosen, picture: Picture, parent: QWidget | None = None) -> None:
        super().__init__(parent)
        self._chosen = chosen
        self._anchor = ""
        self._kept: tuple[str, ...] = ()
        self._marked: set[str] = set()
        self._ringed = ""
        self._by_keyboard = False
        self._pan: QPoint | None = None
        self.graph = GraphScene(picture, self)
        self.setScene(self.graph)
        self.zoom = Zoom(self, self.graph)
        self.drag = NowDrag(self, self.graph)
        self.setAccessibleName("Snapshot graph")
        self.setFrameShape(QFrame.Shape.NoFrame)
        self.setRenderHint(QPainter.RenderHint.Antialiasing)
        self.setDragMode(QGraphicsView.DragMode.RubberBandDrag)
        self.setViewportUpdateMode(QGraphicsView.ViewportUpdateMode.SmartViewportUpdate)
        self.rubberBandChanged.connect(self._band)
        chosen.changed.connect(self._show_chosen)

    def show_tree(self, tree: Tree, cards: Mapping[str, CardContent], now: NowContent) -> None:
        """Show another tree; place and zoom stay where they can."""
        hold = self.zoom.hold(self._chosen.current)
        self.graph.show_tree(tree, cards, now, moving=self.isVisible())
        self.zoom.release(hold)
        self._show_chosen()

    def set_contents(self, cards: Mapping[str, CardContent], now: NowContent) -> None:
        """Say something else of the same tree. Now, if it can be seen, is seen whole also when it has grown."""
        begins = now.doing != self.graph.now.content.doing
        self.graph.set_contents(cards, now)
        pill = self.graph.now.sceneBoundingRect()
        if begins and self.mapToScene(self.viewport().rect()).boundingRect().intersects(pill):
            self.zoom.adjust()
            self.ensureVisible(pill, 4, 4)
        self._describe()

    def set_matching(self, refs: AbstractSet[str] | None) -> None:
        """Dim every card but these; None dims nothing."""
        for key, card in self.graph.cards.items():
            card.mark("dimmed", refs is not None and key not in refs)

    def reveal(self, ref: str) -> None:
        """Scroll to a node so that all of it can be seen."""
        if self.graph.tree is not None and ref in self.graph.tree.nodes:
            self.ensureVisible(self.graph.item(ref).sceneBoundingRect(), 16, 16)

    def repaint_screen(self, blob: str) -> None:
        """A picture has come: paint the cards that show it."""
        for card in self.graph.cards.values():
            if card.content.screen == blob:
                card.update()

    def spoken(self) -> str:
        """What a screen reader says of where the keyboard is."""
        tree = self.graph.tree
        if tree is None:
            return ""
        card = self.graph.cards.get(self._chosen.current)
        here = card.content.spoken if card is not None else self.graph.now.content.spoken
        many = len(self._chosen.refs)
        return f"{here}. {many} snapshots chosen" if many > 1 else here

    # ---- the chosen ones --------------------------------------------------------------------------------------

    def _show_chosen(self) -> None:
        refs = set(self._chosen.refs)
        ringed = self._chosen.current if self.hasFocus() and self._by_keyboard else ""
        touched = refs | self._marked | {ringed, self._ringed}
        self._marked, self._ringed = refs, ringed
        for key in touched & self.graph.cards.keys():
            card = self.graph.cards[key]
            card.mark("chosen", key in refs)
            card.mark("ringed", key == ringed)
            card.setZValue(1 if key in refs or key == ringed else 0)
        self._describe()

    def _describe(self) -> None:
        words = self.spoken()
        if words != self.accessibleDescription():
            self.setAccessibleDescription(words)
            QAccessible.updateAccessibility(QAccessibleEvent(self, QAccessible.Event.DescriptionChanged))

    def _choose(self, ref: str, modifiers: Qt.KeyboardModifier) -> None:
        """Choose as lists do: Ctrl adds or takes away, Shift takes everything from the last one on."""
        tree = self.graph.tree
        if tree is None:
            return
        if modifiers & _SHIFT and self._anchor in tree.nodes:
            reach = between(tree, self._anchor, ref)
            self._chosen.choose((*self._chosen.refs, *reach) if modifiers & _CTRL else reach, ref)
            return
        self._anchor = ref
        if modifiers & _CTRL:
            self._chosen.toggle(ref)
        else:
            self._chosen.choose((ref,), ref)

    def _band(self, area: QRect, start: QPointF, end: QPointF) -> None:
        if not area.isNull():
            caught = self.graph.cards_in(self.mapToScene(area).boundingRect())
            self._chosen.choose((*self._kept, *caught))

    # ---- mouse ------------------------------------------------------------------------------------------------

    def mousePressEvent(self, event: QMouseEvent) -> None:
        self._by_keyboard = False
        place = event.position().toPoint()
        ref = self.graph.card_at(self.mapToScene(place))
        if event.button() == Qt.MouseButton.MiddleButton:
            self._pan = place
            self.viewport().setCursor(Qt.CursorShape.ClosedHandCursor)
        elif event.button() == _LEFT and self.itemAt(place) is self.graph.now:
            there = self.graph.now.mapFromScene(self.mapToScene(place))
            if self.graph.now.cross().contains(there):
                self.cancelled.emit(self.graph.now.content.cancellable)
            else:
                self.drag.press(place)
        elif event.button() == _LEFT and ref:
            self._choose(ref, event.modifiers())
        elif event.button() == _LEFT:
            self._kept = self._chosen.refs if event.modifiers() & (_CTRL | _SHIFT) else ()
            self._chosen.choose(self._kept)
            super().mousePressEvent(event)  # begins the rubber band
        event.accept()

    def mouseMoveEvent(self, event: QMouseEvent) -> None:
        place = event.position().toPoint()
        if self._pan is not None:
            way, self._pan = place - self._pan, place
            self.zoom.scroll_by(-way.x(), -way.y())
        elif not self.drag.move(place):
            super().mouseMoveEvent(event)

    def mouseReleaseEvent(self, event: QMouseEvent) -> None:
        if self._pan is not None:
            self._pan = None
            self.viewport().unsetCursor()
        elif self.drag.is_pressed():
            ref = self.drag.release()
            self._chosen.choose((ref,) if ref else ())
            if ref:
                self.dropped.emit(ref)
        else:
            super().mouseReleaseEvent(event)

    def mouseDoubleClickEvent(self, event: QMouseEvent) -> None:
        ref = self.graph.card_at(self.mapToScene(event.position().toPoint()))
        if event.button() == _LEFT and ref:
            self._chosen.choose((ref,), ref)
            self.activated.emit(ref)

    def contextMenuEvent(self, event: QContextMenuEvent) -> None:
        if event.reason() == QContextMenuEvent.Reason.Keyboard:
            place = self._below_current()
        else:
            ref = self.graph.card_at(self.mapToScene(event.pos()))
            if ref not in self._chosen.refs:
                self._anchor = ref
                self._chosen.choose((ref,) if ref else ())
            place = event.globalPos()
        self.menu_requested.emit(place)
        event.accept()

    def _below_current(self) -> QPoint:
        card = self.graph.cards.get(self._chosen.current)
        if card is None:
            return self.viewport().mapToGlobal(self.viewport().rect().center())
        self.reveal(card.key)
        return self.viewport().mapToGlobal(self.mapFromScene(card.mapToScene(card.plane().center())))

    # ---- keyboard ---------------------------------------------------------------------------------------------

    def keyPressEvent(self, event: QKeyEvent) -> None:
        self._by_keyboard = True
        if not (self.drag.key(event) or self.zoom.key(event) or self._move(event) or self._act(event)):
            event.ignore()
            return
        event.accept()
        self._show_chosen()

    def _move(self, event: QKeyEvent) -> bool:
        tree = self.graph.tree
        if tree is None or not tree.snapshots:
            return False
        here = self._chosen.current if self._chosen.current in tree.nodes else ""
        start = tree.parent_of_now if tree.parent_of_now in self.graph.cards else tree.snapshots[0]
        if event.key() in _ARROWS:
            there = neighbour(tree, here, _ARROWS[event.key()]) if here else start
        elif event.key() == Qt.Key.Key_Home:
            there = tree.snapshots[0]
        elif event.key() == Qt.Key.Key_End:
            there = start
        else:
            return False
        if event.modifiers() & _CTRL and not event.modifiers() & _SHIFT:
            self._chosen.choose(self._chosen.refs, there)
        else:
            self._choose(there, event.modifiers() & _SHIFT)
        self.reveal(there)
        return True

    def _act(self, event: QKeyEvent) -> bool:
        tree, here = self.graph.tree, self._chosen.current
        if tree is None:
            return False
        if event.key() == Qt.Key.Key_A and event.modifiers() & _CTRL:
            self._chosen.choose(tree.snapshots)
        elif event.key() == Qt.Key.Key_Escape and self._chosen.refs:
            self._chosen.choose(())
        elif event.key() == Qt.Key.Key_Space and here in self.graph.cards:
            self._chosen.toggle(here)
        elif event.key() in (Qt.Key.Key_Return, Qt.Key.Key_Enter) and self._chosen.refs == (here,):
            self.activated.emit(here)
        else:
            return False
        return True

    def focusInEvent(self, event: QFocusEvent) -> None:
        super().focusInEvent(event)
        self._by_keyboard = event.reason() in (Qt.FocusReason.TabFocusReason, Qt.FocusReason.BacktabFocusReason)
        self._show_chosen()

    def focusOutEvent(self, event: QFocusEvent) -> None:
        super().focusOutEvent(event)
        self._show_chosen()

    # ---- being seen -------------------------------------------------------------------------------------------

    def showEvent(self, event: QShowEvent) -> None:
        super().showEvent(event)
        self.graph.now.set_seen(True)
        self.zoom.adjust()

    def hideEvent(self, event: QHideEvent) -> None:
        super().hideEvent(event)
        self.graph.now.set_seen(False)

    def resizeEvent(self, event: QResizeEvent) -> None:
        super().resizeEvent(event)
        self.zoom.adjust()

    def wheelEvent(self, event: QWheelEvent) -> None:
        if not self.zoom.wheel(event):
            super().wheelEvent(event)

    def viewportEvent(self, event: QEvent) -> bool:
        if isinstance(event, QNativeGestureEvent) and self.zoom.gesture(event):
            return True
        return super().viewportEvent(event)
