"""Files that are dragged over the window: where they may be dropped, shown while they hover."""

from __future__ import annotations

from pathlib import PurePath
from typing import Final

from PySide6.QtCore import QPoint, QRect, QRectF, Qt
from PySide6.QtGui import QColor, QDropEvent, QFontMetrics, QPainter, QPaintEvent, QPen
from PySide6.QtWidgets import QSizePolicy, QWidget

from ui.base import fonts, icons, theme
from ui.exchange.contents import importable

_ICON: Final = 32
_LINE: Final = 8
_LEAST: Final = 140


def dropped(event: QDropEvent) -> str:
    """The one file of a drag that can be imported; "" for none or several."""
    return importable(url.toLocalFile() for url in event.mimeData().urls() if url.isLocalFile())


class DropZone(QWidget):
    """A dashed plane with a picture and two lines of words."""

    def __init__(self, title: str, about: str = "", parent: QWidget | None = None) -> None:
        super().__init__(parent)
        self._title, self._about, self._hot = title, about, False
        self.setMinimumHeight(_LEAST)
        self.setSizePolicy(QSizePolicy.Policy.Expanding, QSizePolicy.Policy.Expanding)
        self.set_words(title, about)

    def set_words(self, title: str, about: str = "") -> None:
        """Say something else."""
        self._title, self._about = title, about
        self.setAccessibleName(title)
        self.setAccessibleDescription(about)
        self.update()

    def set_hot(self, hot: bool) -> None:
        """A file hovers over it."""
        self._hot = hot
        self.update()

    def paintEvent(self, _event: QPaintEvent) -> None:
        painter = QPainter(self)
        painter.setRenderHint(QPainter.RenderHint.Antialiasing)
        self._paint_plane(painter)
        self._paint_words(painter)
        painter.end()

    def _paint_plane(self, painter: QPainter) -> None:
        colours = theme.current()
        pen = QPen(QColor(colours.accent if self._hot else colours.border), 2 if self._hot else 1.5)
        pen.setDashPattern([4, 3])
        painter.setPen(pen)
        painter.setBrush(QColor(colours.selection if self._hot else colours.raised))
        painter.drawRoundedRect(QRectF(self.rect()).adjusted(1, 1, -1, -1), 8, 8)

    def _paint_words(self, painter: QPainter) -> None:
        colours = theme.current()
        strong, small = fonts.font(strong=True), fonts.font(fonts.Role.SECONDARY)
        heights = [QFontMetrics(font).height() for font in (strong, small)]
        top = (self.height() - _ICON - _LINE - sum(heights) - _LINE // 2) // 2
        icons.paint(painter, QRectF((self.width() - _ICON) / 2, top, _ICON, _ICON), "import")
        place = QRect(12, top + _ICON + _LINE, self.width() - 24, heights[0])
        for words, font, tone in ((self._title, strong, colours.text), (self._about, small, colours.secondary)):
            painter.setFont(font)
            painter.setPen(QColor(tone))
            shown = QFontMetrics(font).elidedText(words, Qt.TextElideMode.ElideMiddle, place.width())
            painter.drawText(place, Qt.AlignmentFlag.AlignCenter, shown)
            place.translate(0, heights[0] + _LINE // 2)


class DropOverlay(QWidget):
    """Lies over a window while a file hovers over it, and says what dropping it does."""

    _EDGE = 32

    def __init__(self, window: QWidget) -> None:
        super().__init__(window)
        self.setAttribute(Qt.WidgetAttribute.WA_TransparentForMouseEvents)
        self.zone = DropZone("", "", self)
        self.zone.set_hot(True)
        self.hide()

    def rise(self, path: str, where: str = "") -> None:
        """Show it, for this file; `where` names the storage that it is held over."""
        about = f"Its disks go to “{where}”" if where else "Nothing happens before you have looked at what is in it"
        self.zone.set_words(f"Import {PurePath(path).name}", about)
        window = self.parentWidget()
        if window is not None:
            self.setGeometry(window.rect())
        size = self.zone.sizeHint().expandedTo(self.size() / 2)
        self.zone.resize(min(480, size.width()), 180)
        self.zone.move(self.rect().center() - QPoint(self.zone.width() // 2, self.zone.height() // 2))
        self.show()
        self.raise_()

    def paintEvent(self, _event: QPaintEvent) -> None:
        painter = QPainter(self)
        shade = QColor(theme.current().background)
        shade.setAlpha(190)
        painter.fillRect(self.rect(), shade)
        painter.end()
