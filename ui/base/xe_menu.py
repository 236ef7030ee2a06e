"""The context menu of a button: copies the line for a terminal that does what the button does."""

from __future__ import annotations

from collections.abc import Callable

from PySide6.QtCore import QPoint, Qt
from PySide6.QtGui import QGuiApplication
from PySide6.QtWidgets import QMenu, QWidget

from ui.base import icons, text
from ui.base.commands import COPY_XE


def xe_menu(line: str, parent: QWidget) -> QMenu | None:
    """A menu that copies a line for a terminal, and is gone when it closes; None where there is no line."""
    if not line:
        return None
    menu = QMenu(parent)
    menu.setAttribute(Qt.WidgetAttribute.WA_DeleteOnClose)
    menu.setToolTipsVisible(True)
    entry = menu.addAction(icons.icon("copy"), COPY_XE)
    entry.setToolTip(text.tooltip(line))
    entry.triggered.connect(lambda: QGuiApplication.clipboard().setText(line))
    return menu


def offer_xe(made: QWidget, line: Callable[[], str]) -> None:
    """Give a button that is no action the same context menu. :param line: says what a terminal would be told."""

    def pop_up(place: QPoint) -> None:
        menu = xe_menu(line(), made)
        if menu is not None:
            menu.popup(made.mapToGlobal(place))

    made.setContextMenuPolicy(Qt.ContextMenuPolicy.CustomContextMenu)
    made.customContextMenuRequested.connect(pop_up)
