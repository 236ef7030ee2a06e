"""The tab: what is chosen stays chosen, keys do what they say, and only the feed changes what is shown."""

from __future__ import annotations

from pathlib import Path

import pytest
from PySide6.QtCore import QPoint, Qt
from PySide6.QtGui import QAction, QKeySequence
from PySide6.QtTest import QTest
from PySide6.QtWidgets import QApplication, QLineEdit, QVBoxLayout, QWidget

from app.api import VDI, VM, Failure, Task, VMOperation, VMPowerState
from tests.ui.snapshots.conftest import OpenTab
from tests.ui.snapshots.estate import GIB, Estate
from tests.ui.snapshots.waiting import opened, until
from ui.base import theme
from ui.base.dialogs import ErrorDialog
from ui.snapshots.delete_dialog import DeleteDialog
from ui.snapshots.revert_dialog import RevertDialog
from ui.snapshots.screen_dialog import ScreenDialog
from ui.snapshots.tab import SnapshotsTab
from ui.snapshots.take_dialog import TakeDialog

CTRL, SHIFT, NONE = (
    Qt.KeyboardModifier.ControlModifier,
    Qt.KeyboardModifier.ShiftModifier,
    Qt.KeyboardModifier.NoModifier,
)
LEFT, RIGHT = Qt.MouseButton.LeftButton, Qt.MouseButton.RightButton


def plain(words: str) -> str:
    return words.replace("\u00a0", " ")


def place_of(tab: SnapshotsTab, ref: str) -> QPoint:
    card = tab.graph.graph.item(ref)
    return tab.graph.mapFromScene(card.mapToScene(card.plane().center()))


def click(tab: SnapshotsTab, ref: str, modifiers: Qt.KeyboardModifier = NONE) -> None:
    QTest.mouseClick(tab.graph.viewport(), LEFT, modifiers, place_of(tab, ref))


def press(tab: SnapshotsTab, key: Qt.Key, modifiers: Qt.KeyboardModifier = NONE) -> None:
    QTest.keyClick(tab.graph, key, modifiers)


# ---- choosing -------------------------------------------------------------------------------------------------


def test_clicks_choose_as_in_any_list(tab: SnapshotsTab) -> None:
    click(tab, "before")
    assert tab.chosen.refs == ("before",)
    click(tab, "trial", CTRL)
    assert tab.chosen.refs == ("before", "trial")
    click(tab, "before", CTRL)
    assert tab.chosen.refs == ("trial",)
    click(tab, "before")
    click(tab, "trial", SHIFT)
    assert set(tab.chosen.refs) == {"before", "nightly22", "quiet", "nightly21", "trial"}


def test_a_click_beside_the_cards_chooses_none(tab: SnapshotsTab) -> None:
    tab.chosen.choose(("before",))
    QTest.mouseClick(tab.graph.viewport(), LEFT, NONE, QPoint(4, 4))
    assert tab.chosen.refs == ()


def test_a_rubber_band_catches_what_it_touches(tab: SnapshotsTab) -> None:
    view = tab.graph.viewport()
    first = tab.graph.mapFromScene(tab.graph.graph.item("before").sceneBoundingRect().topLeft()) - QPoint(6, 6)
    last = tab.graph.mapFromScene(tab.graph.graph.item("nightly22").sceneBoundingRect().bottomRight())
    QTest.mousePress(view, LEFT, NONE, first)
    QTest.mouseMove(view, (first + last) / 2)
    QTest.mouseMove(view, last)
    QTest.mouseRelease(view, LEFT, NONE, last)
    assert set(tab.chosen.refs) >= {"before", "nightly22"}
    assert "trial" not in tab.chosen.refs


