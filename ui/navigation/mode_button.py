"""A row to choose between parts of the window: icon, words, and a count at the right."""

from __future__ import annotations

from PySide6.QtCore import QRectF, QSize, Qt
from PySide6.QtGui import QColor, QFontMetrics, QPainter, QPaintEvent, QPen
from PySide6.QtWidgets import QAbstractButton, QSizePolicy, QWidget

from ui.base import fonts, icons, theme
from ui.base.sizes_and_dates import number
from ui.widgets.marks import paint_badge

_HEIGHT = 32
_ICON = 16
_PAD = 12


class ModeButton(QAbstractButton):
    """One of a few, of which one is on. Buttons of one parent leave each other alone: arrow keys go between them.

    :param what: what the count counts, for a screen reader: "alerts".
    """

    def __init__(self, icon: str, words: str, what: str = "", parent: QWidget | None = None) -> None:
        super().__init__(parent)
        self._icon, self._what, self._count, self._tone = icon, what, 0, "attention"
        self.setText(words)
        self.setCheckable(True)
        self.setAutoExclusive(True)
        self.setFocusPolicy(Qt.FocusPolicy.TabFocus)
        self.setSizePolicy(QSizePolicy.Policy.Expanding, QSizePolicy.Policy.Fixed)
        self.setAttribute(Qt.WidgetAttribute.WA_Hover)
        self.setAccessibleName(words)

    def set_count(self, count: int, tone: str = "attention") -> None:
        """The number at the right; none at 0."""
        self._count, self._tone = count, tone
        said = f"{number(count)} {self._what}" if count else ""
        self.setAccessibleDescription(said)
        self.setToolTip(said)
        self.update()

    def count(self) -> int:
        """The number at the right."""
        return self._count

    def sizeHint(self) -> QSize:
        words = QFontMetrics(fonts.font(strong=True)).horizontalAdvance(self.text())
        return QSize(words + _ICON + 4 * _PAD, round(_HEIGHT * fonts.scale()))

    def minimumSizeHint(self) -> QSize:
        return QSize(_ICON + 2 * _PAD, self.sizeHint().height())

    def paintEvent(self, _event: QPaintEvent) -> None:
        colours = theme.current()
        painter = QPainter(self)
        painter.setRenderHint(QPainter.RenderHint.Antialiasing)
        whole = QRectF(self.rect())
        on, ringed = self.isChecked(), self.hasFocus()
        if on or ringed or self.underMouse():
            painter.setPen(QPen(QColor(colours.accent), 2) if ringed else Qt.PenStyle.NoPen)
            painter.setBrush(QColor(colours.background if on else colours.hover))
            inset = 1.0 if ringed else 0.0
            painter.drawRoundedRect(whole.adjusted(inset, inset, -inset, -inset), 4, 4)
        middle = whole.center().y()
        icons.paint(painter, QRectF(_PAD, middle - _ICON / 2, _ICON, _ICON), self._icon)
        right = self._paint_count(painter, whole)
        painter.setFont(fonts.font(strong=on))
        painter.setPen(QColor(colours.text))
        place = QRectF(_PAD + _ICON + 10, 0, right - _PAD - _ICON - 10, whole.height())
        said = painter.fontMetrics().elidedText(self.text(), Qt.TextElideMode.ElideRight, int(place.width()))
        painter.drawText(place, Qt.AlignmentFlag.AlignVCenter, said)
        painter.end()

    def _paint_count(self, painter: QPainter, whole: QRectF) -> float:
        """Paint the count; answer where the words have to end."""
        if not self._count:
            return whole.right() - _PAD
        words = str(self._count) if self._count < 100 else "99+"
        metrics = QFontMetrics(fonts.font(fonts.Role.SECONDARY, strong=True))
        height = metrics.height() + 4.0
        width = max(height + 4, metrics.horizontalAdvance(words) + 14.0)
        left = whole.right() - _PAD - width
        paint_badge(painter, QRectF(left, whole.center().y() - height / 2, width, height), words, self._tone)
        return left - 4
