"""A little map of a large graph, in its lower right corner. Click or drag in it to go there."""

from __future__ import annotations

from PySide6.QtCore import QPointF, QRectF, QSize, Qt, Signal
from PySide6.QtGui import QColor, QMouseEvent, QPainter, QPaintEvent, QPen, QPixmap
from PySide6.QtWidgets import QGraphicsView, QWidget

from ui.base import theme
from ui.snapshots.graph_items import sizes
from ui.snapshots.graph_scene import GraphScene
from ui.snapshots.tree import BASE, NOW

#: smaller graphs need no map
MANY = 40
_WIDTH, _HEIGHT, _EDGE, _PAD = 176, 112, 12, 6


class Minimap(QWidget):
    """Shown while there are more than 40 nodes and not all of them can be seen."""

    #: a place of the scene to go to
    pointed = Signal(QPointF)

    def __init__(self, view: QGraphicsView, scene: GraphScene) -> None:
        super().__init__(view)
        self._view, self._scene = view, scene
        self._drawn: QPixmap | None = None
        self.setAccessibleName("Map of the graph")
        self.setCursor(Qt.CursorShape.CrossCursor)
        self.setFixedSize(_WIDTH, _HEIGHT)
        self.hide()
        theme.notifier.theme_changed.connect(self.forget)

    def forget(self) -> None:
        """The graph is another one: draw it again."""
        self._drawn = None
        self.update()

    def adjust(self) -> None:
        """Come, go, or move with the view."""
        tree = self._scene.tree
        seen = self._view.mapToScene(self._view.viewport().rect().adjusted(-2, -2, 2, 2)).boundingRect()
        wanted = tree is not None and len(tree.order) > MANY and not seen.contains(self._scene.sceneRect())
        self.setVisible(wanted)
        if wanted:
            room = self._view.viewport().geometry()
            self.move(room.right() - _WIDTH - _EDGE, room.bottom() - _HEIGHT - _EDGE)
            self.raise_()
            self.update()

    def sizeHint(self) -> QSize:
        return QSize(_WIDTH, _HEIGHT)

    def _scale(self) -> tuple[float, QPointF]:
        """How small it is, and where the scene's upper left corner is in the map."""
        whole = self._scene.sceneRect()
        scale = min((_WIDTH - 2 * _PAD) / whole.width(), (_HEIGHT - 2 * _PAD) / whole.height())
        corner = QPointF((_WIDTH - whole.width() * scale) / 2, (_HEIGHT - whole.height() * scale) / 2)
        return scale, corner - whole.topLeft() * scale

    def paintEvent(self, _event: QPaintEvent) -> None:
        painter = QPainter(self)
        painter.drawPixmap(0, 0, self._map())
        scale, origin = self._scale()
        seen = self._view.mapToScene(self._view.viewport().rect()).boundingRect() & self._scene.sceneRect()
        colours = theme.current()
        painter.setPen(QPen(QColor(colours.accent), 1.5))
        glass = QColor(colours.accent)
        glass.setAlphaF(0.12)
        painter.setBrush(glass)
        painter.drawRect(QRectF(seen.topLeft() * scale + origin, seen.size() * scale))
        painter.end()

    def _map(self) -> QPixmap:
        dpr = self.devicePixelRatioF()
        if self._drawn is not None and self._drawn.devicePixelRatio() == dpr:
            return self._drawn
        made = QPixmap(round(_WIDTH * dpr), round(_HEIGHT * dpr))
        made.setDevicePixelRatio(dpr)
        made.fill(Qt.GlobalColor.transparent)
        painter = QPainter(made)
        painter.setRenderHint(QPainter.RenderHint.Antialiasing)
        colours = theme.current()
        painter.setPen(QPen(QColor(colours.border), 1))
        painter.setBrush(QColor(colours.surface))
        painter.drawRoundedRect(QRectF(0.5, 0.5, _WIDTH - 1, _HEIGHT - 1), 6, 6)
        self._paint_nodes(painter)
        painter.end()
        self._drawn = made
        return made

    def _paint_nodes(self, painter: QPainter) -> None:
        tree = self._scene.tree
        if tree is None:
            return
        colours = theme.current()
        scale, origin = self._scale()
        for key, node in tree.nodes.items():
            plane = self._scene.item(key).plane().translated(sizes().place(node))
            small = QRectF(plane.topLeft() * scale + origin, plane.size() * scale)
            small.setSize(small.size().expandedTo(QRectF(0, 0, 2, 2).size()))
            quiet = key == BASE or not node.on_path
            painter.fillRect(
                small, QColor(colours.good if key == NOW else colours.control if quiet else colours.accent)
            )

    def mousePressEvent(self, event: QMouseEvent) -> None:
        self._go(event)

    def mouseMoveEvent(self, event: QMouseEvent) -> None:
        self._go(event)

    def _go(self, event: QMouseEvent) -> None:
        scale, origin = self._scale()
        self.pointed.emit((event.position() - origin) / scale)
        event.accept()
