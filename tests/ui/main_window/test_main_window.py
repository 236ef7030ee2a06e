"""The window as a whole: what is chosen is shown, commands follow, and leaving asks first."""

from __future__ import annotations

import asyncio
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest
from PySide6.QtCore import QEvent, QRect, Qt
from PySide6.QtTest import QTest
from PySide6.QtWidgets import QApplication, QLabel, QWidget
from pytestqt.qtbot import QtBot

from app.api import VM, Failure
from app.api.enums import VMOperation
from tests.support.fake_session import FakeEngine
from tests.ui.main_window import pools
from ui.base import theme
from ui.base.dialogs import ConsequenceDialog
from ui.base.settings import Settings
from ui.base.workspace import Workspace
from ui.main_window import FEATURE_TABS, TABS, MainWindow, leave_dialog
from ui.navigation import menus
from ui.navigation.object_page import LostNotice
from ui.navigation.placement import ORPHANS


@pytest.fixture
def window(qapp: QApplication, engine: FakeEngine, workspace: Workspace) -> Iterator[MainWindow]:
    pools.small_pool(engine)
    made = MainWindow(workspace)
    made.show()
    yield made
    remove(made)


def remove(window: MainWindow) -> None:
    """Delete a window now: while no loop runs nothing else does, and a theme dresses all windows there are."""
    window.hide()
    window.deleteLater()
    QApplication.sendPostedEvents(None, QEvent.Type.DeferredDelete)


def _app() -> QApplication:
    app = QApplication.instance()
    assert isinstance(app, QApplication)
    return app


def tabs(window: MainWindow) -> list[str]:
    return [window.page.tabs.tabText(place) for place in range(window.page.tabs.count())]


# ---- what is chosen is shown ----------------------------------------------------------------------------------


def test_each_kind_of_object_has_its_tabs(window: MainWindow) -> None:
    window.show_object("VM", pools.DB)
    assert tabs(window) == ["General", "Storage", "Console", "Snapshots"]
    assert window.windowTitle() == "billing-db — Stillframe"
    window.show_object("VM", pools.BASE)
    assert tabs(window) == ["General", "Storage"]
    window.show_object("host", pools.HOST)
    assert tabs(window) == ["General"]
    window.show_object("pool", pools.POOL)
    assert tabs(window) == ["General", "Timeline"]
    window.show_object("SR", pools.SR_DISKS)
    assert tabs(window) == ["General", "Storage", "Chains"]
    window.show_object("SR", pools.SR_ISO)
    assert tabs(window) == ["General", "Storage"]


async def test_every_tab_opens_on_every_kind_of_object(window: MainWindow, engine: FakeEngine) -> None:
    engine.put(VM(name_label="left", is_a_template=True, is_a_snapshot=True))
    shown = {"pool": ("pool", pools.POOL), "host": ("host", pools.HOST), "vm": ("VM", pools.WIN)}
    shown |= {
        "template": ("VM", pools.BASE),
        "sr": ("SR", pools.SR_DISKS),
        "orphans": ORPHANS,
        "iso": ("SR", pools.SR_ISO),
    }
    for kind, layout in TABS.items():
        for tab, _ in layout:
            assert f"{kind}.{tab}" in FEATURE_TABS
            window.show_object(*shown[kind], tab)
            assert window.page.tabs.tab == tab
            page = window.page.tabs.page(tab)
            assert page is not None
            assert page.isVisible()
    window.show_object("pool", pools.POOL)
    await pools.settled()


def test_a_tab_can_be_asked_for(window: MainWindow, workspace: Workspace) -> None:
    workspace.show("VM", pools.WEB, "storage")
    assert window.page.strip.name.text() == "web-01"
    assert window.page.tabs.tab == "storage"
    workspace.show("VM", "OpaqueRef:none", "general")  # gone: nothing changes
    assert window.page.strip.name.text() == "web-01"