def test_arrow_keys_follow_the_tree(tab: SnapshotsTab) -> None:
    tab.graph.setFocus()
    walk = [
        (Qt.Key.Key_Home, "installed"), (Qt.Key.Key_Right, "before"), (Qt.Key.Key_Right, "nightly22"),
        (Qt.Key.Key_Down, "trial"), (Qt.Key.Key_Left, "nightly21"), (Qt.Key.Key_Up, "before"),
        (Qt.Key.Key_End, "nightly22"),
    ]  # fmt: skip
    for key, there in walk:
        press(tab, key)
        assert tab.chosen.refs == (there,)
        assert tab.graph.graph.cards[there].is_marked("ringed")


def test_keys_extend_and_toggle(tab: SnapshotsTab) -> None:
    tab.graph.setFocus()
    press(tab, Qt.Key.Key_Home)
    press(tab, Qt.Key.Key_Right, SHIFT)
    assert tab.chosen.refs == ("installed", "before")
    press(tab, Qt.Key.Key_Right, CTRL)
    assert (tab.chosen.refs, tab.chosen.current) == (("installed", "before"), "nightly22")
    press(tab, Qt.Key.Key_Space)
    assert tab.chosen.refs == ("installed", "before", "nightly22")
    press(tab, Qt.Key.Key_A, CTRL)
    assert len(tab.chosen.refs) == 7
    press(tab, Qt.Key.Key_Escape)
    assert tab.chosen.refs == ()


def test_a_screen_reader_hears_where_the_keyboard_is(tab: SnapshotsTab) -> None:
    assert "Now: running" in tab.graph.accessibleDescription()
    tab.chosen.choose(("before", "trial"), "before")
    said = tab.graph.accessibleDescription()
    assert "Before upgrade 16, Disks and memory" in said
    assert "on the way to Now" in said
    assert "2 snapshots chosen" in said


def test_commands_follow_what_is_chosen(tab: SnapshotsTab, estate: Estate) -> None:
    commands = estate.workspace.commands
    assert not commands.action("snapshot.revert").isEnabled()
    click(tab, "trial")
    assert commands.selection("snapshots") == (("VM", "trial"),)
    assert commands.action("snapshot.revert").isEnabled()
    tab.chosen.choose(("trial", "quiet"))
    assert not commands.action("snapshot.revert").isEnabled()
    assert "Choose one snapshot." in commands.action("snapshot.revert").toolTip()
    assert commands.action("snapshot.delete").isEnabled()


# ---- changes from the feed ------------------------------------------------------------------------------------


def test_what_is_chosen_outlives_changes(tab: SnapshotsTab, estate: Estate) -> None:
    tab.chosen.choose(("before", "trial"), "trial")
    item = tab.graph.graph.cards["trial"]
    estate.snapshot("new", parent="nightly22", hours=0)
    estate.stand_on("new")
    estate.engine.change(VM, "trial", name_label="Renamed")
    estate.drop("second")
    assert (tab.chosen.refs, tab.chosen.current) == (("before", "trial"), "trial")
    assert tab.graph.graph.cards["trial"] is item
    assert item.is_marked("chosen")
    assert item.content.name == "Renamed"
    assert set(tab.graph.graph.cards) == {"installed", "before", "nightly22", "nightly21", "trial", "quiet", "new"}


def test_zoom_and_place_outlive_a_change(tab: SnapshotsTab, estate: Estate) -> None:
    tab.graph.zoom.set(1.6)
    tab.chosen.choose(("trial",))
    before = place_of(tab, "trial")
    estate.snapshot("new", parent="installed", hours=100)
    assert tab.graph.zoom.factor == pytest.approx(1.6)
    moved = place_of(tab, "trial") - before
    assert moved.manhattanLength() <= 2


def test_what_goes_leaves_the_choice_to_its_neighbour(tab: SnapshotsTab, estate: Estate) -> None:
    tab.chosen.choose(("trial",))
    estate.drop("trial")
    assert tab.chosen.refs == ("second",)
    estate.drop("second")
    assert tab.chosen.refs == ("nightly21",)


