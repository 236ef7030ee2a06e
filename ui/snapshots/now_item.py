"""Now: the current state of the VM, as a pill. It pulses only while an operation runs, and says which and how far."""

from __future__ import annotations

from dataclasses import dataclass

from PySide6.QtCore import QEasingCurve, QPointF, QRectF, Qt, QVariantAnimation
from PySide6.QtGui import QColor, QFontMetricsF, QPainter, QPainterPath, QPen
from PySide6.QtWidgets import QGraphicsObject, QStyleOptionGraphicsItem, QWidget

from app.api import VMPowerState
from ui.base import fonts, icons, motion, text, theme
from ui.snapshots.graph_items import small, strong
from ui.widgets.progress import paint_capacity

_PULSE_MS = 1400
_LEAST, _MOST = 118.0, 250.0
_TONES = {
    VMPowerState.Running: "good",
    VMPowerState.Paused: "attention",
    VMPowerState.Suspended: "info",
    VMPowerState.Halted: "secondary",
}


@dataclass(frozen=True, slots=True)
class NowContent:
    """What Now says: the state; while something runs, what, how far (0 to 1, None: unknown), and why it waits."""

    state: VMPowerState = VMPowerState.Halted
    doing: str = ""
    progress: float | None = None
    cause: str = ""
    #: the task of what runs, while it may be cancelled
    cancellable: str = ""

    @property
    def words(self) -> str:
        """The first line."""
        return self.said or f"Now · {self.state.value.lower()}"

    @property
    def said(self) -> str:
        """What runs, and how far: ``Reverting · 40 %``; "" for nothing."""
        if not self.doing:
            return ""
        return f"{self.doing} · {round(self.progress * 100)} %" if self.progress else f"{self.doing}…"

    @property
    def spoken(self) -> str:
        """All of it, for a tooltip or a screen reader."""
        state = f"Now: {self.state.value.lower()}"
        return ". ".join(filter(None, (state, self.said, self.cause)))