def test_the_title_follows_the_object(window: MainWindow, engine: FakeEngine) -> None:
    window.show_object("VM", pools.WEB)
    engine.change(VM, pools.WEB, name_label="web-1a", current_operations={"OpaqueRef:t": VMOperation.snapshot})
    assert window.page.strip.name.text() == "web-1a"
    assert window.page.strip.where.text() == "Running on workstation · taking a snapshot"


def test_a_vm_that_becomes_a_template_loses_its_console(window: MainWindow, engine: FakeEngine) -> None:
    window.show_object("VM", pools.WIN)
    engine.change(VM, pools.WIN, is_a_template=True)
    assert tabs(window) == ["General", "Storage"]


def test_several_objects_have_no_tabs(window: MainWindow, workspace: Workspace) -> None:
    window.pane.tree.selectAll()
    assert window.page.strip.name.text() == "9 objects"
    assert not window.page.tabs.isVisible()
    assert window.page.several.isVisible()
    assert len(workspace.commands.selection()) == 9


def test_a_long_name_is_cut_and_told_in_full(window: MainWindow, engine: FakeEngine) -> None:
    engine.put(pools.machine(pools.LONG), "OpaqueRef:long")
    window.resize(800, 560)
    window.show_object("VM", "OpaqueRef:long")
    assert window.page.strip.name.toolTip() == pools.LONG
    assert window.width() == 800


def test_an_engine_without_anything_shows_an_empty_window(qtbot: QtBot, workspace: Workspace) -> None:
    window = MainWindow(workspace)
    qtbot.addWidget(window)
    window.show()
    assert window.page.several.isVisible()


# ---- commands -------------------------------------------------------------------------------------------------


def test_commands_follow_the_tree(window: MainWindow, workspace: Workspace) -> None:
    window.show_object("VM", pools.WIN)
    assert workspace.commands.selection() == (("VM", pools.WIN),)
    assert workspace.commands.action("vm.start").isEnabled()
    window.show_object("VM", pools.DB)
    assert not workspace.commands.action("vm.start").isEnabled()


def test_menus_have_only_commands_that_exist(window: MainWindow, workspace: Workspace) -> None:
    assert menus.titles(window.menuBar()) == ["File", "View", "Pool", "VM", "Storage", "Templates", "Help"]
    there = set(workspace.commands.ids())
    for menu_action in window.menuBar().actions():
        menu = menu_action.menu()
        assert menu is not None
        entries = [action for action in menu.actions() if not action.isSeparator()]  # type: ignore[attr-defined]
        assert entries
        assert {entry.objectName() for entry in entries} <= there


def test_force_appears_where_asking_cannot_help(window: MainWindow, engine: FakeEngine) -> None:
    window.show_object("VM", pools.DB)
    assert "vm.force_shutdown" not in window.tool_bar.shown()
    assert "vm.suspend" in window.tool_bar.shown()
    engine.change(VM, pools.DB, allowed_operations=frozenset({VMOperation.hard_shutdown}))
    assert "vm.force_shutdown" in window.tool_bar.shown()


def test_the_view_menu_switches_and_remembers(window: MainWindow, workspace: Workspace) -> None:
    commands = workspace.commands
    assert window.tool_bar.isVisible()
    commands.action("view.toolbar").trigger()
    assert not window.tool_bar.isVisible()
    assert not workspace.settings.get("view/toolbar", True)
    assert not commands.action("view.toolbar").isChecked()
    commands.action("view.default_templates").trigger()
    assert any(
        window.pane.tree.pool.index_of(key).data() == "Sample guest" for _, key in window.pane.tree.pool.outline()
    )


def test_the_theme_is_one_of_three(window: MainWindow, workspace: Workspace) -> None:
    commands = workspace.commands
    for command, dark in (("view.theme_dark", True), ("view.theme_light", False), ("view.theme_light", False)):
        commands.action(command).trigger()
        assert theme.current().is_dark is dark
        checked = [c for c in ("light", "dark", "system") if commands.action(f"view.theme_{c}").isChecked()]
        assert [f"view.theme_{c}" for c in checked] == [command]
    assert workspace.settings.theme is theme.Theme.LIGHT
    _app().setStyleSheet("")  # else every window of every later test would be styled


