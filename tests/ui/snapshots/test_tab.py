"""The tab: what is chosen stays chosen, and only the feed changes what is shown."""

from __future__ import annotations

from pathlib import Path

import pytest
from PySide6.QtCore import QPoint, Qt
from PySide6.QtTest import QTest
from PySide6.QtWidgets import QApplication

from app.api import VM, VMOperation
from tests.ui.snapshots.conftest import OpenTab
from tests.ui.snapshots.driving import CTRL, LEFT, NONE, SHIFT, chosen, click, place_of, plain, press
from tests.ui.snapshots.estate import GIB, Estate
from tests.ui.snapshots.waiting import opened, until
from ui.base import theme
from ui.snapshots.tab import SnapshotsTab
from ui.snapshots.take_dialog import TakeDialog

# ---- choosing -------------------------------------------------------------------------------------------------


def test_clicks_choose_as_in_any_list(tab: SnapshotsTab) -> None:
    click(tab, "before")
    assert chosen(tab) == ["before"]
    click(tab, "trial", CTRL)
    assert chosen(tab) == ["before", "trial"]
    click(tab, "before", CTRL)
    assert chosen(tab) == ["trial"]
    click(tab, "before")
    click(tab, "trial", SHIFT)
    assert set(tab.chosen.refs) == {"before", "nightly22", "quiet", "nightly21", "trial"}


def test_a_click_beside_the_cards_chooses_none(tab: SnapshotsTab) -> None:
    tab.chosen.choose(("before",))
    QTest.mouseClick(tab.graph.viewport(), LEFT, NONE, QPoint(4, 4))
    assert chosen(tab) == []


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
    assert chosen(tab) == ["installed", "before"]
    press(tab, Qt.Key.Key_Right, CTRL)
    assert (tab.chosen.refs, tab.chosen.current) == (("installed", "before"), "nightly22")
    press(tab, Qt.Key.Key_Space)
    assert chosen(tab) == ["installed", "before", "nightly22"]
    press(tab, Qt.Key.Key_A, CTRL)
    assert len(tab.chosen.refs) == 7
    press(tab, Qt.Key.Key_Escape)
    assert chosen(tab) == []


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
    assert chosen(tab) == ["second"]
    estate.drop("second")
    assert chosen(tab) == ["nightly21"]


def test_of_several_the_rest_stays_chosen(tab: SnapshotsTab, estate: Estate) -> None:
    tab.chosen.choose(("trial", "quiet"))
    estate.drop("trial")
    assert chosen(tab) == ["quiet"]


def test_nobody_is_chosen_when_a_snapshot_comes_by_itself(tab: SnapshotsTab, estate: Estate) -> None:
    estate.snapshot("new", parent="nightly22", hours=0)
    assert chosen(tab) == []


async def test_a_snapshot_just_taken_is_chosen(open_tab: OpenTab, estate: Estate) -> None:
    tab = open_tab(estate)
    estate.engine.answer("VM.snapshot", lambda _vm, name: estate.snapshot("new", name, "nightly22", 0))
    tab.toolbar.take.trigger()
    (await opened(TakeDialog)).accept()
    await until(lambda: "vm.snapshot" not in estate.workspace.commands.running)
    assert chosen(tab) == ["new"]


def test_another_vm_and_back(tab: SnapshotsTab, estate: Estate) -> None:
    estate.engine.put(VM(name_label="web-01"), "other")
    tab.chosen.choose(("trial",))
    tab.graph.zoom.set(1.5)
    tab.show_vm("other")
    assert tab.views.currentWidget() is tab.empty
    assert chosen(tab) == []
    tab.show_vm("vm")
    assert chosen(tab) == ["trial"]
    assert tab.graph.zoom.factor == pytest.approx(1.5)


def test_a_vm_that_is_deleted_leaves_an_empty_tab(tab: SnapshotsTab, estate: Estate) -> None:
    tab.chosen.choose(("trial",))
    estate.batch(dict.fromkeys([*estate.record("vm").snapshots, "vm"]))
    assert chosen(tab) == []
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


# ---- filter ---------------------------------------------------------------------------------------------------


def test_the_filter_dims_cards_and_drops_rows(tab: SnapshotsTab) -> None:
    tab.toolbar.search.setText("trial")
    QTest.keyClick(tab.toolbar.search, Qt.Key.Key_Return)
    dimmed = {ref for ref, card in tab.graph.graph.cards.items() if card.is_marked("dimmed")}
    assert dimmed == {"installed", "before", "nightly22", "nightly21", "quiet"}
    assert chosen(tab) == ["trial"]
    QTest.keyClick(tab.toolbar.search, Qt.Key.Key_Return)
    assert chosen(tab) == ["second"]
    assert tab.footer.summary.text().startswith("2 of 7 snapshots")
    tab.show_view("list")
    assert set(tab.list.rows.shown_keys()) == {"trial", "second"}
    tab.toolbar.search.clear()
    assert len(tab.list.rows.shown_keys()) == 7
    tab.show_view("graph")
    assert not any(card.is_marked("dimmed") for card in tab.graph.graph.cards.values())


# ---- view -----------------------------------------------------------------------------------------------------


def test_the_view_and_the_details_are_remembered(open_tab: OpenTab, estate: Estate) -> None:
    tab = open_tab(estate)
    tab.chosen.choose(("before", "trial"))
    tab.show_view("list")
    rows = {index.row() for index in tab.list.selectionModel().selectedRows()}
    assert {tab.list.rows.shown_keys()[row] for row in rows} == {"before", "trial"}
    tab.toolbar.details.setChecked(False)
    assert not tab.details.isVisible()
    again = open_tab(estate)
    assert again.views.currentWidget() is again.list
    assert not again.details.isVisible()
    assert len(again.list.rows.shown_keys()) == 7


def test_the_theme_changes_the_lines(tab: SnapshotsTab, qapp: QApplication) -> None:
    lines = tab.graph.graph._lines
    before = lines["now"].pen().color().name()
    theme.apply(qapp, theme.Theme.DARK)
    assert lines["now"].pen().color().name() == theme.current().accent != before
    assert lines["now"].pen().widthF() == 2.5
    assert lines["trial"].pen().widthF() == 1.5
