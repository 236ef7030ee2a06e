"""Tabs as a strip across the page, the chosen one underlined."""

from __future__ import annotations

from PySide6.QtCore import QRectF
from PySide6.QtGui import QColor, QPainter, QPaintEvent
from PySide6.QtWidgets import QTabWidget, QWidget

from ui.base import theme


class Tabs(QTabWidget):
    """A tab widget whose strip is a surface with a line below, as wide as the page.

    :param name: for a screen reader.
    """

    def __init__(self, name: str, parent: QWidget | None = None) -> None:
        super().__init__(parent)
        self.setDocumentMode(True)
        self.setUsesScrollButtons(True)
        self.setAccessibleName(name)
        self.tabBar().setAccessibleName(name)

    def paintEvent(self, _event: QPaintEvent) -> None:
        colours = theme.current()
        strip = QRectF(0, 0, self.width(), self.tabBar().geometry().bottom() + 1)
        painter = QPainter(self)
        painter.fillRect(strip, QColor(colours.surface))
        painter.fillRect(QRectF(0, strip.height() - 1, strip.width(), 1), QColor(colours.line))
        painter.end()