def test_shortcuts_are_not_taken_twice(window: MainWindow, workspace: Workspace) -> None:
    taken = [workspace.commands.get(command).shortcut for command in workspace.commands.ids()]
    taken = [keys for keys in taken if keys] + ["Ctrl+F"]
    assert len(taken) == len(set(taken))


# ---- notifications --------------------------------------------------------------------------------------------


def test_notifications_have_their_own_list(window: MainWindow, workspace: Workspace) -> None:
    workspace.commands.run("view.notifications")
    assert window.alerts.isVisible()
    assert not window.pane.tree.isVisible()
    window.pane.choose_page("events")
    assert window.events.isVisible()
    workspace.commands.run("view.infrastructure")
    assert window.pane.tree.isVisible()
    assert window.page.isVisible()


def test_counts_lead_to_what_they_count(window: MainWindow, workspace: Workspace) -> None:
    workspace.history.end(workspace.history.begin("one"), Failure("INTERNAL_ERROR", "x"))
    workspace.history.end(workspace.history.begin("two"))
    window.status.clicked.emit("failed")
    assert window.events.isVisible()
    assert [window.events.model.item(row).title for row in range(window.events.model.rowCount())] == ["one"]
    window.status.clicked.emit("alerts")
    assert window.alerts.isVisible()


def test_showing_an_object_leaves_notifications_and_search(window: MainWindow, workspace: Workspace) -> None:
    window.pane.search.setText("web")
    window.pane.tree.search("web")
    window.pane.choose_page("events")
    workspace.show("VM", pools.WIN)
    assert window.page.isVisible()
    assert window.page.strip.name.text() == "test-win11"
    assert window.pane.tree.selection() == (("VM", pools.WIN),)


def test_the_badge_counts_alerts_and_failures(qtbot: QtBot, window: MainWindow, engine: FakeEngine) -> None:
    pools.messages(engine)
    badge = window.pane.mode_button("notifications")
    qtbot.waitUntil(lambda: badge.count() == 2)
    assert "2" in badge.accessibleDescription()


def test_a_lost_connection_is_said_while_it_lasts(window: MainWindow, workspace: Workspace) -> None:
    notice = window.findChild(LostNotice)
    assert notice is not None
    workspace.status_changed.emit("lost")
    assert notice.isVisible()
    window.show_object("VM", pools.WEB)  # what is known can still be looked at
    assert window.page.strip.name.text() == "web-01"
    assert not window.tool_bar.isEnabled()
    assert [a.text() for a in window.menuBar().actions() if a.isEnabled()] == ["&File", "&View", "&Help"]
    workspace.status_changed.emit("connected")
    assert not notice.isVisible()
    assert all(action.isEnabled() for action in window.menuBar().actions())


def test_ctrl_f_comes_to_the_search(window: MainWindow) -> None:
    window.activateWindow()
    window.pane.begin_search()
    assert window.pane.search.hasFocus()


# ---- leaving --------------------------------------------------------------------------------------------------


def test_leaving_saves_and_tells(qtbot: QtBot, window: MainWindow, workspace: Workspace) -> None:
    window.show_object("VM", pools.WEB)
    with qtbot.waitSignal(window.close_requested):
        window.close()
    assert window.isVisible()  # whoever made the window ends it
    assert workspace.settings.get_list("tree/chosen") == [f"VM {pools.WEB}"]


def dialogs(window: MainWindow) -> list[ConsequenceDialog]:
    return [dialog for dialog in window.findChildren(ConsequenceDialog) if dialog.isVisible()]