def test_of_several_the_rest_stays_chosen(tab: SnapshotsTab, estate: Estate) -> None:
    tab.chosen.choose(("trial", "quiet"))
    estate.drop("trial")
    assert tab.chosen.refs == ("quiet",)


def test_nobody_is_chosen_when_a_snapshot_comes_by_itself(tab: SnapshotsTab, estate: Estate) -> None:
    estate.snapshot("new", parent="nightly22", hours=0)
    assert tab.chosen.refs == ()


async def test_a_snapshot_just_taken_is_chosen(open_tab: OpenTab, estate: Estate) -> None:
    tab = open_tab(estate)
    estate.engine.answer("VM.snapshot", lambda _vm, name: estate.snapshot("new", name, "nightly22", 0))
    tab.toolbar.take.trigger()
    (await opened(TakeDialog)).accept()
    await until(lambda: "vm.snapshot" not in estate.workspace.commands.running)
    assert tab.chosen.refs == ("new",)


def test_another_vm_and_back(tab: SnapshotsTab, estate: Estate) -> None:
    estate.engine.put(VM(name_label="web-01"), "other")
    tab.chosen.choose(("trial",))
    tab.graph.zoom.set(1.5)
    tab.show_vm("other")
    assert tab.views.currentWidget() is tab.empty
    assert tab.chosen.refs == ()
    tab.show_vm("vm")
    assert tab.chosen.refs == ("trial",)
    assert tab.graph.zoom.factor == pytest.approx(1.5)


def test_a_vm_that_is_deleted_leaves_an_empty_tab(tab: SnapshotsTab, estate: Estate) -> None:
    tab.chosen.choose(("trial",))
    estate.batch(dict.fromkeys([*estate.record("vm").snapshots, "vm"]))
    assert tab.chosen.refs == ()
    assert tab.graph.graph.cards == {} or tab.views.currentWidget() is tab.empty
    assert not tab.toolbar.take.isEnabled()


def test_a_hidden_tab_catches_up_when_it_is_shown(tab: SnapshotsTab, estate: Estate) -> None:
    tab.hide()
    estate.snapshot("new", parent="nightly22", hours=0, own=5 * GIB)
    assert "new" not in tab.graph.graph.cards
    tab.show()
    assert "new" in tab.graph.graph.cards
    assert plain(tab.footer.summary.text()).startswith("8 snapshots · 20.6 GiB")


# ---- scheduled ones -------------------------------------------------------------------------------------------


def test_scheduled_ones_are_shown_until_hidden(tab: SnapshotsTab, estate: Estate) -> None:
    assert "nightly22" in tab.graph.graph.cards
    tab.toolbar.scheduled.setChecked(False)
    assert "nightly22" not in tab.graph.graph.cards
    assert tab.graph.graph.tree is not None
    assert tab.graph.graph.tree.parent_of_now == "before"
    assert tab.graph.graph.tree.nodes["trial"].parent == "installed"
    assert "2 hidden" in tab.footer.summary.text()
    assert estate.workspace.settings.get("snapshots/scheduled", True) is False
    tab.toolbar.scheduled.setChecked(True)
    assert "nightly22" in tab.graph.graph.cards


def test_only_hidden_ones_are_not_nothing(open_tab: OpenTab, qapp: QApplication, tmp_path: Path) -> None:
    estate = Estate(tmp_path)
    estate.snapshot("nightly", scheduled=True)
    estate.workspace.settings.put("snapshots/scheduled", False)
    tab = open_tab(estate)
    assert tab.views.currentWidget() is tab.only_hidden
    assert tab.only_hidden.sentence.text() == "1 scheduled snapshot is hidden."
    assert tab.only_hidden.button is not None
    tab.only_hidden.button.click()
    assert tab.views.currentWidget() is tab.graph
    assert tab.toolbar.scheduled.isChecked()


