"""Keys, gestures and menus of the tab lead to the commands; Now tells what runs."""

from __future__ import annotations

import pytest
from PySide6.QtCore import Qt
from PySide6.QtGui import QAction, QKeySequence
from PySide6.QtTest import QTest
from PySide6.QtWidgets import QLineEdit, QVBoxLayout, QWidget

from app.api import VM, Task, VMOperation, VMPowerState
from tests.ui.snapshots.conftest import OpenTab
from tests.ui.snapshots.driving import CTRL, LEFT, NONE, place_of, press
from tests.ui.snapshots.estate import Estate
from tests.ui.snapshots.waiting import opened, until
from ui.snapshots.delete_dialog import DeleteDialog
from ui.snapshots.revert_dialog import RevertDialog
from ui.snapshots.tab import SnapshotsTab

# ---- Now ------------------------------------------------------------------------------------------------------


def test_now_tells_state_progress_and_cause(tab: SnapshotsTab, estate: Estate) -> None:
    now = tab.graph.graph.now
    assert now.content.words == "Now · running"
    estate.engine.put(Task(name_description="Writing memory", progress=0.25), "t")
    estate.engine.change(VM, "vm", current_operations={"t": VMOperation.snapshot})
    assert now.content.words == "Taking a snapshot · 25 %"
    assert now.content.cause == "Writing memory"
    estate.engine.change(Task, "t", progress=0.5)
    assert now.content.words == "Taking a snapshot · 50 %"
    estate.engine.change(VM, "vm", current_operations={}, power_state=VMPowerState.Paused)
    assert now.content.words == "Now · paused"


def test_now_pulses_only_while_something_runs_and_motion_is_wanted(
    tab: SnapshotsTab, estate: Estate, monkeypatch: pytest.MonkeyPatch
) -> None:
    now = tab.graph.graph.now
    estate.engine.change(VM, "vm", current_operations={"t": VMOperation.revert})
    assert not now.is_pulsing()
    monkeypatch.setattr("ui.snapshots.now_item.motion.is_reduced", lambda: False)
    estate.engine.change(VM, "vm", current_operations={"t": VMOperation.snapshot})
    assert now.is_pulsing()
    tab.hide()
    assert not now.is_pulsing()
    tab.show()
    assert now.is_pulsing()
    estate.engine.change(VM, "vm", current_operations={})
    assert not now.is_pulsing()


def test_a_card_tells_what_is_done_to_it(tab: SnapshotsTab, estate: Estate) -> None:
    estate.engine.put(Task(progress=0.2), "t")
    estate.engine.change(VM, "trial", current_operations={"t": VMOperation.destroy})
    assert tab.graph.graph.cards["trial"].content.second == "Deleting · 20 %"
    estate.engine.change(Task, "t", progress=0.6)
    assert tab.graph.graph.cards["trial"].content.second == "Deleting · 60 %"


async def test_now_dropped_on_a_snapshot_asks_to_revert(open_tab: OpenTab, estate: Estate) -> None:
    tab = open_tab(estate)
    view = tab.graph.viewport()
    item = tab.graph.graph.now
    start, end = tab.graph.mapFromScene(item.sceneBoundingRect().center()), place_of(tab, "trial")
    QTest.mousePress(view, LEFT, NONE, start)
    QTest.mouseMove(view, (start + end) / 2)
    QTest.mouseMove(view, end)
    assert tab.graph.graph.cards["trial"].is_marked("target")
    QTest.mouseRelease(view, LEFT, NONE, end)
    assert not tab.graph.graph.cards["trial"].is_marked("target")
    (await opened(RevertDialog)).reject()
    await until(lambda: not estate.workspace.commands.running)
    assert estate.calls == []


