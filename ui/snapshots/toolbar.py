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
#: what stands beside it, with the words of the row
ACTS: Final = (("snapshot.export", "Export…"), ("snapshot.delete", "Delete"))
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

    def xe_line(self) -> str:
        """What a terminal would be told."""
        return self._commands.xe_line("vm.snapshot", self._selection)

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
        #: how narrow it may be with all its words, with fewer, and with the fewest; empty until that is known
        self._widths: tuple[int, ...] = ()
        #: what does without words first, and what only after that
        self._shrinking: tuple[MenuButton | ActionButton, ...] = ()
        self._last: ActionButton | None = None
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
        row.addWidget(ActionButton(self.take, "primary", xe=self.take.xe_line))
        self._last = ActionButton(commands.action("snapshot.revert"))
        row.addWidget(self._last)
        self._shrinking = (
            MenuButton("New", commands.menu(NEW, parent=self), "plus"),
            *(ActionButton(commands.action(act), words=words) for act, words in ACTS if act in commands.ids()),
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

    def _shrink(self, steps: int) -> None:
        """Where there is no room for all the words, the clearest pictures do without; where there is less, one more."""
        for button in self._shrinking:
            button.set_compact(steps > 0)
        if self._last is not None:
            self._last.set_compact(steps > 1)

    def resizeEvent(self, event: QResizeEvent) -> None:
        super().resizeEvent(event)
        self._measure()
        self._shrink(self._steps(event.size().width()))

    def changeEvent(self, event: QEvent) -> None:
        super().changeEvent(event)
        if event.type() in (QEvent.Type.StyleChange, QEvent.Type.FontChange):
            self._widths = ()

    def minimumSizeHint(self) -> QSize:
        self._measure()
        return QSize(self._widths[-1], super().minimumSizeHint().height())

    def _steps(self, width: int) -> int:
        return sum(width < needed for needed in self._widths[:-1])

    def _measure(self) -> None:
        """How wide it is at least, with all its words and without some; once, and again in another style."""
        if not self._widths:
            found = []
            for steps in range(3):
                self._shrink(steps)
                found.append(super().minimumSizeHint().width())
            self._widths = tuple(found)
            self._shrink(self._steps(self.width()))
