"""The tool bar: a few commands in words, those that force only where asking does not help."""

from __future__ import annotations

from typing import Final

from PySide6.QtCore import QObject, Qt
from PySide6.QtGui import QAction, QContextMenuEvent
from PySide6.QtWidgets import QToolBar, QWidget

from ui.base import icons
from ui.base.commands import Registry
from ui.base.xe_menu import xe_menu

#: the commands in order, with the words of the tool bar
SHOWN: Final = (
    ("vm.new", "New VM"),
    ("vm.start", "Start"),
    ("vm.shutdown", "Shut down"),
    ("vm.force_shutdown", "Force shut down"),
    ("vm.suspend", "Suspend"),
    ("vm.resume", "Resume"),
    ("vm.force_reboot", "Force reboot"),
    ("vm.snapshot", "Take Snapshot"),
    ("pool.schedules", "Schedules"),
)
#: what forces, and the command that asks: the first is shown where only it can run
_FORCE: Final = {"vm.force_shutdown": "vm.shutdown", "vm.force_reboot": "vm.reboot"}


class ToolBar(QToolBar):
    """Shows the commands that there are."""

    def __init__(self, commands: Registry, parent: QWidget | None = None) -> None:
        super().__init__("Tool bar", parent)
        self.setObjectName("toolbar")
        self.setMovable(False)
        self.setIconSize(icons.BESIDE_TEXT)
        self.setToolButtonStyle(Qt.ToolButtonStyle.ToolButtonTextBesideIcon)
        self._commands = commands
        for command, words in SHOWN:
            if command in commands.ids():
                self.addAction(_Shown(commands, command, words, self))

    def contextMenuEvent(self, event: QContextMenuEvent) -> None:
        """Offer the line for a terminal that does what the button does. Elsewhere there is no menu."""
        action = self.actionAt(event.pos())
        line = self._commands.xe_line(action.objectName()) if isinstance(action, _Shown) else ""
        menu = xe_menu(line, self)
        if menu is not None:
            menu.popup(event.globalPos())
        event.accept()

    def shown(self) -> list[str]:
        """The ids of the commands that can be seen."""
        return [action.objectName() for action in self.actions() if action.isVisible()]


class _Shown(QAction):
    """A command's action in other words, hidden where another one takes its place."""

    def __init__(self, commands: Registry, command: str, words: str, parent: QObject) -> None:
        super().__init__(words, parent)
        self.setObjectName(command)
        self._source = commands.action(command)
        asking = _FORCE.get(command, "")
        self._asking = commands.action(asking) if asking in commands.ids() else None
        self.triggered.connect(lambda: self._source.trigger())
        for source in filter(None, (self._source, self._asking)):
            source.changed.connect(self._follow)
        self._follow()

    def _follow(self) -> None:
        source = self._source
        in_place = self._asking is None or (source.isEnabled() and not self._asking.isEnabled())
        self.setVisible(source.isVisible() and in_place)
        self.setEnabled(source.isEnabled())
        self.setIcon(source.icon())
        self.setToolTip(source.toolTip())
        self.setStatusTip(source.statusTip())
