"""The lanes drawn: a time axis above, names at the left, marks, gaps in red, runs to come, and a brush to choose."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import Final

from PySide6.QtCore import QPoint, QPointF, QRectF, QSize, Qt, Signal
from PySide6.QtGui import (
    QColor,
    QFontMetrics,
    QHelpEvent,
    QKeyEvent,
    QMouseEvent,
    QPainter,
    QPaintEvent,
    QPen,
    QWheelEvent,
)
from PySide6.QtWidgets import QAbstractScrollArea, QToolTip, QWidget

from ui.base import fonts, icons, text, theme
from ui.base.sizes_and_dates import date_and_time
from ui.schedules.lanes import SPANS, Lane, Mark, TimeAxis

ROW: Final = 32
_NAMES: Final = 200
_AXIS: Final = 32
_MARK: Final = 5.0
_REACH: Final = 7.0
_AHEAD: Final = 0.2
"""Part of the span that lies ahead of now."""


class TimelineView(QAbstractScrollArea):
    """Only the lanes in sight are drawn. Drag chooses; Ctrl+wheel zooms; Shift+wheel, Left and Right go in time."""

    #: the chosen snapshots are others now
    chosen_changed = Signal()
    #: a VM was double-clicked: its reference
    opened = Signal(str)
    #: Delete was pressed
    delete_asked = Signal()

    def __init__(self, parent: QWidget | None = None) -> None:
        super().__init__(parent)
        self._lanes: list[Lane] = []
        self._chosen: set[str] = set()
        self._brush: tuple[QPoint, QPoint] | None = None
        self._span = SPANS["week"]
        self._now = datetime.now(UTC)
        self._start = self._now - self._span * (1 - _AHEAD)
        self.setFocusPolicy(Qt.FocusPolicy.StrongFocus)
        self.setHorizontalScrollBarPolicy(Qt.ScrollBarPolicy.ScrollBarAlwaysOff)
        self.setFrameShape(QAbstractScrollArea.Shape.NoFrame)
        self.setAccessibleName("Timeline")
        self.viewport().setMouseTracking(True)

    # ---- what it shows ----------------------------------------------------------------------------------------

    def set_lanes(self, lanes: list[Lane], now: datetime) -> None:
        """Show these; what was chosen stays chosen where it still is."""
        follows = self._now - self._start > timedelta(0) and abs((self._now - self._start) / self._span - 0.8) < 0.01
        self._lanes, self._now = lanes, now
        if follows:
            self._start = now - self._span * (1 - _AHEAD)
        self._choose(self._chosen & {mark.ref for lane in lanes for mark in lane.marks})
        said = [
            f"{lane.name}: {len(lane.marks)} snapshots" + "".join(f", {g.words()}" for g in lane.gaps) for lane in lanes
        ]
        self.setAccessibleDescription("; ".join(said[:50]))
        self._fit()

    def show_span(self, key: str) -> None:
        """A day, week, month or quarter, with now near its end."""
        self._span = SPANS[key]
        self._start = self._now - self._span * (1 - _AHEAD)
        self.viewport().update()

    def chosen(self) -> list[str]:
        """The chosen snapshots, in the order of the lanes and of time."""
        return [mark.ref for lane in self._lanes for mark in lane.marks if mark.ref in self._chosen]

    def choose(self, refs: set[str]) -> None:
        """Choose exactly these."""
        self._choose(refs)

    def axis(self) -> TimeAxis:
        """Time across the lanes."""
        return TimeAxis(self._start, self._span, max(1, self.viewport().width() - _NAMES - 12))

    def place_of(self, ref: str) -> QPoint | None:
        """Where a mark is in the viewport, or None."""
        for row, lane in enumerate(self._lanes):
            for mark in lane.marks:
                if mark.ref == ref:
                    return QPoint(round(_NAMES + self.axis().x(mark.time)), round(self._top(row) + ROW / 2))
        return None

    def minimumSizeHint(self) -> QSize:
        return QSize(480, 160)

    def _choose(self, refs: set[str]) -> None:
        if refs != self._chosen:
            self._chosen = refs
            self.chosen_changed.emit()
        self.viewport().update()

    def _top(self, row: int) -> float:
        return _AXIS + row * ROW - self.verticalScrollBar().value()

    def _fit(self) -> None:
        room = self.viewport().height() - _AXIS
        self.verticalScrollBar().setRange(0, max(0, len(self._lanes) * ROW - room))
        self.verticalScrollBar().setPageStep(max(1, room))
        self.verticalScrollBar().setSingleStep(ROW)
        self.viewport().update()

    def resizeEvent(self, event: object) -> None:
        self._fit()

    # ---- drawing ----------------------------------------------------------------------------------------------

    def paintEvent(self, _event: QPaintEvent) -> None:
        painter = QPainter(self.viewport())
        painter.setRenderHint(QPainter.RenderHint.Antialiasing)
        axis, height = self.axis(), self.viewport().height()
        self._paint_grid(painter, axis, height)
        first = max(0, int(self.verticalScrollBar().value() // ROW))
        last = min(len(self._lanes), first + height // ROW + 2)
        for row in range(first, last):
            self._paint_lane(painter, axis, self._lanes[row], self._top(row))
        self._paint_axis(painter, axis)
        self._paint_brush(painter)
        painter.end()

    def _paint_grid(self, painter: QPainter, axis: TimeAxis, height: int) -> None:
        colours = theme.current()
        painter.fillRect(self.viewport().rect(), QColor(colours.surface))
        painter.setPen(QPen(QColor(colours.line), 1))
        for moment, _ in axis.ticks():
            x = round(_NAMES + axis.x(moment)) + 0.5
            painter.drawLine(QPointF(x, _AXIS), QPointF(x, height))
        now = _NAMES + axis.x(self._now)
        if now >= _NAMES:
            painter.fillRect(
                QRectF(now, _AXIS, max(0.0, self.viewport().width() - now), height), QColor(colours.raised)
            )
            painter.setPen(QPen(QColor(colours.accent), 1.5))
            painter.drawLine(QPointF(now, _AXIS - 6), QPointF(now, height))

    def _paint_axis(self, painter: QPainter, axis: TimeAxis) -> None:
        colours = theme.current()
        painter.fillRect(QRectF(0, 0, self.viewport().width(), _AXIS), QColor(colours.surface))
        painter.setFont(fonts.font(fonts.Role.SECONDARY))
        metrics = QFontMetrics(painter.font())
        now = _NAMES + axis.x(self._now)
        painter.setPen(QColor(colours.secondary))
        for moment, words in axis.ticks():
            x = _NAMES + axis.x(moment)
            end = x + 4 + metrics.horizontalAdvance(words)
            if (end < now - 20 or x > now + 16) and end < self.viewport().width():
                painter.drawText(QPointF(x + 4, 20), words)
        if now >= _NAMES:
            painter.setPen(QColor(colours.accent))
            painter.drawText(QRectF(now - 30, 6, 60, 18), Qt.AlignmentFlag.AlignCenter, "now")
        painter.setPen(QPen(QColor(colours.line), 1))
        painter.drawLine(QPointF(0, _AXIS - 0.5), QPointF(self.viewport().width(), _AXIS - 0.5))

    def _paint_lane(self, painter: QPainter, axis: TimeAxis, lane: Lane, top: float) -> None:
        colours = theme.current()
        middle = top + ROW / 2
        painter.setClipRect(QRectF(_NAMES - 8, _AXIS, self.viewport().width(), self.viewport().height()))
        for gap in lane.gaps:
            self._paint_gap(
                painter, axis, gap.words(), QRectF(_NAMES + axis.x(gap.start), top + 6, 0, ROW - 12), gap.end
            )
        painter.setPen(QPen(QColor(colours.secondary), 1.25))
        painter.setBrush(Qt.BrushStyle.NoBrush)
        for moment in lane.upcoming:
            x = _NAMES + axis.x(moment)
            if moment > self._now and x < self.viewport().width():
                painter.drawEllipse(QPointF(x, middle), _MARK - 1, _MARK - 1)
        for mark in lane.marks:
            x = _NAMES + axis.x(mark.time)
            if _NAMES - _REACH <= x <= self.viewport().width() + _REACH:
                self._paint_mark(painter, mark, QPointF(x, middle))
        painter.setClipping(False)
        self._paint_name(painter, lane, top)

    def _paint_gap(self, painter: QPainter, axis: TimeAxis, words: str, band: QRectF, end: datetime) -> None:
        colours = theme.current()
        band.setRight(_NAMES + axis.x(end))
        painter.setPen(Qt.PenStyle.NoPen)
        painter.setBrush(QColor(colours.bad_soft))
        painter.drawRoundedRect(band, 4, 4)
        painter.setFont(fonts.font(fonts.Role.SECONDARY))
        shown = band.intersected(QRectF(_NAMES, band.top(), self.viewport().width() - _NAMES, band.height()))
        if QFontMetrics(painter.font()).horizontalAdvance(words) < shown.width() - 2 * _REACH:
            painter.setPen(QColor(colours.bad))
            painter.drawText(shown, Qt.AlignmentFlag.AlignCenter, words)

    def _paint_mark(self, painter: QPainter, mark: Mark, centre: QPointF) -> None:
        colours = theme.current()
        chosen = mark.ref in self._chosen
        if chosen:
            painter.setPen(QPen(QColor(colours.accent), 2))
            painter.setBrush(QColor(colours.selection))
            painter.drawEllipse(centre, _MARK + 4, _MARK + 4)
        painter.setPen(QPen(QColor(colours.accent if mark.scheduled else colours.info), 1.5))
        painter.setBrush(QColor(colours.accent if mark.scheduled else colours.info))
        if mark.memory:
            painter.drawRect(QRectF(centre.x() - _MARK, centre.y() - _MARK, 2 * _MARK, 2 * _MARK))
        else:
            painter.drawEllipse(centre, _MARK, _MARK)
        if mark.locked:
            icons.paint(painter, QRectF(centre.x() + 2, centre.y() - 14, 12, 12), "lock")

    def _paint_name(self, painter: QPainter, lane: Lane, top: float) -> None:
        colours = theme.current()
        place = QRectF(0, top, _NAMES - 12, ROW)
        painter.fillRect(QRectF(0, top, _NAMES - 8, ROW), QColor(colours.surface))
        painter.setFont(fonts.font())
        painter.setPen(QColor(colours.text))
        words = QFontMetrics(painter.font()).elidedText(lane.name, Qt.TextElideMode.ElideRight, int(place.width() - 30))
        icons.paint(painter, QRectF(8, top + ROW / 2 - 8, 16, 16), "schedule" if lane.schedule else "vm")
        painter.drawText(place.adjusted(30, 0, 0, 0), Qt.AlignmentFlag.AlignVCenter, words)

    def _paint_brush(self, painter: QPainter) -> None:
        if self._brush is None:
            return
        colours = theme.current()
        fill = QColor(colours.accent)
        fill.setAlpha(40)
        painter.setPen(QPen(QColor(colours.accent), 1))
        painter.setBrush(fill)
        painter.drawRect(QRectF(self._brush[0], self._brush[1]).normalized())

    # ---- choosing ---------------------------------------------------------------------------------------------

    def mark_at(self, place: QPoint) -> Mark | None:
        """The mark under the pointer."""
        lane, axis = self.lane_at(place), self.axis()
        if lane is None or place.x() < _NAMES:
            return None
        near = [(abs(_NAMES + axis.x(mark.time) - place.x()), mark) for mark in lane.marks]
        best = min(near, key=lambda found: found[0], default=None)
        return best[1] if best is not None and best[0] <= _REACH else None

    def lane_at(self, place: QPoint) -> Lane | None:
        """The lane under the pointer."""
        row = int((place.y() - _AXIS + self.verticalScrollBar().value()) // ROW)
        return self._lanes[row] if place.y() >= _AXIS and 0 <= row < len(self._lanes) else None

    def mousePressEvent(self, event: QMouseEvent) -> None:
        if event.button() == Qt.MouseButton.LeftButton:
            place = event.position().toPoint()
            self._brush = (place, place)

    def mouseMoveEvent(self, event: QMouseEvent) -> None:
        if self._brush is not None and event.buttons() & Qt.MouseButton.LeftButton:
            self._brush = (self._brush[0], event.position().toPoint())
            self.viewport().update()

    def mouseReleaseEvent(self, event: QMouseEvent) -> None:
        if self._brush is None:
            return
        start, end = self._brush
        self._brush = None
        adds = bool(event.modifiers() & (Qt.KeyboardModifier.ControlModifier | Qt.KeyboardModifier.ShiftModifier))
        found = self._within(start, end) if (end - start).manhattanLength() > 4 else self._single(end)
        self._choose((self._chosen ^ found if adds and len(found) == 1 else self._chosen | found) if adds else found)

    def _single(self, place: QPoint) -> set[str]:
        mark = self.mark_at(place)
        return {mark.ref} if mark is not None else set()

    def _within(self, start: QPoint, end: QPoint) -> set[str]:
        box, axis = QRectF(start, end).normalized(), self.axis()
        found: set[str] = set()
        for row, lane in enumerate(self._lanes):
            if box.top() <= self._top(row) + ROW / 2 <= box.bottom():
                inside = lane.between(axis.moment(box.left() - _NAMES), axis.moment(box.right() - _NAMES))
                found |= {mark.ref for mark in inside}
        return found

    def mouseDoubleClickEvent(self, event: QMouseEvent) -> None:
        lane = self.lane_at(event.position().toPoint())
        if lane is not None:
            self.opened.emit(lane.vm)

    # ---- time -------------------------------------------------------------------------------------------------

    def wheelEvent(self, event: QWheelEvent) -> None:
        steps = event.angleDelta().y() / 120 or event.angleDelta().x() / 120
        if event.modifiers() & Qt.KeyboardModifier.ControlModifier:
            self._zoom(0.8**steps, event.position().x() - _NAMES)
        elif event.modifiers() & Qt.KeyboardModifier.ShiftModifier or event.angleDelta().x():
            self.go(-steps / 8)
        else:
            super().wheelEvent(event)

    def go(self, part: float) -> None:
        """Go on in time by a part of what is shown."""
        self._start += self._span * part
        self.viewport().update()

    def _zoom(self, factor: float, x: float) -> None:
        fixed = self.axis().moment(x)
        span = min(max(self._span * factor, timedelta(hours=2)), timedelta(days=800))
        self._start = fixed - (fixed - self._start) * (span / self._span)
        self._span = span
        self.viewport().update()

    def keyPressEvent(self, event: QKeyEvent) -> None:
        if event.key() in (Qt.Key.Key_Left, Qt.Key.Key_Right):
            self.go(-0.1 if event.key() == Qt.Key.Key_Left else 0.1)
        elif event.key() == Qt.Key.Key_Delete:
            self.delete_asked.emit()
        elif event.key() == Qt.Key.Key_Escape:
            self._choose(set())
        elif event.key() == Qt.Key.Key_A and event.modifiers() & Qt.KeyboardModifier.ControlModifier:
            end = self._start + self._span
            self._choose({mark.ref for lane in self._lanes for mark in lane.between(self._start, end)})
        else:
            super().keyPressEvent(event)

    def viewportEvent(self, event: object) -> bool:
        if isinstance(event, QHelpEvent):
            self._tell(event)
            return True
        return super().viewportEvent(event)  # type: ignore[arg-type]

    def _tell(self, event: QHelpEvent) -> None:
        mark, lane = self.mark_at(event.pos()), self.lane_at(event.pos())
        if mark is not None:
            kind = "with memory" if mark.memory else "disks only"
            by = "by a schedule" if mark.scheduled else "by hand"
            QToolTip.showText(event.globalPos(), text.tooltip(f"{mark.name}\n{date_and_time(mark.time)}, {kind}, {by}"))
        elif lane is not None and event.pos().x() < _NAMES:
            QToolTip.showText(event.globalPos(), text.tooltip(f"{lane.name}\n{lane.schedule or 'No schedule'}"))
        else:
            QToolTip.hideText()
