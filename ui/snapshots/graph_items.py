"""What is drawn in the graph: cards, the pills Base and Now, and the lines between them."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from functools import cache

from PySide6.QtCore import QPointF, QRectF, QSizeF, Qt
from PySide6.QtGui import QColor, QFont, QFontMetricsF, QImage, QPainter, QPainterPath, QPen
from PySide6.QtWidgets import QGraphicsItem, QStyleOptionGraphicsItem, QWidget

from ui.base import fonts, icons, text, theme
from ui.snapshots.card import CardContent
from ui.snapshots.tree import Node
from ui.widgets.thumbnail import paint_thumbnail

#: below this zoom words cannot be read, and are not drawn; below the next a card is a spot of colour
COARSE = 0.42
TINY = 0.2
_PAD = 8.0
_RADIUS = 8.0
_TURN = 12.0
_DIMMED = 0.35

Picture = Callable[[str], QImage | None]


@dataclass(frozen=True, slots=True)
class Sizes:
    """Lengths in the graph, in logical pixels at zoom 1; they grow with the person's text."""

    card: QSizeF
    thumbnail: QSizeF
    base: QSizeF
    column: float
    row: float
    first: float

    def place(self, node: Node) -> QPointF:
        """The left edge and vertical middle of a node."""
        left = 0.0 if node.depth == 0 else self.first + (node.depth - 1) * self.column
        return QPointF(left, node.row * self.row)


@cache
def sizes() -> Sizes:
    """The lengths on this desktop."""
    s = fonts.scale()
    card = QSizeF(168 * s, 112 * s)
    return Sizes(
        card=card,
        thumbnail=QSizeF(card.width() - 2 * _PAD, card.height() - 52 * s),
        base=QSizeF(64 * s, 28 * s),
        column=card.width() + 48,
        row=card.height() + 36,
        first=64 * s + 40,
    )


@cache
def strong() -> QFont:
    """The font of names."""
    return fonts.font(strong=True)


@cache
def small() -> QFont:
    """The font of second lines."""
    return fonts.font(fonts.Role.SECONDARY, tabular=True)


