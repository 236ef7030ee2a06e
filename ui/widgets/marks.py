"""Small marks: a state as a pill, a number as a badge."""

from __future__ import annotations

from PySide6.QtCore import QPointF, QRectF, QSize, Qt
from PySide6.QtGui import QColor, QFont, QFontMetrics, QPainter, QPaintEvent, QPen
from PySide6.QtWidgets import QSizePolicy, QWidget

from ui.base import fonts, icons, theme
from ui.base.palette import MEANINGS
from ui.base.sizes_and_dates import number

TONES = (*MEANINGS, "accent", "secondary")


def _known(tone: str) -> str:
    if tone not in TONES:
        raise ValueError(f"no tone is called {tone!r}")
    return tone


class Pill(QWidget):
    """A word or two in a rounded plane, with an icon or a dot of its tone: ``● running``.

    :param tone: one of ``TONES``.
    :param icon: an icon of the family in place of the dot.
    """

    def __init__(self, words: str = "", tone: str = "secondary", icon: str = "", parent: QWidget | None = None) -> None:
        super().__init__(parent)
        self._words, self._tone, self._icon = words, _known(tone), icon
        self.setSizePolicy(QSizePolicy.Policy.Fixed, QSizePolicy.Policy.Fixed)
        self.setAccessibleName(words)

    def set_state(self, words: str, tone: str = "secondary", icon: str = "") -> None:
        """Show another state.

        :raise ValueError: there is no such tone.
        """
        self._words, self._tone, self._icon = words, _known(tone), icon
        self.setAccessibleName(words)
        self.updateGeometry()
        self.update()

    def words(self) -> str:
        """What it says."""
        return self._words

    def _font(self) -> QFont:
        made = fonts.font(fonts.Role.SECONDARY)
        made.setWeight(QFont.Weight.Medium)
        return made

    def sizeHint(self) -> QSize:
        metrics = QFontMetrics(self._font())
        return QSize(metrics.horizontalAdvance(self._words) + 32, metrics.height() + 6)

    def paintEvent(self, _event: QPaintEvent) -> None:
        colours = theme.current()
        named = colours.named()
        painter = QPainter(self)
        painter.setRenderHint(QPainter.RenderHint.Antialiasing)
        plane = named.get(f"{self._tone}_soft", colours.selection if self._tone == "accent" else colours.hover)
        painter.setPen(QPen(QColor(colours.line), 1))
        painter.setBrush(QColor(plane))
        whole = QRectF(self.rect()).adjusted(0.5, 0.5, -0.5, -0.5)
        painter.drawRoundedRect(whole, whole.height() / 2, whole.height() / 2)
        middle = whole.center().y()
        if self._icon:
            icons.paint(painter, QRectF(8, middle - 6, 12, 12), self._icon)
        else:
            painter.setPen(Qt.PenStyle.NoPen)
            painter.setBrush(QColor(named[self._tone]))
            painter.drawEllipse(QPointF(13, middle), 4, 4)
        painter.setFont(self._font())
        painter.setPen(QColor(colours.text))
        painter.drawText(whole.adjusted(22, 0, -6, 0), Qt.AlignmentFlag.AlignVCenter, self._words)
        painter.end()


class Badge(QWidget):
    """A count on a filled plane; gone at zero, ``99+`` beyond.

    :param what: what is counted, for a screen reader: "alerts".
    """

    def __init__(self, what: str, count: int = 0, tone: str = "attention", parent: QWidget | None = None) -> None:
        super().__init__(parent)
        self._what, self._tone, self._count = what, _known(tone), 0
        self.setSizePolicy(QSizePolicy.Policy.Fixed, QSizePolicy.Policy.Fixed)
        self.set_count(count)

    def set_count(self, count: int) -> None:
        """Show another count."""
        self._count = count
        self.setAccessibleName(f"{number(count)} {self._what}")
        self.setToolTip(self.accessibleName())
        self.setVisible(count > 0)
        self.updateGeometry()
        self.update()

    def count(self) -> int:
        """The count."""
        return self._count

    def _words(self) -> str:
        return str(self._count) if self._count < 100 else "99+"

    def sizeHint(self) -> QSize:
        metrics = QFontMetrics(fonts.font(fonts.Role.SECONDARY, strong=True))
        height = metrics.height() + 4
        return QSize(max(height + 4, metrics.horizontalAdvance(self._words()) + 14), height)

    def paintEvent(self, _event: QPaintEvent) -> None:
        painter = QPainter(self)
        painter.setRenderHint(QPainter.RenderHint.Antialiasing)
        paint_badge(painter, QRectF(self.rect()), self._words(), self._tone)
        painter.end()


def paint_badge(painter: QPainter, rect: QRectF, words: str, tone: str = "attention") -> None:
    """A badge by hand, for a delegate or a drawn scene."""
    colours = theme.current()
    painter.setPen(Qt.PenStyle.NoPen)
    painter.setBrush(QColor(colours.named()[_known(tone)]))
    painter.drawRoundedRect(rect, rect.height() / 2, rect.height() / 2)
    painter.setFont(fonts.font(fonts.Role.SECONDARY, strong=True, tabular=True))
    painter.setPen(QColor(colours.accent_text))
    painter.drawText(rect, Qt.AlignmentFlag.AlignCenter, words)
