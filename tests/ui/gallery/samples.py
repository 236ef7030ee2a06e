"""What the pictures show."""

from __future__ import annotations

from PySide6.QtCore import QSize
from PySide6.QtGui import QColor, QImage, QPainter

from ui.base import fonts

GIB = 1024**3
LONG = "A virtual machine with a very long name that has sixty letters"


def console_image() -> QImage:
    """Something like a guest's text screen."""
    image = QImage(QSize(640, 400), QImage.Format.Format_RGB32)
    image.fill(QColor("#10181c"))
    painter = QPainter(image)
    font = fonts.monospace()
    font.setPixelSize(20)
    painter.setFont(font)
    painter.setPen(QColor("#8fd3c4"))
    lines = ["postgres@billing-db:~$ pg_lsclusters", "Ver Cluster Port Status", "15 main 5432 online", "$ _"]
    for row, line in enumerate(lines):
        painter.drawText(20, 44 + row * 32, line)
    painter.end()
    return image