class CardItem(QGraphicsItem):
    """One snapshot. Its place is the middle of its left edge."""

    def __init__(self, key: str, content: CardContent, picture: Picture) -> None:
        super().__init__()
        self.key = key
        self.content = content
        self._picture = picture
        self._elided: tuple[str, str] | None = None
        self._flags: frozenset[str] = frozenset()
        self.setAcceptHoverEvents(True)

    def set_content(self, content: CardContent) -> None:
        """Say something else."""
        if content is not self.content:
            self.content = content
            self._elided = None
            self.update()

    def _lines(self) -> tuple[str, str]:
        """The two lines as they fit."""
        if self._elided is None:
            room = sizes().card.width() - 2 * _PAD - 22
            cut = Qt.TextElideMode.ElideRight
            marks = 18.0 * len(self.content.badges)
            self._elided = (
                QFontMetricsF(strong()).elidedText(self.content.name, cut, room),
                QFontMetricsF(small()).elidedText(self.content.second, cut, room - marks),
            )
        return self._elided

    def mark(self, flag: str, on: bool) -> None:
        """Set or clear "chosen", "ringed", "dimmed" or "target"."""
        flags = self._flags | {flag} if on else self._flags - {flag}
        if flags != self._flags:
            self._flags = flags
            self.update()

    def is_marked(self, flag: str) -> bool:
        """Whether a flag is set."""
        return flag in self._flags

    def plane(self) -> QRectF:
        """The card without its focus ring."""
        card = sizes().card
        return QRectF(0, -card.height() / 2, card.width(), card.height())

    def boundingRect(self) -> QRectF:
        return self.plane().adjusted(-5, -5, 5, 5)

    def shape(self) -> QPainterPath:
        path = QPainterPath()
        path.addRect(self.plane())
        return path

    def hoverEnterEvent(self, event: object) -> None:
        self.setToolTip(text.tooltip(self.content.tooltip))
        self.mark("pointed", True)

    def hoverLeaveEvent(self, event: object) -> None:
        self.mark("pointed", False)

    def paint(self, painter: QPainter, option: QStyleOptionGraphicsItem, widget: QWidget | None = None) -> None:
        zoom = QStyleOptionGraphicsItem.levelOfDetailFromTransform(painter.worldTransform())
        if "dimmed" in self._flags:
            painter.setOpacity(_DIMMED)
        if zoom < TINY:
            colours = theme.current()
            painter.fillRect(self.plane(), QColor(colours.accent if "chosen" in self._flags else colours.control))
            return
        self._paint_plane(painter, zoom)
        if zoom < COARSE:
            screen = self.plane().adjusted(_PAD, _PAD, -_PAD, 0)
            screen.setHeight(sizes().thumbnail.height())
            painter.fillRect(screen, QColor(theme.current().console_bg))
            return
        self._paint_screen(painter)
        self._paint_words(painter)
        self._paint_badges(painter)

    def _paint_plane(self, painter: QPainter, zoom: float) -> None:
        colours = theme.current()
        chosen, target = "chosen" in self._flags, "target" in self._flags
        plane = colours.selection if chosen or target else colours.hover if "pointed" in self._flags else colours.raised
        painter.setBrush(QColor(plane))
        edge = colours.accent if chosen or target else colours.border
        painter.setPen(QPen(QColor(edge), (2.0 if chosen or target else 1.0) / min(1.0, max(zoom, 0.3))))
        painter.drawRoundedRect(self.plane(), _RADIUS, _RADIUS)
        if "ringed" in self._flags:
            painter.setBrush(Qt.BrushStyle.NoBrush)
            painter.setPen(QPen(QColor(colours.accent), 2))
            painter.drawRoundedRect(self.plane().adjusted(-4, -4, 4, 4), _RADIUS + 3, _RADIUS + 3)

    def _paint_screen(self, painter: QPainter) -> None:
        corner = self.plane().topLeft() + QPointF(_PAD, _PAD)
        opacity = painter.opacity()
        paint_thumbnail(
            painter, QRectF(corner, sizes().thumbnail), self._picture(self.content.screen), self.content.icon, 4.0
        )
        painter.setOpacity(opacity)

    def _paint_words(self, painter: QPainter) -> None:
        colours = theme.current()
        s = fonts.scale()
        left, bottom = _PAD, self.plane().bottom()
        icons.paint(painter, QRectF(left, bottom - 37 * s, 16, 16), self.content.icon)
        painter.setFont(strong())
        painter.setPen(QColor(colours.text))
        room = self.plane().width() - 2 * _PAD
        upper = QRectF(left + 22, bottom - 39 * s, room - 22, 20 * s)
        painter.drawText(upper, Qt.AlignmentFlag.AlignVCenter, self._lines()[0])
        painter.setFont(small())
        painter.setPen(QColor(colours.attention if self.content.busy else colours.secondary))
        lower = QRectF(left + 22, bottom - 21 * s, room - 22, 16 * s)
        painter.drawText(lower, Qt.AlignmentFlag.AlignVCenter, self._lines()[1])

    def _paint_badges(self, painter: QPainter) -> None:
        right, bottom = self.plane().right() - _PAD, self.plane().bottom()
        middle = bottom - 13 * fonts.scale()
        for place, (icon, _) in enumerate(reversed(self.content.badges)):
            icons.paint(painter, QRectF(right - 14 - place * 18, middle - 7, 14, 14), icon)


class BaseItem(QGraphicsItem):
    """Where it all began: a quiet pill. Its place is the middle of its left edge."""

    def __init__(self) -> None:
        super().__init__()
        self.setToolTip("What the VM was before its first snapshot")

    def plane(self) -> QRectF:
        """The pill."""
        return QRectF(QPointF(0, -sizes().base.height() / 2), sizes().base)

    def boundingRect(self) -> QRectF:
        return self.plane().adjusted(-1, -1, 1, 1)

    def paint(self, painter: QPainter, option: QStyleOptionGraphicsItem, widget: QWidget | None = None) -> None:
        colours = theme.current()
        painter.setBrush(QColor(colours.raised))
        painter.setPen(QPen(QColor(colours.border), 1))
        half = self.plane().height() / 2
        painter.drawRoundedRect(self.plane(), half, half)
        painter.setPen(QColor(colours.secondary))
        painter.setFont(strong())
        painter.drawText(self.plane(), Qt.AlignmentFlag.AlignCenter, "Base")


def elbow(start: QPointF, end: QPointF) -> QPainterPath:
    """A line that leaves to the right, turns just before ``end``, and arrives from the left, with round corners."""
    path = QPainterPath(start)
    rise = end.y() - start.y()
    turn = end.x() - min(24.0, (end.x() - start.x()) / 2)
    radius = min(_TURN, abs(rise) / 2, abs(end.x() - turn), abs(turn - start.x()))
    if abs(rise) > 0.5:
        way = radius if rise > 0 else -radius
        path.lineTo(turn - radius, start.y())
        path.quadTo(turn, start.y(), turn, start.y() + way)
        path.lineTo(turn, end.y() - way)
        path.quadTo(turn, end.y(), turn + radius, end.y())
    path.lineTo(end)
    return path
