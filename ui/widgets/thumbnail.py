"""The guest's screen, small; or a quiet plane with an icon where there is no picture."""

from __future__ import annotations

from PySide6.QtCore import QRectF, QSize, Qt, Signal
from PySide6.QtGui import QColor, QImage, QKeyEvent, QMouseEvent, QPainter, QPainterPath, QPaintEvent, QPen
from PySide6.QtWidgets import QSizePolicy, QWidget

from ui.base import icons, theme


class Thumbnail(QWidget):
    """A picture with rounded corners, scaled to fit, never cropped and never enlarged beyond twice its size.

    :param icon: what stands in its place where there is none.
    :param name: for a screen reader.
    :param ratio: height of the plane per width.
    """

    #: the picture was clicked, or Enter pressed on it; not while there is none
    opened = Signal()

    def __init__(
        self, icon: str = "snapshot", name: str = "Screen", ratio: float = 0.5625, parent: QWidget | None = None
    ) -> None:
        super().__init__(parent)
        self._image: QImage | None = None
        self._fitted: tuple[QSize, QImage] | None = None
        self._ratio = ratio
        self._name = name
        self._icon = icon
        policy = QSizePolicy(QSizePolicy.Policy.Expanding, QSizePolicy.Policy.Fixed)
        policy.setHeightForWidth(True)
        self.setSizePolicy(policy)
        self.set_icon(icon)
        self.set_image(None)

    def set_icon(self, icon: str) -> None:
        """What stands where there is no picture.

        :raise LookupError: there is no such icon.
        """
        if icon not in icons.names():
            raise LookupError(f"no icon is called {icon!r}")
        self._icon = icon
        self.update()

    def set_image(self, image: QImage | None) -> None:
        """Show ``image``; None or a null image gives the placeholder."""
        self._image = image if image is not None and not image.isNull() else None
        self._fitted = None
        has = self._image is not None
        self.setAccessibleName(self._name if has else f"{self._name}: no picture")
        self.setFocusPolicy(Qt.FocusPolicy.TabFocus if has else Qt.FocusPolicy.NoFocus)
        self.setCursor(Qt.CursorShape.PointingHandCursor if has else Qt.CursorShape.ArrowCursor)
        self.update()

    def has_image(self) -> bool:
        """Whether there is a picture."""
        return self._image is not None

    def hasHeightForWidth(self) -> bool:
        return True

    def heightForWidth(self, width: int) -> int:
        return round(width * self._ratio)

    def sizeHint(self) -> QSize:
        return QSize(288, self.heightForWidth(288))

    def minimumSizeHint(self) -> QSize:
        return QSize(96, self.heightForWidth(96))

    def mouseReleaseEvent(self, event: QMouseEvent) -> None:
        inside = self.rect().contains(event.position().toPoint())
        if event.button() == Qt.MouseButton.LeftButton and inside and self.has_image():
            self.opened.emit()

    def keyPressEvent(self, event: QKeyEvent) -> None:
        if event.key() in (Qt.Key.Key_Return, Qt.Key.Key_Enter, Qt.Key.Key_Space) and self.has_image():
            self.opened.emit()
        else:
            super().keyPressEvent(event)

    def paintEvent(self, _event: QPaintEvent) -> None:
        painter = QPainter(self)
        paint_thumbnail(painter, QRectF(self.rect()), self._scaled(), self._icon)
        if self.hasFocus():
            painter.setPen(QPen(QColor(theme.current().accent), 2))
            painter.setBrush(Qt.BrushStyle.NoBrush)
            painter.drawRoundedRect(QRectF(self.rect()).adjusted(1, 1, -1, -1), 6, 6)
        painter.end()

    def _scaled(self) -> QImage | None:
        """The picture in this screen's pixels, scaled once per size: that takes milliseconds."""
        if self._image is None:
            return None
        dpr = self.devicePixelRatioF()
        room = QSize(round(self.width() * dpr), round(self.height() * dpr))
        if self._fitted is None or self._fitted[0] != room:
            self._fitted = (room, fitted(self._image, room, dpr))
        return self._fitted[1]


def fitted(image: QImage, room: QSize, dpr: float = 1.0) -> QImage:
    """``image`` scaled into ``room`` physical pixels, keeping its shape, at most to twice its size."""
    wanted = image.size().scaled(room, Qt.AspectRatioMode.KeepAspectRatio)
    most = image.size() * 2 * dpr
    if wanted.width() > most.width():
        wanted = most
    made = image.scaled(wanted, Qt.AspectRatioMode.IgnoreAspectRatio, Qt.TransformationMode.SmoothTransformation)
    made.setDevicePixelRatio(dpr)
    return made


def paint_thumbnail(
    painter: QPainter, rect: QRectF, image: QImage | None, icon: str = "snapshot", radius: float = 6.0
) -> None:
    """A thumbnail by hand, for the cards of the graph: ``image`` (as :func:`fitted` gives it) or the placeholder."""
    colours = theme.current()
    painter.save()
    painter.setRenderHint(QPainter.RenderHint.Antialiasing)
    painter.setRenderHint(QPainter.RenderHint.SmoothPixmapTransform)
    plane = QPainterPath()
    plane.addRoundedRect(rect, radius, radius)
    painter.fillPath(plane, QColor(colours.console_bg))
    painter.setClipPath(plane)
    if image is not None:
        place = QRectF(0, 0, image.width() / image.devicePixelRatio(), image.height() / image.devicePixelRatio())
        place.moveCenter(rect.center())
        painter.drawImage(place, image)
    else:
        side = max(16.0, min(40.0, rect.height() * 0.4))
        square = QRectF(0, 0, side, side)
        square.moveCenter(rect.center())
        painter.setOpacity(0.75)
        icons.paint(painter, square, icon, "console_text")
    painter.restore()
