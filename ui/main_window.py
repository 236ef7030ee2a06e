"""The window: menus, tool bar, the tree at the left, the chosen object's tabs at the right, and the status bar."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from functools import cached_property
from pathlib import PurePath
from typing import Final

from PySide6.QtCore import QPoint, QRect, Qt, Signal
from PySide6.QtGui import (
    QCloseEvent,
    QDragEnterEvent,
    QDragLeaveEvent,
    QDragMoveEvent,
    QDropEvent,
    QGuiApplication,
)
from PySide6.QtWidgets import QMainWindow, QSplitter, QStackedWidget, QVBoxLayout, QWidget

from app.api import SR
from ui.base.commands import Command
from ui.base.dialogs import ConsequenceDialog, ask
from ui.base.history import Entry
from ui.base.sizes_and_dates import count
from ui.base.workspace import Workspace
from ui.exchange import commands as exchange_commands
from ui.exchange.dropping import DropOverlay, dropped
from ui.machines import commands as machine_commands
from ui.machines.console_tab import ConsoleTab
from ui.machines.general_tab import GeneralTab
from ui.machines.orphans_tab import OrphansTab
from ui.navigation import menus, window_commands
from ui.navigation.navigation_pane import INFRASTRUCTURE, NOTIFICATIONS, NavigationPane
from ui.navigation.news import News
from ui.navigation.object_page import LostNotice, ObjectPage
from ui.navigation.object_tabs import TabFactory
from ui.navigation.status_bar import StatusBar
from ui.navigation.tool_bar import ToolBar
from ui.notifications import commands as notification_commands
from ui.notifications.alerts_page import AlertsPage
from ui.notifications.events_page import EventsPage
from ui.notifications.tray import Tray
from ui.pools.general import HostGeneralTab, PoolGeneralTab
from ui.schedules import commands as schedule_commands
from ui.schedules.timeline_tab import TimelineTab
from ui.snapshots import commands as snapshot_commands
from ui.snapshots.tab import SnapshotsTab
from ui.storage import commands as storage_commands
from ui.storage.chains_tab import ChainsTab
from ui.storage.general import SRGeneralTab
from ui.storage.sr_tab import SRStorageTab
from ui.storage.tab import StorageTab
from ui.widgets.notice import toast

TABS: Final[Mapping[str, Sequence[tuple[str, str]]]] = {
    "pool": (("general", "General"), ("timeline", "Timeline")),
    "host": (("general", "General"),),
    "vm": (("general", "General"), ("storage", "Storage"), ("console", "Console"), ("snapshots", "Snapshots")),
    "template": (("general", "General"), ("storage", "Storage")),
    "sr": (("general", "General"), ("storage", "Storage"), ("chains", "Chains")),
    "iso": (("general", "General"), ("storage", "Storage")),
    "orphans": (("snapshots", "Snapshots"),),
}
"""The tabs of each kind of object, in order. The page of one is registered as ``vm.snapshots``."""

FEATURE_TABS: Final[Mapping[str, TabFactory]] = {
    "pool.general": PoolGeneralTab,
    "pool.timeline": TimelineTab,
    "host.general": HostGeneralTab,
    "vm.general": GeneralTab,
    "vm.storage": StorageTab,
    "vm.console": ConsoleTab,
    "vm.snapshots": SnapshotsTab,
    "template.general": GeneralTab,
    "template.storage": StorageTab,
    "sr.general": SRGeneralTab,
    "sr.storage": SRStorageTab,
    "sr.chains": ChainsTab,
    "iso.general": SRGeneralTab,
    "iso.storage": SRStorageTab,
    "orphans.snapshots": OrphansTab,
}
PAGES: Final = (("alerts", "bell", "Alerts"), ("events", "list", "Events"))
_SIZE: Final = (1180, 760)
_SPLIT: Final = (280, 900)


def register_commands(workspace: Workspace) -> None:
    """Register the commands of all features."""
    for feature in (
        machine_commands,
        snapshot_commands,
        schedule_commands,
        storage_commands,
        exchange_commands,
        notification_commands,
        window_commands,
    ):
        feature.register(workspace)


class MainWindow(QMainWindow):
    """One pool in one window.

    :param tab_factories: what makes the page of each tab, by ``kind.tab``; those of the features where not given.
    """

    #: the person wants to leave, and nothing stands against it; whoever made the window ends it
    close_requested = Signal()

    def __init__(self, workspace: Workspace, tab_factories: Mapping[str, TabFactory] | None = None) -> None:
        super().__init__()
        self.workspace = workspace
        workspace.window = self
        self._asking = False
        self._news = News(workspace, self)
        self._middle = QWidget(self)
        self.split = QSplitter(self._middle)
        self.pane = NavigationPane(workspace, self._news, menus.CONTEXT, PAGES, self.split)
        self._register()
        self.page = ObjectPage(workspace, TABS, FEATURE_TABS if tab_factories is None else tab_factories)
        self.notifications = QStackedWidget()
        self.right = QStackedWidget()
        self.right.addWidget(self.page)
        self.right.addWidget(self.notifications)
        self.tool_bar = ToolBar(workspace.commands, self)
        self.status = StatusBar(workspace, self._news)
        self._lay_out()
        self.drop_overlay = DropOverlay(self)
        self.setAcceptDrops(True)
        self._connect()
        self._restore()
        self._follow_selection()
        self.pane.tree.setFocus()
        self.tray = Tray(workspace, self)
        self.tray.opened.connect(self._come_forward)
        self.tray.alerts_asked.connect(lambda: self._show_count("alerts"))

    @cached_property
    def alerts(self) -> AlertsPage:
        """Made when it is first shown, as is the other."""
        page = AlertsPage(self.workspace)
        self.notifications.addWidget(page)
        return page

    @cached_property
    def events(self) -> EventsPage:
        page = EventsPage(self.workspace)
        self.notifications.addWidget(page)
        return page

    def _come_forward(self) -> None:
        self.setWindowState(self.windowState() & ~Qt.WindowState.WindowMinimized)
        self.show()
        self.raise_()
        self.activateWindow()

    def show_object(self, cls: str, ref: str, tab: str = "") -> None:
        """Choose an object and show it, on one of its tabs if asked."""
        self.pane.end_search()
        if self.pane.tree.choose((cls, ref)):
            self.pane.set_mode(INFRASTRUCTURE)
            self.page.show_selection(((cls, ref),), tab)

    def _rename(self) -> None:
        """What is chosen in the tree, where everybody sees it."""
        self.pane.set_mode(INFRASTRUCTURE)
        self.pane.tree.rename()

    # ---- construction -----------------------------------------------------------------------------------------

    def _register(self) -> None:
        if "file.exit" not in self.workspace.commands.ids():
            register_commands(self.workspace)
        self.workspace.commands.add(
            window_commands.rename_command(self._rename),
            Command(
                id="view.infrastructure",
                title="&Infrastructure",
                icon="infrastructure",
                shortcut="Ctrl+1",
                run=lambda _w, _s: self.pane.set_mode(INFRASTRUCTURE),
            ),
            Command(
                id="view.notifications",
                title="&Notifications",
                icon="bell",
                shortcut="Ctrl+2",
                run=lambda _w, _s: self.pane.set_mode(NOTIFICATIONS),
            ),
        )

    def _lay_out(self) -> None:
        self.setAccessibleName("Stillframe")
        menus.fill(self.menuBar(), self.workspace.commands)
        self.addToolBar(self.tool_bar)
        self.setContextMenuPolicy(Qt.ContextMenuPolicy.PreventContextMenu)
        self.split.addWidget(self.pane)
        self.split.addWidget(self.right)
        self.split.setStretchFactor(1, 1)
        self.split.setChildrenCollapsible(False)
        self.split.setHandleWidth(1)
        self.split.setSizes(_SPLIT)
        rows = QVBoxLayout(self._middle)
        rows.setContentsMargins(0, 0, 0, 0)
        rows.setSpacing(0)
        rows.addWidget(LostNotice(self.workspace))
        rows.addWidget(self.split, 1)
        self.setCentralWidget(self._middle)
        self.setStatusBar(self.status)
        self.setMinimumSize(800, 560)

    def _connect(self) -> None:
        self.pane.tree.chosen.connect(self._follow_selection)
        self.pane.mode_changed.connect(self._show_mode)
        self.pane.page_chosen.connect(self._show_page)
        self.status.clicked.connect(self._show_count)
        self.workspace.show_requested.connect(self.show_object)
        self.workspace.settings.changed.connect(self._setting_changed)
        self.workspace.status_changed.connect(self._show_status)

    # ---- following --------------------------------------------------------------------------------------------

    def _follow_selection(self) -> None:
        selection = self.pane.tree.selection()
        self.workspace.commands.update(selection)
        self.page.show_selection(selection)
        title = self.page.strip.name.text()
        self.setWindowTitle(f"{title} — Stillframe" if len(selection) == 1 else "Stillframe")

    def _show_mode(self, mode: str) -> None:
        shows_news = mode == NOTIFICATIONS
        self.right.setCurrentWidget(self.notifications if shows_news else self.page)
        if shows_news:
            self._show_page(self.pane.page)
        else:
            self.pane.tree.setFocus()

    def _show_page(self, page: str) -> None:
        shown = self.alerts if page == "alerts" else self.events
        self.notifications.setCurrentWidget(shown)
        shown.take_focus()

    def _show_count(self, what: str) -> None:
        if what != "alerts":
            self.events.show_kind(what)
        self.pane.choose_page("alerts" if what == "alerts" else "events")

    def _show_status(self, status: str) -> None:
        """While the engine does not answer, what is known can be looked at, and nothing asked for."""
        self.tool_bar.setEnabled(status != "lost")
        menus.set_enabled(self.menuBar(), status != "lost")

    def _setting_changed(self, key: str) -> None:
        if key == window_commands.TOOL_BAR:
            self.tool_bar.setVisible(self.workspace.settings.get(key, True))

    # ---- files that are dropped -------------------------------------------------------------------------------

    def open_file(self, path: str) -> None:
        """Come to the front with the import wizard on a file, as for a double click on it."""
        self._come_forward()
        self.import_file(path)

    def import_file(self, path: str, storage: str = "") -> None:
        """Open the import wizard on a file; its disks go to this storage, the chosen one, or the default."""
        chosen = (("SR", storage),) if storage else self.pane.tree.selection()
        selection = tuple(key for key in chosen if key[0] == "SR")[:1]
        reason = self.workspace.commands.state("pool.import", ()).reason
        if reason:
            toast(self, f"“{PurePath(path).name}” cannot be imported now. {reason}", "attention")
        self.workspace.commands.run("pool.import", (("file", path), *selection))

    def dragEnterEvent(self, event: QDragEnterEvent) -> None:
        if dropped(event) and self.workspace.commands.state("pool.import", ()).enabled:
            event.acceptProposedAction()
            self._hover(event)

    def dragMoveEvent(self, event: QDragMoveEvent) -> None:
        self._hover(event)

    def dragLeaveEvent(self, _event: QDragLeaveEvent) -> None:
        self.drop_overlay.hide()

    def dropEvent(self, event: QDropEvent) -> None:
        self.drop_overlay.hide()
        if path := dropped(event):
            event.acceptProposedAction()
            self._come_forward()
            self.import_file(path, self._storage_at(event.position().toPoint()))

    def _hover(self, event: QDropEvent) -> None:
        record = self.workspace.cache.get(SR, self._storage_at(event.position().toPoint()))
        self.drop_overlay.rise(dropped(event), record.name_label if record is not None else "")

    def _storage_at(self, place: QPoint) -> str:
        """The storage for disks whose row in the tree is there, "" for none."""
        tree = self.pane.tree
        cls, ref = tree.pool.key(tree.indexAt(tree.viewport().mapFrom(self, place))) or ("", "")
        record = self.workspace.cache.get(SR, ref) if cls == "SR" and tree.isVisible() else None
        return ref if record is not None and record.content_type != "iso" else ""

    # ---- over restarts ----------------------------------------------------------------------------------------

    def _restore(self) -> None:
        settings = self.workspace.settings
        self.resize(*_SIZE)
        if not settings.restore_window("main", self) or not _is_on_a_screen(self.geometry()):
            self.resize(*_SIZE)
            screen = QGuiApplication.primaryScreen().availableGeometry()
            self.move(screen.center() - self.rect().center())
        settings.restore_splitter("main", self.split)
        self.tool_bar.setVisible(settings.get(window_commands.TOOL_BAR, True))

    def save(self) -> None:
        """Remember place, size, splitter, and what is folded and chosen in the tree."""
        settings = self.workspace.settings
        settings.save_window("main", self)
        settings.save_splitter("main", self.split)
        self.pane.tree.save()

    # ---- leaving ----------------------------------------------------------------------------------------------

    def closeEvent(self, event: QCloseEvent) -> None:
        """Never closes by itself: asks if something runs, then tells whoever made the window."""
        event.ignore()
        running = self.workspace.history.running()
        if not running:
            self._leave()
        elif not self._asking:
            self._asking = True
            self.workspace.spawn(self._ask_to_leave(running), "Leaving")

    async def _ask_to_leave(self, running: Sequence[Entry]) -> None:
        try:
            agreed = await ask(leave_dialog(running, self))
        finally:
            self._asking = False
        if agreed:
            self._leave()

    def _leave(self) -> None:
        self.save()
        self.close_requested.emit()


def leave_dialog(running: Sequence[Entry], parent: QWidget | None = None) -> ConsequenceDialog:
    """What is under way, and what leaving means for it."""
    shown: list[tuple[str, str]] = [("clock", entry.title) for entry in running[:6]]
    if len(running) > len(shown):
        shown.append(("more", f"and {count(len(running) - len(shown), 'more', 'more')}"))
    return ConsequenceDialog(
        "Leave while operations run?",
        "Each of these is finished, or stopped and undone, before Stillframe ends. That may take a moment.",
        [*shown, ("alert-good", "Guests go on running.")],
        primary="Leave",
        parent=parent,
    )


def _is_on_a_screen(place: QRect) -> bool:
    """Whether enough of the window can be seen and grasped."""
    title = QRect(place.left(), place.top(), place.width(), 40)
    parts = (screen.availableGeometry().intersected(title) for screen in QGuiApplication.screens())
    return any(part.width() >= 120 and part.height() >= 20 for part in parts)