async def test_leaving_while_something_runs_asks_first(window: MainWindow, workspace: Workspace) -> None:
    left: list[bool] = []
    window.close_requested.connect(lambda: left.append(True))
    entry = workspace.history.begin("Taking a snapshot of web-01")
    window.close()
    await pools.settled()
    (dialog,) = dialogs(window)
    assert any(label.text() == entry.title for label in dialog.findChildren(QLabel))
    dialog.reject()
    await asyncio.sleep(0.01)
    assert not left
    window.close()
    await pools.settled()
    assert dialogs(window)[-1].primary is not None
    dialogs(window)[-1].accept()
    await asyncio.sleep(0.01)
    assert left == [True]
    workspace.history.end(entry)


async def test_closing_twice_asks_once(window: MainWindow, workspace: Workspace) -> None:
    entry = workspace.history.begin("Taking a snapshot of web-01")
    window.close()
    window.close()
    await pools.settled()
    assert len(dialogs(window)) == 1
    dialogs(window)[0].reject()
    await asyncio.sleep(0.01)
    workspace.history.end(entry)


def test_the_list_of_what_runs_is_short(qtbot: QtBot, window: MainWindow, workspace: Workspace) -> None:
    running = [workspace.history.begin(f"Operation {n}") for n in range(9)]
    dialog = leave_dialog(running)
    qtbot.addWidget(dialog)
    words = [label.text() for label in dialog.findChildren(QLabel)]
    assert "Operation 5" in words
    assert "Operation 6" not in words
    assert "and 3 more" in words


# ---- over restarts --------------------------------------------------------------------------------------------


@contextmanager
def again(engine: FakeEngine, settings: Settings) -> Iterator[MainWindow]:
    made = MainWindow(Workspace(engine.session(), engine.cache, settings))
    made.show()
    yield made
    remove(made)


def test_place_size_and_choice_outlive_the_program(
    window: MainWindow, engine: FakeEngine, workspace: Workspace
) -> None:
    window.resize(800, 640)  # the screen of the tests is small
    window.split.setSizes([300, 500])
    window.show_object("VM", pools.WEB, "storage")
    window.save()
    with again(engine, workspace.settings) as other:
        assert (other.width(), other.height()) == (window.width(), window.height())
        assert other.pane.width() == window.pane.width()
        assert other.page.strip.name.text() == "web-01"
        assert other.page.tabs.tab == "storage"


def test_a_place_off_all_screens_is_not_restored(window: MainWindow, engine: FakeEngine, workspace: Workspace) -> None:
    window.setGeometry(QRect(-5000, -5000, 900, 600))
    window.save()
    screen = QApplication.primaryScreen().availableGeometry()
    with again(engine, workspace.settings) as other:
        assert screen.intersects(other.geometry())


# ---- scale ----------------------------------------------------------------------------------------------------


def test_thousands_of_vms_do_not_slow_one_change(qtbot: QtBot, engine: FakeEngine, tmp_path: Path) -> None:
    pools.large_pool(engine, 3000)
    rows: list[int] = []
    with again(engine, Settings(tmp_path / "large.ini")) as window:
        window.show_object("VM", "OpaqueRef:vm1500")
        window.pane.tree.pool.dataChanged.connect(lambda first, _last: rows.append(first.row()))
        with qtbot.assertNotEmitted(window.pane.tree.pool.modelReset):
            engine.change(VM, "OpaqueRef:vm7", current_operations={"OpaqueRef:t": VMOperation.snapshot})
    assert len(rows) == 1


def test_everything_one_can_reach_has_a_name(window: MainWindow) -> None:
    for tab in ("general", "storage"):
        window.show_object("VM", pools.DB, tab)
    nameless = [
        widget
        for widget in window.findChildren(QWidget)
        if widget.focusPolicy() & Qt.FocusPolicy.TabFocus
        and widget.isVisible()
        and not (widget.accessibleName() or getattr(widget, "text", str)() or widget.toolTip())
        and type(widget).__module__.startswith("ui.")
    ]
    assert nameless == []
    QTest.keyClick(window, Qt.Key.Key_Tab)
