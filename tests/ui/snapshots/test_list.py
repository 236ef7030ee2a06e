"""The list: sorted, copied, and in step with what is chosen."""

from __future__ import annotations

import pytest
from PySide6.QtCore import Qt
from PySide6.QtGui import QGuiApplication
from PySide6.QtTest import QTest
from PySide6.QtWidgets import QApplication

from app.api import VM, VMOperation
from tests.ui.snapshots.conftest import OpenTab
from tests.ui.snapshots.driving import CTRL, NONE, SHIFT, chosen, plain
from tests.ui.snapshots.estate import Estate
from ui.snapshots.list_rows import AGE, COLUMNS, CREATED, NAME, SIZE, TYPE
from ui.snapshots.tab import SnapshotsTab

UP, DOWN = Qt.SortOrder.AscendingOrder, Qt.SortOrder.DescendingOrder


@pytest.fixture
def listed(tab: SnapshotsTab) -> SnapshotsTab:
    tab.show_view("list")
    return tab


def refs(tab: SnapshotsTab) -> list[str]:
    return tab.list.rows.shown_keys()


def test_the_newest_comes_first(listed: SnapshotsTab) -> None:
    assert refs(listed) == ["quiet", "nightly22", "second", "trial", "nightly21", "before", "installed"]


@pytest.mark.parametrize(
    ("column", "order", "first"),
    [
        (NAME, UP, "before"), (NAME, DOWN, "trial"), (CREATED, UP, "installed"), (AGE, UP, "quiet"),
        (AGE, DOWN, "installed"), (SIZE, DOWN, "installed"), (SIZE, UP, "quiet"), (TYPE, UP, "before"),
    ],
)  # fmt: skip
def test_every_column_sorts(listed: SnapshotsTab, column: int, order: Qt.SortOrder, first: str) -> None:
    listed.list.sortByColumn(column, order)
    assert refs(listed)[0] == first


def test_what_is_chosen_stays_through_sorting_and_changes(listed: SnapshotsTab, estate: Estate) -> None:
    listed.chosen.choose(("before", "trial"), "trial")
    listed.list.sortByColumn(NAME, UP)
    estate.snapshot("new", "Aardvark", "nightly22", 0)
    estate.engine.change(VM, "trial", name_label="Zebra")
    assert chosen(listed) == ["before", "trial"]
    selected = {listed.list.rows.key(index) for index in listed.list.selectionModel().selectedRows()}
    assert selected == {"before", "trial"}
    assert refs(listed)[0] == "new"
    assert refs(listed)[-1] == "trial"


def test_what_goes_leaves_the_choice_to_the_next_row(listed: SnapshotsTab, estate: Estate) -> None:
    listed.chosen.choose(("second",))
    estate.drop("second")
    assert chosen(listed) == ["trial"]
    listed.chosen.choose(("installed",))
    estate.drop("installed")
    assert chosen(listed) == ["before"]


def test_keys_choose_rows(listed: SnapshotsTab) -> None:
    listed.chosen.choose(("quiet",))
    listed.list.setFocus()
    QTest.keyClick(listed.list, Qt.Key.Key_Down, NONE)
    assert chosen(listed) == ["nightly22"]
    QTest.keyClick(listed.list, Qt.Key.Key_Down, SHIFT)
    assert chosen(listed) == ["nightly22", "second"]
    QTest.keyClick(listed.list, Qt.Key.Key_A, CTRL)
    assert len(chosen(listed)) == 7
    QTest.keyClick(listed.list, Qt.Key.Key_Escape)
    assert chosen(listed) == []


def test_rows_copy_as_text(listed: SnapshotsTab) -> None:
    listed.chosen.choose(("before", "trial"))
    QTest.keyClick(listed.list, Qt.Key.Key_C, CTRL)
    lines = [line.split("\t") for line in plain(QGuiApplication.clipboard().text()).splitlines()]
    assert lines[0] == [column.title for column in COLUMNS]
    assert [line[NAME] for line in lines[1:]] == ["Trial of replica", "Before upgrade 16"]
    assert lines[2][SIZE] == "2.1 GiB"
    assert lines[2][TYPE] == "Disks and memory"


def test_a_row_tells_what_is_done_to_it(listed: SnapshotsTab, estate: Estate) -> None:
    estate.engine.change(VM, "trial", current_operations={"t": VMOperation.destroy})
    place = listed.list.rows.index_of("trial").siblingAtColumn(AGE)
    assert place.data() == "Deleting…"


def test_columns_are_remembered(open_tab: OpenTab, estate: Estate, qapp: QApplication) -> None:
    tab = open_tab(estate)
    tab.show_view("list")
    tab.list.sortByColumn(NAME, UP)
    tab.list.horizontalHeader().resizeSection(NAME, 333)
    tab.list.horizontalHeader().hideSection(TYPE)
    qapp.processEvents()  # they are saved a moment later
    again = open_tab(estate)
    header = again.list.horizontalHeader()
    assert header.sectionSize(NAME) == 333
    assert header.isSectionHidden(TYPE)
    assert refs(again)[0] == "before"


def test_a_filter_that_matches_nothing_says_so(listed: SnapshotsTab) -> None:
    listed.toolbar.search.setText("nothing like it")
    QTest.keyClick(listed.toolbar.search, Qt.Key.Key_Return)
    assert refs(listed) == []
    assert listed.views.currentWidget() is listed.list
    assert not listed.list.grab().isNull()
