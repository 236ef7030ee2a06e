"""The guest's screen as a widget: paints the picture, and passes keys and the mouse on to the guest."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final, Literal

from PySide6.QtCore import QEvent, QPoint, QPointF, QRect, QRectF, QSize, Qt, Signal
from PySide6.QtGui import QColor, QFocusEvent, QImage, QKeyEvent, QMouseEvent, QPainter, QPaintEvent, QPen, QWheelEvent
from PySide6.QtWidgets import QWidget

from app.client.rfb import Rect, RfbClient
from ui.base import theme
from ui.machines.keyboard import HeldKeys

Scale = Literal["fit", "whole"]

_BUTTONS: Final = {Qt.MouseButton.LeftButton: 1, Qt.MouseButton.MiddleButton: 2, Qt.MouseButton.RightButton: 4}
_WHEEL_UP, _WHEEL_DOWN = 8, 16
_NOTCH = 120
#: a picture that fits almost whole pixels is shown in whole pixels: crisp text is worth a margin
_CRISP = 0.85


class GuestScreen(QWidget):
    """Shows the framebuffer of an `RfbClient`, or a quiet plane. With the focus, every key goes to the guest.

    Ctrl and Alt together, with no other key, give the keyboard back.
    """

    #: the keyboard was given back by Ctrl+Alt
    given_back = Signal()
    focus_changed = Signal(bool)

    def __init__(self, parent: QWidget | None = None) -> None:
        super().__init__(parent)
        self._client: RfbClient | None = None
        self._image = QImage()
        self._framebuffer = bytearray()
        self._held = HeldKeys()
        self._buttons = 0
        self._turned = 0
        self._scale: Scale = "fit"
        self._dimmed = False
        self.setFocusPolicy(Qt.FocusPolicy.StrongFocus)
        self.setMouseTracking(True)
        self.setAttribute(Qt.WidgetAttribute.WA_OpaquePaintEvent)
        self.setAttribute(Qt.WidgetAttribute.WA_InputMethodEnabled, False)
        self.setAccessibleName("The guest's screen")

    # ---- what is shown ----------------------------------------------------------------------------------------

    def set_client(self, client: RfbClient | None) -> None:
        """Show this connection's picture; None keeps the last picture, and sends nothing more."""
        self._let_go()
        self._client = client
        if client is not None:
            self._take_framebuffer(client)
        self.setCursor(Qt.CursorShape.CrossCursor if client is not None else Qt.CursorShape.ArrowCursor)

    def clear(self) -> None:
        """Forget the picture."""
        self._image, self._framebuffer = QImage(), bytearray()
        self.updateGeometry()
        self.update()

    def changed(self, rects: Sequence[Rect], *, resized: bool = False) -> None:
        """Parts of the framebuffer have changed."""
        if resized and self._client is not None:
            self._take_framebuffer(self._client)
            return
        for rect in rects:
            self.update(self._on_widget(rect))

    def set_dimmed(self, dimmed: bool) -> None:
        """Show that the picture stands still."""
        if dimmed != self._dimmed:
            self._dimmed = dimmed
            self.update()

    def set_scale(self, scale: Scale) -> None:
        """ "fit" fills the widget, "whole" gives each pixel of the guest one of the desktop."""
        self._scale = scale
        self.updateGeometry()
        self.update()

    def picture(self) -> QImage:
        """A copy of what is on the guest's screen; null if there is nothing."""
        return self._image.copy()

    def _take_framebuffer(self, client: RfbClient) -> None:
        # QImage does not keep the memory alive: both are held here, and replaced together
        image = QImage()
        if client.width and client.height:
            stride = client.width * 4
            image = QImage(client.framebuffer, client.width, client.height, stride, QImage.Format.Format_RGB32)
        self._image, self._framebuffer = image, client.framebuffer
        self.setAccessibleDescription(f"{client.width} by {client.height} pixels")
        self.updateGeometry()
        self.update()

    def sizeHint(self) -> QSize:
        return self._image.size() if not self._image.isNull() else QSize(720, 400)

    def minimumSizeHint(self) -> QSize:
        return self.sizeHint() if self._scale == "whole" else QSize(160, 90)

    def picture_rect(self) -> QRectF:
        """Where the picture is, in the widget's own pixels."""
        size = self._image.size()
        factor = self._factor()
        shown = QRectF(0, 0, size.width() * factor, size.height() * factor)
        shown.moveCenter(QRectF(self.rect()).center())
        dpr = self.devicePixelRatioF()
        shown.moveTopLeft(QPointF(round(shown.left() * dpr) / dpr, round(shown.top() * dpr) / dpr))
        return shown

    def _factor(self) -> float:
        """Desktop pixels for each of the guest's."""
        if self._scale == "whole" or self._image.isNull():
            return 1.0
        dpr = self.devicePixelRatioF()
        most = min(self.width() / self._image.width(), self.height() / self._image.height()) * dpr
        whole = int(most)
        return (whole if whole >= 1 and whole / most >= _CRISP else most) / dpr

    def _on_widget(self, rect: Rect) -> QRect:
        place, factor = self.picture_rect(), self._factor()
        shown = QRectF(rect.x * factor, rect.y * factor, rect.width * factor, rect.height * factor)
        # smooth scaling mixes neighbours: a pixel more on each side
        return shown.translated(place.topLeft()).toAlignedRect().adjusted(-2, -2, 2, 2)

    def _on_guest(self, place: QPointF) -> QPoint:
        shown, factor = self.picture_rect(), self._factor()
        return QPoint(int((place.x() - shown.left()) / factor), int((place.y() - shown.top()) / factor))

    def paintEvent(self, event: QPaintEvent) -> None:
        painter = QPainter(self)
        painter.fillRect(event.rect(), QColor(theme.current().console_bg))
        if not self._image.isNull():
            factor = self._factor() * self.devicePixelRatioF()
            smooth = abs(factor - round(factor)) > 0.001
            painter.setRenderHint(QPainter.RenderHint.SmoothPixmapTransform, smooth)
            painter.setOpacity(0.45 if self._dimmed else 1.0)
            painter.drawImage(self.picture_rect(), self._image)
            painter.setOpacity(1.0)
        if self.hasFocus():
            painter.setPen(QPen(QColor(theme.current().accent), 2))
            painter.drawRect(QRectF(self.rect()).adjusted(1, 1, -1, -1))
        painter.end()

    # ---- the keyboard -----------------------------------------------------------------------------------------

    def send_keys(self, keys: Sequence[tuple[int, int]]) -> None:
        """Press these (keysym, scancode) keys together and let go."""
        if self._client is None:
            return
        for key in keys:
            self._client.key(*key, True)
        for key in reversed(keys):
            self._client.key(*key, False)

    def event(self, event: QEvent) -> bool:
        """Keys of the window and of its menus are the guest's while it has the keyboard."""
        if event.type() == QEvent.Type.ShortcutOverride and self._client is not None:
            event.accept()
            return True
        return super().event(event)

    def focusNextPrevChild(self, _forward: bool) -> bool:
        return False if self._client is not None else super().focusNextPrevChild(_forward)

    def keyPressEvent(self, event: QKeyEvent) -> None:
        if self._client is None:
            super().keyPressEvent(event)
            return
        key = self._held.press(event)
        if key is not None:
            self._client.key(*key, True)

    def keyReleaseEvent(self, event: QKeyEvent) -> None:
        if self._client is None:
            super().keyReleaseEvent(event)
            return
        back = self._held.gives_back
        key = self._held.release(event)
        if key is not None:
            self._client.key(*key, False)
        if back and key is not None:
            self._let_go()
            self.given_back.emit()

    def focusInEvent(self, event: QFocusEvent) -> None:
        super().focusInEvent(event)
        self.focus_changed.emit(True)
        self.update()

    def focusOutEvent(self, event: QFocusEvent) -> None:
        super().focusOutEvent(event)
        self._let_go()
        self.focus_changed.emit(False)
        self.update()

    def _let_go(self) -> None:
        """Nothing stays pressed in the guest when its keyboard and mouse are used for something else."""
        keys = self._held.release_all()
        if self._client is not None:
            for key in keys:
                self._client.key(*key, False)
        self._buttons = 0

    # ---- the mouse --------------------------------------------------------------------------------------------

    def mousePressEvent(self, event: QMouseEvent) -> None:
        self._buttons |= _BUTTONS.get(event.button(), 0)
        self._point(event.position())

    def mouseReleaseEvent(self, event: QMouseEvent) -> None:
        self._buttons &= ~_BUTTONS.get(event.button(), 0)
        self._point(event.position())

    def mouseDoubleClickEvent(self, event: QMouseEvent) -> None:
        self.mousePressEvent(event)

    def mouseMoveEvent(self, event: QMouseEvent) -> None:
        if self.hasFocus():
            self._point(event.position())

    def wheelEvent(self, event: QWheelEvent) -> None:
        if self._client is None or not self.hasFocus():
            super().wheelEvent(event)
            return
        self._turned += event.angleDelta().y()
        while abs(self._turned) >= _NOTCH:
            up = self._turned > 0
            self._turned -= _NOTCH if up else -_NOTCH
            self._buttons |= _WHEEL_UP if up else _WHEEL_DOWN
            self._point(event.position())
            self._buttons &= ~(_WHEEL_UP | _WHEEL_DOWN)
            self._point(event.position())
        event.accept()

    def _point(self, place: QPointF) -> None:
        if self._client is not None and not self._image.isNull():
            spot = self._on_guest(place)
            self._client.pointer(spot.x(), spot.y(), self._buttons)
