"""The row above the snapshots: acts at the left; view switch, view menu and search at the right."""

from __future__ import annotations

from typing import Final

from PySide6.QtCore import QEvent, QSize, Signal
from PySide6.QtGui import QAction, QResizeEvent
from PySide6.QtWidgets import QHBoxLayout, QMenu, QSizePolicy, QWidget

from ui.base import icons, text
from ui.base.commands import Registry, Selection
from ui.widgets.buttons import ActionButton, MenuButton, Segmented, icon_button
from ui.widgets.search_field import SearchField

GRAPH, LIST = "graph", "list"
#: what stands behind New
NEW: Final = ("snapshot.new_vm", "snapshot.new_template")
#: a little less than between other controls, so that the row fits the smallest window
_GAP = 6


class TakeAction(QAction):
    """The command `vm.snapshot` for the VM of this tab, whatever is chosen in the window."""

    def __init__(self, commands: Registry, parent: QWidget) -> None:
        command = commands.get("vm.snapshot")
        super().__init__(icons.icon(command.icon), command.title, parent)
        self._commands = commands
        self._selection: Selection = ()
        self.triggered.connect(lambda: commands.run("vm.snapshot", self._selection))

    def follow(self, vm: str) -> None:
        """Be about this VM, as it is now."""
        self._selection = (("VM", vm),) if vm else ()
        state = self._commands.state("vm.snapshot", self._selection)
        self.setEnabled(state.enabled)
        self.setStatusTip(state.reason)
        command = self._commands.get("vm.snapshot")
        said = state.reason if not state.enabled else command.tooltip
        keys = "" if not state.enabled else f" ({command.shortcut})"
        self.setToolTip(text.tooltip(f"{command.plain_title}{keys}\n{said}"))


class Toolbar(QWidget):
    """Buttons and fields; it decides nothing."""

    #: "graph" or "list"
    view_chosen = Signal(str)
    #: whether scheduled snapshots are shown
    scheduled_toggled = Signal(bool)
    #: whether the details are shown
    details_toggled = Signal(bool)

    def __init__(self, commands: Registry, parent: QWidget | None = None) -> None:
        super().__init__(parent)
        #: as narrow as it may be with all its words, and with fewer; 0 until that is known
        self._full = self._least = 0
        self._shrinking: tuple[MenuButton | ActionButton, ...] = ()
        self.take = TakeAction(commands, self)
        self.switch = Segmented(((GRAPH, "Graph"), (LIST, "List")), "View")
        self.scheduled = QAction("Scheduled Snapshots", self)
        self.scheduled.setCheckable(True)
        self.scheduled.setToolTip("Show the snapshots that schedules made")
        self.details = icon_button("panel-right", "Details")
        self.details.setCheckable(True)
        self.search = SearchField("Filter…")
        self.search.setSizePolicy(QSizePolicy.Policy.Expanding, QSizePolicy.Policy.Fixed)
        self.search.setMinimumWidth(48)
        self.search.setMaximumWidth(240)
        self._lay_out(commands)
        self.switch.chosen.connect(self.view_chosen)
        self.scheduled.toggled.connect(self.scheduled_toggled)
        self.details.toggled.connect(self.details_toggled)

    def view_menu(self, parent: QWidget) -> QMenu:
        """The entries of View ▾, for the button or a context menu."""
        menu = QMenu("View", parent)
        for key, words, icon in ((GRAPH, "Graph", "graph"), (LIST, "List", "list")):
            entry = menu.addAction(icons.icon(icon), words)
            entry.setEnabled(self.switch.isEnabled())
            entry.triggered.connect(lambda _checked=False, key=key: self.view_chosen.emit(key))
        menu.addSeparator()
        menu.addAction(self.scheduled)
        return menu

    def _lay_out(self, commands: Registry) -> None:
        row = QHBoxLayout(self)
        row.setContentsMargins(0, 0, 0, 0)
        row.setSpacing(_GAP)
        row.addWidget(ActionButton(self.take, "primary"))
        row.addWidget(ActionButton(commands.action("snapshot.revert")))
        self._shrinking = (
            MenuButton("New", commands.menu(NEW, parent=self), "plus"),
            ActionButton(commands.action("snapshot.delete"), words="Delete"),
        )
        for button in self._shrinking:
            row.addWidget(button)
        row.addStretch(0)
        row.addWidget(self.search, 1)
        menu = QMenu(self)
        menu.addAction(self.scheduled)
        view = MenuButton("View", menu, "view")
        row.addWidget(view)
        row.addWidget(self.switch)
        row.addWidget(self.details)
        self._shrinking = (*self._shrinking, view)

    def _set_compact(self, compact: bool) -> None:
        for button in self._shrinking:
            button.set_compact(compact)

    def resizeEvent(self, event: QResizeEvent) -> None:
        """Where there is no room for all the words, the clearest pictures do without."""
        super().resizeEvent(event)
        self._measure()
        self._set_compact(event.size().width() < self._full)

    def changeEvent(self, event: QEvent) -> None:
        super().changeEvent(event)
        if event.type() in (QEvent.Type.StyleChange, QEvent.Type.FontChange):
            self._full = 0

    def minimumSizeHint(self) -> QSize:
        self._measure()
        return QSize(self._least, super().minimumSizeHint().height())

    def _measure(self) -> None:
        """How wide it is at least, with all its words and without some; once, and again in another style."""
        if self._full == 0:
            for compact in (False, True):
                self._set_compact(compact)
                self._full, self._least = self._least, super().minimumSizeHint().width()
            self._set_compact(self.width() < self._full)