def test_an_empty_tab_has_one_button_that_takes(open_tab: OpenTab, qapp: QApplication, tmp_path: Path) -> None:
    estate = Estate(tmp_path)
    tab = open_tab(estate)
    assert tab.views.currentWidget() is tab.empty
    assert tab.empty.button is not None
    assert tab.empty.button.isEnabled()
    estate.engine.change(VM, "vm", allowed_operations=frozenset(), current_operations={"t": VMOperation.start})
    assert not tab.empty.button.isEnabled()
    assert "It is busy: starting." in tab.empty.button.toolTip()
    estate.snapshot("first")
    assert tab.views.currentWidget() is tab.graph


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
    assert estate.engine.calls == []


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


def test_a_right_click_chooses_first(tab: SnapshotsTab) -> None:
    tab.chosen.choose(("before",))
    entries = [action.objectName() for action in tab.context_menu().actions() if action.objectName()]
    assert entries == ["snapshot.revert", "snapshot.rename", "snapshot.delete"]
    tab.chosen.choose(("before", "trial"))
    entries = [action.objectName() for action in tab.context_menu().actions() if action.objectName()]
    assert entries == ["snapshot.delete"]
    tab.chosen.choose(())
    assert tab.toolbar.take in tab.context_menu().actions()


# ---- filter ---------------------------------------------------------------------------------------------------


def test_the_filter_dims_cards_and_drops_rows(tab: SnapshotsTab) -> None:
    tab.toolbar.search.setText("trial")
    QTest.keyClick(tab.toolbar.search, Qt.Key.Key_Return)
    dimmed = {ref for ref, card in tab.graph.graph.cards.items() if card.is_marked("dimmed")}
    assert dimmed == {"installed", "before", "nightly22", "nightly21", "quiet"}
    assert tab.chosen.refs == ("trial",)
    QTest.keyClick(tab.toolbar.search, Qt.Key.Key_Return)
    assert tab.chosen.refs == ("second",)
    assert tab.footer.summary.text().startswith("2 of 7 snapshots")
    tab.show_view("list")
    assert set(tab.list.rows.refs) == {"trial", "second"}
    tab.toolbar.search.clear()
    assert len(tab.list.rows.refs) == 7
    tab.show_view("graph")
    assert not any(card.is_marked("dimmed") for card in tab.graph.graph.cards.values())


# ---- view -----------------------------------------------------------------------------------------------------


def test_the_view_and_the_details_are_remembered(open_tab: OpenTab, estate: Estate) -> None:
    tab = open_tab(estate)
    tab.chosen.choose(("before", "trial"))
    tab.show_view("list")
    rows = {index.row() for index in tab.list.selectionModel().selectedRows()}
    assert {tab.list.rows.refs[row] for row in rows} == {"before", "trial"}
    tab.toolbar.details.setChecked(False)
    assert not tab.details.isVisible()
    again = open_tab(estate)
    assert again.views.currentWidget() is again.list
    assert not again.details.isVisible()
    assert len(again.list.rows.refs) == 7


def test_the_theme_changes_the_lines(tab: SnapshotsTab, qapp: QApplication) -> None:
    lines = tab.graph.graph._lines
    before = lines["now"].pen().color().name()
    theme.apply(qapp, theme.Theme.DARK)
    assert lines["now"].pen().color().name() == theme.current().accent != before
    assert lines["now"].pen().widthF() == 2.5
    assert lines["trial"].pen().widthF() == 1.5


# ---- details --------------------------------------------------------------------------------------------------


def test_details_of_one(tab: SnapshotsTab) -> None:
    tab.chosen.choose(("before",))
    facts = {what: plain(value) for what, value in tab.details.facts.facts()}
    assert facts["Type"] == "Disks and memory"
    assert facts["Consistency"] == "One instant, 2 disks, RAM"
    assert facts["Guest paused"] == "14 ms"
    assert facts["Size"] == "2.1 GiB own, 9 GiB shared"
    assert facts["Chain depth"] == "2 of 30"
    assert facts["Made by"] == "By hand"
    assert facts["State then"] == "Running"


