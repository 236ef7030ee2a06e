"""Drawing the pictures."""

from __future__ import annotations

from pathlib import Path

from PySide6.QtCore import QRect, QRectF, Qt
from PySide6.QtGui import QColor, QImage, QPainter
from PySide6.QtWidgets import QApplication, QPushButton

from tests.ui.gallery.controls import controls
from tests.ui.gallery.dialogs import dialogs
from tests.ui.gallery.window import main_window
from ui.base import fonts, icons, svg, theme
from ui.widgets.notice import toast


def icon_sheet() -> QImage:
    columns, wide, high = 8, 170, 56
    names = svg.names()
    dpr = QApplication.primaryScreen().devicePixelRatio()
    image = QImage(
        round(columns * wide * dpr), round(-(-len(names) // columns) * high * dpr), QImage.Format.Format_ARGB32
    )
    image.setDevicePixelRatio(dpr)
    image.fill(QColor(theme.current().surface))
    painter = QPainter(image)
    painter.setFont(fonts.font(fonts.Role.SECONDARY))
    painter.setPen(QColor(theme.current().text))
    for place, name in enumerate(names):
        left, top = place % columns * wide + 8, place // columns * high + 4
        for side, offset in ((16, 0), (20, 24), (24, 52), (32, 84)):
            icons.paint(painter, QRectF(left + offset, top, side, side), name)
        icons.paint(painter, QRectF(left + 124, top, 16, 16), name, enabled=False)
        painter.drawText(QRect(left, top + 32, wide, 16), name)
    painter.end()
    return image


def draw(folder: Path, app: QApplication) -> list[Path]:
    """Write every picture in both themes into ``folder``."""
    written: list[Path] = []
    for chosen in (theme.Theme.LIGHT, theme.Theme.DARK):
        theme.apply(app, chosen)
        window = main_window()
        shown = [("window", window), ("controls", controls()), *dialogs()]
        for name, widget in shown:
            widget.setAttribute(Qt.WidgetAttribute.WA_DontShowOnScreen, name not in ("window", "controls"))
            widget.show()
            if name == "window":
                toast(widget, "“Before upgrade 16” was taken in 14 ms.", "good", "Show")
            focus = widget.findChild(QPushButton, "focus")
            if focus is not None:
                widget.activateWindow()
                focus.setFocus()
            app.processEvents()
            path = folder / f"{name}-{chosen}.png"
            widget.grab().save(str(path))
            written.append(path)
            widget.close()
        path = folder / f"icons-{chosen}.png"
        icon_sheet().save(str(path))
        written.append(path)
    return written
