"""The left side of the window: search and tree, or the list of notification pages; below, what to show."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from functools import partial
from typing import Final

from PySide6.QtCore import Qt, Signal
from PySide6.QtWidgets import QHBoxLayout, QStackedWidget, QVBoxLayout, QWidget

from ui.base.dialogs import separator
from ui.base.workspace import Workspace
from ui.navigation.mode_button import ModeButton
from ui.navigation.news import News
from ui.navigation.pool_tree import PoolTree
from ui.widgets.search_field import SearchField

INFRASTRUCTURE: Final = "infrastructure"
NOTIFICATIONS: Final = "notifications"
LEAST_WIDTH: Final = 200


class NavigationPane(QWidget):
    """Two modes, each with its own list: the tree of the pool, and the pages of notifications.

    :param pages: (id, icon, title) of the notification pages.
    """

    #: another mode: "infrastructure" or "notifications"
    mode_changed = Signal(str)
    #: another notification page: its id
    page_chosen = Signal(str)

    def __init__(
        self,
        workspace: Workspace,
        news: News,
        menus: Mapping[str, tuple[str, ...]],
        pages: Sequence[tuple[str, str, str]],
        parent: QWidget | None = None,
    ) -> None:
        super().__init__(parent)
        self.setProperty("plane", "surface")
        self.setAttribute(Qt.WidgetAttribute.WA_StyledBackground)
        self.setMinimumWidth(LEAST_WIDTH)
        self.setAccessibleName("Navigation")
        self._news = news
        # From the outside in: a tree of thousands is laid out anew whenever it gets another parent.
        self._lists = QStackedWidget(self)
        infrastructure = QWidget(self._lists)
        self.search = SearchField("Search…", shortcut=True, parent=infrastructure)
        self.tree = PoolTree(workspace, menus, infrastructure)
        self.search.searched.connect(self.tree.search)
        self._pages = {page: ModeButton(icon, title, title.lower()) for page, icon, title in pages}
        self._modes = {
            INFRASTRUCTURE: ModeButton("infrastructure", "Infrastructure"),
            NOTIFICATIONS: ModeButton("bell", "Notifications", "unseen notifications"),
        }
        self._lists.addWidget(self._with_tree(infrastructure))
        self._lists.addWidget(self._notifications())
        rows = QVBoxLayout(self)
        rows.setContentsMargins(0, 0, 0, 0)
        rows.setSpacing(0)
        rows.addWidget(self._lists, 1)
        rows.addWidget(separator())
        rows.addWidget(self._mode_bar())
        self._modes[INFRASTRUCTURE].setChecked(True)
        next(iter(self._pages.values())).setChecked(True)
        news.changed.connect(self._count)
        self._count()

    @property
    def mode(self) -> str:
        """What is shown now."""
        return next(mode for mode, button in self._modes.items() if button.isChecked())

    @property
    def page(self) -> str:
        """The notification page that is chosen."""
        return next(page for page, button in self._pages.items() if button.isChecked())

    def set_mode(self, mode: str) -> None:
        """Show the tree or the notifications."""
        self._modes[mode].setChecked(True)

    def choose_page(self, page: str) -> None:
        """Show the notifications, and this page of them."""
        self._pages[page].setChecked(True)
        self.set_mode(NOTIFICATIONS)

    def begin_search(self) -> None:
        """Come to the search field."""
        self.set_mode(INFRASTRUCTURE)
        self.search.take_focus()

    def end_search(self) -> None:
        """Show the whole tree again."""
        self.search.clear()
        if self.tree.pool.is_filtered:
            self.tree.search("")

    def mode_button(self, mode: str) -> ModeButton:
        """The button of a mode, with its count."""
        return self._modes[mode]

    def _with_tree(self, page: QWidget) -> QWidget:
        rows = QVBoxLayout(page)
        rows.setContentsMargins(0, 12, 0, 4)
        rows.setSpacing(8)
        line = QHBoxLayout()
        line.setContentsMargins(12, 0, 12, 0)
        line.addWidget(self.search)
        rows.addLayout(line)
        rows.addWidget(self.tree, 1)
        return page

    def _notifications(self) -> QWidget:
        made = QWidget()
        rows = QVBoxLayout(made)
        rows.setContentsMargins(6, 12, 6, 4)
        rows.setSpacing(2)
        for page, button in self._pages.items():
            button.toggled.connect(partial(self._page_toggled, page))
            rows.addWidget(button)
        rows.addStretch()
        return made

    def _mode_bar(self) -> QWidget:
        made = QWidget()
        rows = QVBoxLayout(made)
        rows.setContentsMargins(6, 6, 6, 6)
        rows.setSpacing(2)
        for mode, button in self._modes.items():
            button.toggled.connect(partial(self._mode_toggled, mode))
            rows.addWidget(button)
        return made

    def _page_toggled(self, page: str, on: bool) -> None:
        if on:
            self.page_chosen.emit(page)

    def _mode_toggled(self, mode: str, on: bool) -> None:
        if on:
            self._lists.setCurrentIndex(list(self._modes).index(mode))
            self.mode_changed.emit(mode)

    def _count(self) -> None:
        self._modes[NOTIFICATIONS].set_count(self._news.alerts + self._news.failed)
        counts = {"alerts": self._news.alerts, "events": self._news.failed}
        for page, button in self._pages.items():
            button.set_count(counts.get(page, 0), "bad" if page == "events" else "attention")