def test_details_of_several_and_of_none(tab: SnapshotsTab) -> None:
    tab.chosen.choose(("before", "nightly22"))
    assert tab.details.title.text() == "2 snapshots selected"
    facts = dict(tab.details.facts.facts())
    assert plain(facts["Total size"]) == "3.1 GiB own"
    assert facts["Made by"] == "1 by a schedule, 1 by hand"
    tab.chosen.choose(())
    facts = dict(tab.details.facts.facts())
    assert facts["Snapshots"] == "7, 2 scheduled"
    assert facts["Chain depth"] == "4 of 30"


async def test_f2_edits_the_name_where_it_stands(open_tab: OpenTab, estate: Estate) -> None:
    tab = open_tab(estate)
    await until(tab.window().isActiveWindow)
    tab.graph.setFocus()
    tab.chosen.choose(("before",))
    press(tab, Qt.Key.Key_F2)
    await until(tab.details.name.is_editing)
    tab.details.name.editor.set_words("After all")
    QTest.keyClick(tab.details.name.editor, Qt.Key.Key_Return)
    await until(lambda: estate.engine.calls)
    assert estate.engine.calls == [("VM.set_name_label", ("before", "After all"))]


async def test_a_name_that_is_refused_goes_back(open_tab: OpenTab, estate: Estate) -> None:
    estate.engine.answer("VM.set_name_label", Failure("HANDLE_INVALID", "VM", "before"))
    tab = open_tab(estate)
    tab.chosen.choose(("before",))
    tab.details.edit_name()
    tab.details.name.editor.set_words("After all")
    QTest.keyClick(tab.details.name.editor, Qt.Key.Key_Return)
    (await opened(ErrorDialog)).reject()
    assert tab.details.name.text() == "Before upgrade 16"


def test_typing_is_not_disturbed_by_the_feed(tab: SnapshotsTab, estate: Estate) -> None:
    tab.chosen.choose(("before",))
    tab.details.edit_name()
    tab.details.name.editor.set_words("half a na")
    estate.engine.change(VM, "before", name_description="other")
    assert tab.details.name.is_editing()
    assert tab.details.name.editor.words() == "half a na"
    assert tab.details.description.text() == "other"
    tab.chosen.choose(("trial",))
    assert not tab.details.name.is_editing()
    assert tab.details.name.text() == "Trial of replica"
    assert estate.engine.calls == []


async def test_the_screen_comes_in_the_background_and_opens_large(open_tab: OpenTab, estate: Estate) -> None:
    tab = open_tab(estate)
    assert not tab.details.picture.has_image()
    tab.chosen.choose(("before",))
    await until(tab.details.picture.has_image)
    assert tab.pictures.thumbnail("blob-before") is not None
    QTest.mouseClick(tab.details.picture, LEFT)
    (await opened(ScreenDialog)).close()


async def test_a_screen_that_is_missing_leaves_the_placeholder(open_tab: OpenTab, estate: Estate) -> None:
    del estate.engine.blobs["blob-before"]
    estate.engine.blobs["blob-trial"] = b"no picture"
    tab = open_tab(estate)
    tab.chosen.choose(("before",))
    await until(lambda: {"blob-before", "blob-trial"} <= tab.pictures._missing)
    assert not tab.details.picture.has_image()
    assert tab.pictures.thumbnail("blob-trial") is None


def test_sizes_follow_the_disks(tab: SnapshotsTab, estate: Estate) -> None:
    tab.chosen.choose(("trial",))
    ref = next(ref for ref, vdi in estate.cache.all(VDI).items() if vdi.location == "image-9")
    estate.engine.change(VDI, ref, physical_utilisation=5 * GIB)
    assert "own" in dict(tab.details.facts.facts())["Size"]
    assert plain(tab.footer.summary.text()).split(" · ")[1] != "15.6 GiB"
