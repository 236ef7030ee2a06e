"""The icon in the system's tray, where there is one: whether all is well, and a word when a schedule fails."""

from __future__ import annotations

from typing import Final

from PySide6.QtCore import QObject, Signal
from PySide6.QtWidgets import QMenu, QSystemTrayIcon, QWidget

from app.api import Message
from app.client import Delta
from ui.base import icons
from ui.base.sizes_and_dates import count
from ui.base.workspace import Workspace
from ui.notifications.alerts import Subjects, alert_of

#: XenAPI's priorities from here on are information only
_INFORMATION: Final = 4
_SHOWN_MS: Final = 12_000


class Tray(QObject):
    """Follows the engine's messages. Where the desktop has no tray it shows nothing, and the window stays as it is.

    :param icon: for tests; by default a real one where the desktop has a tray.
    """

    #: the person wants to see the window; and to see the alerts
    opened = Signal()
    alerts_asked = Signal()

    def __init__(self, workspace: Workspace, parent: QWidget, icon: QSystemTrayIcon | None = None) -> None:
        super().__init__(parent)
        self._workspace = workspace
        self.icon = icon
        if icon is None and QSystemTrayIcon.isSystemTrayAvailable():
            self.icon = QSystemTrayIcon(parent)
        if self.icon is None:
            return
        self._menu = QMenu(parent)
        self._menu.addAction(icons.icon("stillframe"), "Open Stillframe", self.opened.emit)
        self._menu.addAction(workspace.commands.action("pool.schedules"))
        self._menu.addSeparator()
        self._menu.addAction(workspace.commands.action("file.exit"))
        self.icon.setContextMenu(self._menu)
        self.icon.activated.connect(self._activated)
        self.icon.messageClicked.connect(self.alerts_asked.emit)
        workspace.changed.connect(self._on_delta)
        self._show_state()
        self.icon.show()

    def waiting(self) -> int:
        """How many messages need attention."""
        messages = self._workspace.cache.all(Message).values()
        return sum(1 for message in messages if message.priority < _INFORMATION)

    def _activated(self, reason: QSystemTrayIcon.ActivationReason) -> None:
        if reason in (QSystemTrayIcon.ActivationReason.Trigger, QSystemTrayIcon.ActivationReason.DoubleClick):
            self.opened.emit()

    def _on_delta(self, delta: Delta) -> None:
        if not delta.touches(Message):
            return
        self._show_state()
        for cls, ref in sorted(delta.added):
            message = self._workspace.cache.get(Message, ref) if cls == "message" else None
            if message is not None and message.priority < _INFORMATION and self.icon is not None:
                alert = alert_of(message, Subjects(self._workspace.cache))
                words = ": ".join(filter(None, (alert.object_name, alert.body.split("\n")[0])))
                self.icon.showMessage(alert.title, words, QSystemTrayIcon.MessageIcon.Warning, _SHOWN_MS)

    def _show_state(self) -> None:
        if self.icon is None:
            return
        waiting = self.waiting()
        self.icon.setIcon(icons.icon("alert-attention" if waiting else "stillframe"))
        said = f"{count(waiting, 'alert')} to look at" if waiting else "all is well"
        self.icon.setToolTip(f"Stillframe: {said}")