def test_a_busy_now_stays_where_it_is(tab: SnapshotsTab, estate: Estate) -> None:
    estate.engine.change(VM, "vm", current_operations={"t": VMOperation.snapshot})
    start, end = tab.graph.mapFromScene(tab.graph.graph.now.sceneBoundingRect().center()), place_of(tab, "trial")
    QTest.mousePress(tab.graph.viewport(), LEFT, NONE, start)
    QTest.mouseMove(tab.graph.viewport(), end)
    QTest.mouseRelease(tab.graph.viewport(), LEFT, NONE, end)
    assert estate.workspace.commands.running == ()


# ---- acts -----------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("how", ["enter", "double click", "list"])
async def test_enter_and_double_click_ask_to_revert(open_tab: OpenTab, estate: Estate, how: str) -> None:
    tab = open_tab(estate)
    tab.chosen.choose(("trial",))
    if how == "enter":
        press(tab, Qt.Key.Key_Return)
    elif how == "double click":
        QTest.mouseDClick(tab.graph.viewport(), LEFT, NONE, place_of(tab, "trial"))
    else:
        tab.show_view("list")
        QTest.keyClick(tab.list, Qt.Key.Key_Return)
    dialog = await opened(RevertDialog)
    assert "Trial of replica" in dialog.sentence.text()
    dialog.reject()
    await until(lambda: not estate.workspace.commands.running)


async def test_del_asks_to_delete_what_is_chosen(open_tab: OpenTab, estate: Estate) -> None:
    tab = open_tab(estate)
    await until(tab.window().isActiveWindow)
    tab.graph.setFocus()
    tab.chosen.choose(("trial", "quiet"))
    press(tab, Qt.Key.Key_Delete)
    dialog = await opened(DeleteDialog)
    assert dialog.going == ("trial", "quiet")
    dialog.reject()
    await until(lambda: not estate.workspace.commands.running)


def test_del_and_ctrl_f_belong_to_the_tab_only_while_the_keyboard_is_in_it(open_tab: OpenTab, estate: Estate) -> None:
    tab = open_tab(estate)
    window = tab.window()
    assert QTest.qWaitForWindowActive(window)
    page, field = QWidget(), QLineEdit()
    other = QWidget()
    other.setFocusPolicy(Qt.FocusPolicy.StrongFocus)
    rows = QVBoxLayout(page)
    window.takeCentralWidget()  # type: ignore[attr-defined]
    for widget in (field, other, tab):
        rows.addWidget(widget)
    window.setCentralWidget(page)  # type: ignore[attr-defined]
    find = QAction(window)
    find.setShortcut(QKeySequence.StandardKey.Find)
    find.triggered.connect(field.setFocus)
    window.addAction(find)
    tab.chosen.choose(("trial",))
    other.setFocus()
    QTest.keyClick(other, Qt.Key.Key_Delete)
    assert estate.workspace.commands.running == ()
    QTest.keyClick(other, Qt.Key.Key_F, CTRL)
    assert field.hasFocus()
    tab.graph.setFocus()
    QTest.keyClick(tab.graph, Qt.Key.Key_F, CTRL)
    assert tab.toolbar.search.hasFocus()


def test_the_menu_offers_what_can_be_done_to_what_is_chosen(tab: SnapshotsTab) -> None:
    def shown() -> list[str]:
        actions = [action for action in tab.context_menu().actions() if action.isVisible()]
        return [action.objectName().partition(".")[2] for action in actions if action.objectName()]

    tab.chosen.choose(("before",))
    assert shown() == ["revert", "new_vm", "new_template", "rename", "lock", "drop_memory", "delete"]
    tab.chosen.choose(("installed",))
    assert shown() == ["revert", "new_vm", "new_template", "rename", "unlock", "delete"]
    tab.chosen.choose(("before", "trial"))
    assert shown() == ["lock", "delete"]
    tab.chosen.choose(("before", "installed"))
    assert shown() == ["lock", "unlock", "delete"]
    tab.chosen.choose(())
    assert tab.toolbar.take in tab.context_menu().actions()
