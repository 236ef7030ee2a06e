"""The guest's screen at a snapshot, as large as the window allows."""

from __future__ import annotations

from PySide6.QtCore import QSize, Qt
from PySide6.QtGui import QImage, QPixmap
from PySide6.QtWidgets import QLabel, QWidget

from ui.base.dialogs import Dialog

_LARGEST = QSize(1280, 800)
_SHARE = 0.85


class ScreenDialog(Dialog):
    """One picture."""

    def __init__(self, name: str, image: QImage, parent: QWidget | None = None) -> None:
        super().__init__(f"Screen at “{name}”", cancel="Close", parent=parent)
        self.setAttribute(Qt.WidgetAttribute.WA_DeleteOnClose)
        room = parent.window().size() * _SHARE if parent is not None else _LARGEST
        shown = image.size().scaled(room.boundedTo(_LARGEST), Qt.AspectRatioMode.KeepAspectRatio)
        shown = shown.boundedTo(image.size() * 2)
        dpr = self.devicePixelRatioF()
        scaled = image.scaled(
            shown * dpr, Qt.AspectRatioMode.KeepAspectRatio, Qt.TransformationMode.SmoothTransformation
        )
        scaled.setDevicePixelRatio(dpr)
        picture = QLabel()
        picture.setPixmap(QPixmap.fromImage(scaled))
        picture.setAccessibleName(self.windowTitle())
        self.content.addWidget(picture, 0, Qt.AlignmentFlag.AlignCenter)
