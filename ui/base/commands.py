"""Every act a person can ask for, registered by id and shown as one QAction wherever it appears.

A feature registers its commands; menus, tool bars, context menus and buttons ask for them by id. So a command is named,
drawn, explained and guarded in one place, and features need not know each other::

    registry.add(Command(id="vm.snapshot", title="Take Snapshot…", icon="camera", shortcut="Ctrl+T",
                         run=take_snapshot, state=can_take_snapshot))
    toolbar.addAction(registry.action("vm.snapshot"))
    registry.update((("VM", ref),))
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Iterable
from dataclasses import dataclass
from typing import Any, TypeAlias

from PySide6.QtCore import QObject, Qt, Signal
from PySide6.QtGui import QAction, QGuiApplication, QKeySequence
from PySide6.QtWidgets import QMenu, QWidget

from ui.base import icons, text

COPY_XE = "Copy xe Command"

#: what is chosen: (class name, ref) pairs, in the order they are shown
Selection: TypeAlias = tuple[tuple[str, str], ...]


@dataclass(frozen=True, slots=True)
class CommandState:
    """Whether a command can run now. ``reason`` says why not, in a sentence; ``checked`` is for toggles."""

    enabled: bool = True
    reason: str = ""
    visible: bool = True
    checked: bool | None = None


#: what a terminal would be told instead, "" for nothing: a line for each chosen object
XeLine: TypeAlias = Callable[[Any, Selection], str]

ENABLED = CommandState()
HIDDEN = CommandState(enabled=False, visible=False)


def disabled(reason: str) -> CommandState:
    """Shown, but cannot run, because of ``reason``."""
    return CommandState(enabled=False, reason=reason)


def _always(_context: Any, _selection: Selection) -> CommandState:
    return ENABLED


@dataclass(frozen=True, kw_only=True)
class Command:
    """One act.

    ``run`` gets the context of the registry (the window) and the selection; where it gives back an awaitable, that is
    run as a task. ``state`` gets the same and must be quick: it is asked after every change. ``scope`` names the
    selection the command follows, for a tab with a selection of its own; "" is the window's. ``xe`` says what to type
    in a terminal for the same; see :mod:`ui.base.xe_lines`.
    """

    id: str
    title: str
    run: Callable[[Any, Selection], Awaitable[object] | None]
    state: Callable[[Any, Selection], CommandState] = _always
    icon: str = ""
    shortcut: str = ""
    tooltip: str = ""
    scope: str = ""
    xe: XeLine | None = None

    @property
    def plain_title(self) -> str:
        """The title without its mnemonic and ellipsis, as spoken: ``Take Snapshot``."""
        return self.title.replace("&&", "\0").replace("&", "").replace("\0", "&").removesuffix("…")


class Registry(QObject):
    """All commands of one window.

    :param context: handed to each command; the window.
    :param on_error: called with the command and whatever its ``run`` or ``state`` raised. Cancellation is no error.
    """

    #: the id of a command that began, and of one that ended, however it ended
    started = Signal(str)
    ended = Signal(str)

    def __init__(
        self, context: Any, on_error: Callable[[Command, Exception], None], parent: QObject | None = None
    ) -> None:
        super().__init__(parent)
        self._context = context
        self._on_error = on_error
        self._commands: dict[str, Command] = {}
        self._actions: dict[str, QAction] = {}
        self._selections: dict[str, Selection] = {}
        self._running: dict[tuple[str, Selection], asyncio.Future[Any]] = {}

    def add(self, *commands: Command) -> None:
        """Register commands.

        :raise ValueError: an id or a shortcut is taken; then none of them is registered.
        """
        merged = dict(self._commands)
        shortcuts = {command.shortcut: command.id for command in merged.values() if command.shortcut}
        for command in commands:
            if command.id in merged:
                raise ValueError(f"there is a command {command.id} already")
            if command.shortcut and command.shortcut in shortcuts:
                raise ValueError(f"{command.shortcut} is the shortcut of {shortcuts[command.shortcut]} already")
            merged[command.id] = command
            shortcuts[command.shortcut] = command.id
        self._commands = merged

    def get(self, command_id: str) -> Command:
        """The command of that id.

        :raise LookupError: there is none.
        """
        try:
            return self._commands[command_id]
        except KeyError:
            raise LookupError(f"there is no command {command_id}") from None

    def ids(self) -> tuple[str, ...]:
        """Every id, in the order of registration."""
        return tuple(self._commands)

    def action(self, command_id: str, parent: QWidget | None = None) -> QAction:
        """The one action of a command, following the selection from now on.

        :param parent: a widget to give the action to, so that its shortcut works there without being in a menu.
        :raise LookupError: there is no such command.
        """
        command = self.get(command_id)
        action = self._actions.get(command_id)
        if action is None:
            action = self._made(command, self)
            if command.shortcut:
                action.setShortcut(QKeySequence(command.shortcut))
            action.triggered.connect(lambda: self.run(command_id))
            self._actions[command_id] = action
            self._show_state(command, action, self.selection(command.scope))
        if parent is not None:
            parent.addAction(action)
        return action

    def menu(
        self, ids: Iterable[str], selection: Selection | None = None, parent: QWidget | None = None, title: str = ""
    ) -> QMenu:
        """A menu of commands, "-" for a separator, with the reasons of disabled ones as tooltips.

        :param selection: what the entries act on, for a context menu. None: they follow the selection.
        :raise LookupError: there is no such command.
        """
        menu = QMenu(title, parent)
        menu.setToolTipsVisible(True)
        ids = list(ids)
        for command_id in ids:
            if command_id == "-":
                menu.addSeparator()
            elif selection is None:
                menu.addAction(self.action(command_id))
            else:
                menu.addAction(self._bound(self.get(command_id), selection, menu))
        if selection is not None:
            self._offer_xe(menu, [command_id for command_id in ids if command_id != "-"], selection)
        return menu

    def xe_line(self, command_id: str, selection: Selection | None = None) -> str:
        """What to type in a terminal for a command on ``selection`` (default: the one it follows); "" for nothing.

        :raise LookupError: there is no such command.
        """
        command = self.get(command_id)
        if command.xe is None:
            return ""
        try:
            return command.xe(self._context, self.selection(command.scope) if selection is None else selection)
        except Exception as error:
            self._on_error(command, error)
            return ""

    def copy_xe(self, command_id: str, selection: Selection | None = None) -> None:
        """Put that on the clipboard. :raise LookupError: there is no such command."""
        found = self.xe_line(command_id, selection)
        if found:
            QGuiApplication.clipboard().setText(found)

    def _offer_xe(self, menu: QMenu, ids: Iterable[str], selection: Selection) -> None:
        shown = [self.get(command_id) for command_id in ids if self.state(command_id, selection).visible]
        there = [command for command in shown if self.xe_line(command.id, selection)]
        if not there:
            return
        menu.addSeparator()
        lines = menu.addMenu(icons.icon("copy"), COPY_XE)
        lines.setToolTipsVisible(True)
        for command in there:
            entry = lines.addAction(command.plain_title)
            entry.setObjectName(f"xe.{command.id}")
            entry.setToolTip(text.tooltip(self.xe_line(command.id, selection)))
            entry.triggered.connect(lambda _checked=False, of=command.id: self.copy_xe(of, selection))

    def selection(self, scope: str = "") -> Selection:
        """What is chosen in ``scope``."""
        return self._selections.get(scope, ())

    def update(self, selection: Selection, scope: str = "") -> None:
        """Something else is chosen: show what the commands of ``scope`` can do with it."""
        self._selections[scope] = selection
        self.refresh(scope)

    def refresh(self, scope: str | None = None) -> None:
        """The chosen objects changed: ask every command (of ``scope``) for its state again."""
        for command_id, action in self._actions.items():
            command = self._commands[command_id]
            if scope is None or command.scope == scope:
                self._show_state(command, action, self.selection(command.scope))

    def state(self, command_id: str, selection: Selection | None = None) -> CommandState:
        """What the command says of ``selection`` (default: the selection it follows). An error counts as disabled.

        :raise LookupError: there is no such command.
        """
        command = self.get(command_id)
        return self._state(command, self.selection(command.scope) if selection is None else selection)

    def run(self, command_id: str, selection: Selection | None = None) -> None:
        """Run a command on ``selection`` (default: the one it follows), if its state allows it.

        A command that is still busy with the same selection is not begun twice: a double click opens one dialog.

        :raise LookupError: there is no such command.
        """
        command = self.get(command_id)
        chosen = self.selection(command.scope) if selection is None else selection
        if (command_id, chosen) in self._running or not self._state(command, chosen).enabled:
            return
        try:
            result = command.run(self._context, chosen)
        except Exception as error:
            self._on_error(command, error)
            return
        if result is not None:
            self._follow(command, chosen, asyncio.ensure_future(result))

    @property
    def running(self) -> tuple[str, ...]:
        """Ids of the commands that have begun and not ended."""
        return tuple(command_id for command_id, _ in self._running)

    async def stop(self) -> None:
        """Cancel what runs and wait for it to end, before the window goes."""
        tasks = list(self._running.values())
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)

    def _follow(self, command: Command, selection: Selection, task: asyncio.Future[Any]) -> None:
        self._running[command.id, selection] = task
        self.started.emit(command.id)

        def end(done: asyncio.Future[Any]) -> None:
            del self._running[command.id, selection]
            error = None if done.cancelled() else done.exception()
            if isinstance(error, Exception):
                self._on_error(command, error)
            self.ended.emit(command.id)

        task.add_done_callback(end)

    def _state(self, command: Command, selection: Selection) -> CommandState:
        try:
            return command.state(self._context, selection)
        except Exception as error:
            self._on_error(command, error)
            return disabled("It is not known whether this can be done now.")

    def _made(self, command: Command, parent: QObject) -> QAction:
        action = QAction(command.title, parent)
        action.setObjectName(command.id)
        if command.icon:
            action.setIcon(icons.icon(command.icon))
        return action

    def _bound(self, command: Command, selection: Selection, parent: QObject) -> QAction:
        action = self._made(command, parent)
        action.setShortcut(QKeySequence(command.shortcut))
        action.setShortcutVisibleInContextMenu(True)
        action.setShortcutContext(Qt.ShortcutContext.WidgetShortcut)  # shown, but never rivals the window's
        action.triggered.connect(lambda: self.run(command.id, selection))
        self._show_state(command, action, selection)
        return action

    def _show_state(self, command: Command, action: QAction, selection: Selection) -> None:
        state = self._state(command, selection)
        action.setEnabled(state.enabled)
        action.setVisible(state.visible)
        action.setCheckable(state.checked is not None)
        action.setChecked(bool(state.checked))
        action.setToolTip(text.tooltip(_tooltip(command, state)))
        action.setStatusTip(state.reason)


def _tooltip(command: Command, state: CommandState) -> str:
    if not state.enabled and state.reason:
        return f"{command.plain_title}\n{state.reason}"
    keys = QKeySequence(command.shortcut).toString(QKeySequence.SequenceFormat.NativeText)
    first = f"{command.plain_title} ({keys})" if keys else command.plain_title
    return f"{first}\n{command.tooltip}" if command.tooltip else first