class NowItem(QGraphicsObject):
    """The pill. Its place is the middle of its left edge."""

    def __init__(self) -> None:
        super().__init__()
        self.content = NowContent()
        self._pulse = QVariantAnimation(self)
        self._pulse.setStartValue(0.0)
        self._pulse.setKeyValueAt(0.5, 1.0)
        self._pulse.setEndValue(0.0)
        self._pulse.setDuration(_PULSE_MS)
        self._pulse.setLoopCount(-1)
        self._pulse.setEasingCurve(QEasingCurve.Type.InOutSine)
        self._pulse.valueChanged.connect(lambda _value: self.update())
        self._seen = True
        self.setCursor(Qt.CursorShape.OpenHandCursor)
        self.set_content(self.content)

    def set_content(self, content: NowContent) -> None:
        """Say something else."""
        self.prepareGeometryChange()
        self.content = content
        hint = "" if content.doing else "Drag it onto a snapshot to revert to that."
        if content.cancellable:
            hint = "Click the cross to cancel it."
        self.setToolTip(text.tooltip("\n".join(filter(None, (content.spoken, hint)))))
        self._beat()
        self.update()

    def set_seen(self, seen: bool) -> None:
        """Whether anyone can see it; else nothing moves."""
        self._seen = seen
        self._beat()

    def is_pulsing(self) -> bool:
        """Whether it moves."""
        return self._pulse.state() == QVariantAnimation.State.Running

    def _beat(self) -> None:
        wanted = bool(self.content.doing) and self._seen and not motion.is_reduced()
        if wanted and not self.is_pulsing():
            self._pulse.start()
        elif not wanted:
            self._pulse.stop()

    def plane(self) -> QRectF:
        """The pill."""
        s = fonts.scale()
        wide = QFontMetricsF(strong()).horizontalAdvance(self.content.words) + 44 + self._beside()
        if self.content.cause:
            wide = max(wide, QFontMetricsF(small()).horizontalAdvance(self.content.cause) + 44)
        height = (32 if not self.content.doing else 60 if self.content.cause else 44) * s
        return QRectF(0, -height / 2, min(_MOST * s, max(_LEAST * s, wide)), height)

    def cross(self) -> QRectF:
        """Where a click cancels what runs; empty while that is not possible."""
        if not self.content.cancellable:
            return QRectF()
        plane, side = self.plane(), 22 * fonts.scale()
        return QRectF(plane.right() - side - 8, plane.top() + 6 * fonts.scale(), side, side)

    def _beside(self) -> float:
        """The room that the cross takes beside the words."""
        return 22 * fonts.scale() if self.content.cancellable else 0.0

    def boundingRect(self) -> QRectF:
        return self.plane().adjusted(-7, -7, 7, 7)

    def shape(self) -> QPainterPath:
        path = QPainterPath()
        path.addRect(self.plane())
        return path

    def paint(self, painter: QPainter, option: QStyleOptionGraphicsItem, widget: QWidget | None = None) -> None:
        colours = theme.current()
        plane = self.plane()
        radius = min(plane.height() / 2, 18.0)
        if self.is_pulsing():
            halo = QColor(colours.accent)
            halo.setAlphaF(0.10 + 0.22 * float(self._pulse.currentValue()))
            painter.setPen(QPen(halo, 6))
            painter.setBrush(Qt.BrushStyle.NoBrush)
            painter.drawRoundedRect(plane.adjusted(-3, -3, 3, 3), radius + 3, radius + 3)
        painter.setPen(QPen(QColor(colours.accent), 1.5))
        painter.setBrush(QColor(colours.selection))
        painter.drawRoundedRect(plane, radius, radius)
        self._paint_words(painter, plane)
        if self.content.cancellable:
            icons.paint(painter, self.cross().adjusted(4, 4, -4, -4), "close")
        if self.content.doing:
            bar = QRectF(plane.left() + 16, plane.bottom() - 13, plane.width() - 32, 4)
            paint_capacity(painter, bar, ((self.content.progress or 0.0, "accent"),))

    def _paint_words(self, painter: QPainter, plane: QRectF) -> None:
        colours = theme.current()
        s = fonts.scale()
        middle = plane.center().y() if not self.content.doing else plane.top() + 17 * s
        paint_state(painter, QPointF(plane.left() + 19, middle), self.content.state)
        room = plane.width() - 44 - self._beside()
        painter.setPen(QColor(colours.text))
        painter.setFont(strong())
        words = QFontMetricsF(strong()).elidedText(self.content.words, Qt.TextElideMode.ElideRight, room)
        painter.drawText(QRectF(plane.left() + 30, middle - 10 * s, room, 20 * s), Qt.AlignmentFlag.AlignVCenter, words)
        if self.content.cause:
            painter.setPen(QColor(colours.secondary))
            painter.setFont(small())
            cause = QFontMetricsF(small()).elidedText(self.content.cause, Qt.TextElideMode.ElideRight, room)
            below = QRectF(plane.left() + 30, middle + 9 * s, room, 16 * s)
            painter.drawText(below, Qt.AlignmentFlag.AlignVCenter, cause)


def paint_state(painter: QPainter, centre: QPointF, state: VMPowerState) -> None:
    """A power state as a small shape in its colour: disc, two bars, half disc, ring."""
    colour = QColor(theme.current().named()[_TONES[state]])
    painter.setPen(Qt.PenStyle.NoPen)
    painter.setBrush(colour)
    if state is VMPowerState.Running:
        painter.drawEllipse(centre, 4.5, 4.5)
    elif state is VMPowerState.Paused:
        painter.drawRoundedRect(QRectF(centre.x() - 4, centre.y() - 4.5, 3, 9), 1, 1)
        painter.drawRoundedRect(QRectF(centre.x() + 1, centre.y() - 4.5, 3, 9), 1, 1)
    elif state is VMPowerState.Suspended:
        painter.drawPie(QRectF(centre.x() - 4.5, centre.y() - 4.5, 9, 9), 90 * 16, 180 * 16)
        painter.setBrush(Qt.BrushStyle.NoBrush)
        painter.setPen(QPen(colour, 1.5))
        painter.drawEllipse(centre, 4, 4)
    else:
        painter.setBrush(Qt.BrushStyle.NoBrush)
        painter.setPen(QPen(colour, 1.75))
        painter.drawEllipse(centre, 4, 4)
