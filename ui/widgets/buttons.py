"""Buttons that follow an action, and the switch between a few views."""

from __future__ import annotations

from collections.abc import Callable, Sequence

from PySide6.QtCore import Qt, Signal
from PySide6.QtGui import QAction, QContextMenuEvent, QFontMetrics, QIcon
from PySide6.QtWidgets import QButtonGroup, QFrame, QHBoxLayout, QMenu, QPushButton, QSizePolicy, QToolButton, QWidget

from ui.base import fonts, icons
from ui.base.commands import Registry
from ui.base.xe_menu import xe_menu


def button(words: str, icon: str = "", kind: str = "", parent: QWidget | None = None) -> QPushButton:
    """A push button.

    :param icon: an icon of the family.
    :param kind: "" the usual one, "primary", "danger", "flat" or "link".
    :raise LookupError: there is no such icon.
    :raise ValueError: there is no such kind.
    """
    made = QPushButton(words, parent)
    if kind == "flat":
        made.setFlat(True)
    elif kind in ("primary", "danger", "link"):
        made.setProperty(kind, True)
    elif kind:
        raise ValueError(f"no button is {kind!r}")
    if icon:
        made.setIcon(_on(kind, icons.icon(icon)))
        made.setIconSize(icons.BESIDE_TEXT)
    if kind == "link":
        made.setCursor(Qt.CursorShape.PointingHandCursor)
    made.setAutoDefault(False)
    made.setFocusPolicy(Qt.FocusPolicy.TabFocus)
    return made


def icon_button(icon: str, name: str, parent: QWidget | None = None) -> QToolButton:
    """A button that is only a picture; ``name`` is its tooltip and what a screen reader says.

    :raise LookupError: there is no such icon.
    """
    made = QToolButton(parent)
    made.setIcon(icons.icon(icon))
    made.setToolTip(name)
    made.setAccessibleName(name)
    made.setAutoRaise(True)
    return made


def _on(kind: str, icon: QIcon) -> QIcon:
    """``icon`` as it looks on a button of ``kind``: on a filled one it has one colour."""
    if kind in ("primary", "danger") and icon.name() in icons.names():
        return icons.icon(icon.name(), "accent_text")
    return icon


class ActionButton(QPushButton):
    """A push button that is an action: its words, picture, state, reason and visibility follow it.

    :param kind: as for :func:`button`.
    :param words: other words than the action's, where the place says the rest.
    :param xe: the line for a terminal; None: that of the command whose action it is.
    """

    def __init__(
        self,
        action: QAction,
        kind: str = "",
        words: str = "",
        parent: QWidget | None = None,
        xe: Callable[[], str] | None = None,
    ) -> None:
        super().__init__(parent)
        self._xe = xe
        self._action, self._kind, self._words, self._compact = action, kind, words, False
        if kind == "flat":
            self.setFlat(True)
        elif kind:
            self.setProperty(kind, True)
        self.setIconSize(icons.BESIDE_TEXT)
        self.setAutoDefault(False)
        self.setFocusPolicy(Qt.FocusPolicy.TabFocus)
        self.clicked.connect(lambda: self._action.trigger())
        action.changed.connect(self._follow)
        self._follow()

    def set_compact(self, compact: bool) -> None:
        """Show the picture only; tooltip and screen reader still say the words."""
        if compact != self._compact:
            self._compact = compact
            self._follow()

    def contextMenuEvent(self, event: QContextMenuEvent) -> None:
        """Offer the line for a terminal that does what the button does, where there is one."""
        menu = xe_menu(self.xe_line(), self)
        if menu is None:
            super().contextMenuEvent(event)
        else:
            menu.popup(event.globalPos())

    def xe_line(self) -> str:
        """That line, "" for none."""
        if self._xe is not None:
            return self._xe()
        registry = self._action.parent()
        return registry.xe_line(self._action.objectName()) if isinstance(registry, Registry) else ""

    def _follow(self) -> None:
        action = self._action
        words = self._words or action.text()
        self.setText("" if self._compact else words)
        self.setAccessibleName(words)
        self.setIcon(_on(self._kind, action.icon()))
        self.setEnabled(action.isEnabled())
        self.setToolTip(action.toolTip())
        self.setAccessibleDescription("" if action.isEnabled() else action.statusTip())
        self.setVisible(action.isVisible())


class MenuButton(QPushButton):
    """A push button that opens a menu: ``New ▾``."""

    def __init__(self, words: str, menu: QMenu, icon: str = "", parent: QWidget | None = None) -> None:
        super().__init__(words, parent)
        self.setProperty("menu", True)
        if icon:
            self.setIcon(icons.icon(icon))
            self.setIconSize(icons.BESIDE_TEXT)
        self._words = words
        self.setAccessibleName(words)
        self.setMenu(menu)
        self.setAutoDefault(False)
        self.setFocusPolicy(Qt.FocusPolicy.TabFocus)

    def set_compact(self, compact: bool) -> None:
        """Show the picture only; tooltip and screen reader say the words."""
        self.setText("" if compact else self._words)
        self.setToolTip(self._words if compact else "")


class Segmented(QFrame):
    """A switch between a few views, one of which always is on: ``Graph | List``.

    :param choices: (key, words) or (key, words, icon) of each.
    :param name: what is switched, for a screen reader.
    """

    #: the key that is on now; only for a change by the person
    chosen = Signal(str)

    def __init__(
        self,
        choices: Sequence[tuple[str, str] | tuple[str, str, str]],
        name: str,
        current: str | None = None,
        parent: QWidget | None = None,
    ) -> None:
        super().__init__(parent)
        if not choices:
            raise ValueError("a switch needs a choice")
        self.setProperty("segmented", True)
        self.setAccessibleName(name)
        self.setSizePolicy(QSizePolicy.Policy.Maximum, QSizePolicy.Policy.Fixed)
        self._keys = [choice[0] for choice in choices]
        self._group = QButtonGroup(self)
        row = QHBoxLayout(self)
        row.setContentsMargins(1, 1, 1, 1)
        row.setSpacing(0)
        for index, choice in enumerate(choices):
            made = self._segment(*choice)
            self._group.addButton(made, index)
            row.addWidget(made)
        self.set_current(self._keys[0] if current is None else current)
        self._group.idClicked.connect(lambda index: self.chosen.emit(self._keys[index]))

    def _segment(self, _key: str, words: str, icon: str = "") -> QPushButton:
        made = QPushButton(words, self)
        made.setProperty("segment", True)
        made.setCheckable(True)
        made.setAutoDefault(False)
        made.setFocusPolicy(Qt.FocusPolicy.TabFocus)
        wide = QFontMetrics(fonts.font(strong=True)).horizontalAdvance(words)
        made.setMinimumWidth(wide + 24 + (26 if icon else 0))
        if icon:
            made.setIcon(icons.icon(icon))
            made.setIconSize(icons.BESIDE_TEXT)
        return made

    def current(self) -> str:
        """The key that is on."""
        return self._keys[self._group.checkedId()]

    def set_current(self, key: str) -> None:
        """Switch without telling.

        :raise ValueError: there is no such choice.
        """
        self._group.button(self._keys.index(key)).setChecked(True)

    def set_choice_enabled(self, key: str, enabled: bool, reason: str = "") -> None:
        """Whether a choice can be made; ``reason`` says why not.

        :raise ValueError: there is no such choice.
        """
        made = self._group.button(self._keys.index(key))
        made.setEnabled(enabled)
        made.setToolTip("" if enabled else reason)
