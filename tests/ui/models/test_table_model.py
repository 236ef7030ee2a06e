"""A table follows its items row by row, and keeps what is chosen."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from PySide6.QtCore import Qt
from PySide6.QtTest import QAbstractItemModelTester
from PySide6.QtWidgets import QApplication, QTableView
from pytestqt.qtbot import QtBot

from ui.models.kept_places import KeptPlaces
from ui.models.table_model import KEY_ROLE, Column, TableModel

FATAL = QAbstractItemModelTester.FailureReportingMode.Fatal


@dataclass(frozen=True)
class Disk:
    name: str
    size: int


def columns() -> list[Column[Disk]]:
    return [
        Column(title="Name", text=lambda d: d.name, icon=lambda _d: "disk", tooltip=lambda d: f"<b>{d.name}"),
        Column(
            title="Size",
            text=lambda d: f"{d.size} MiB",
            order=lambda d: d.size,
            right=True,
            tone=lambda d: "bad" if d.size > 90 else "",
            roles={KEY_ROLE + 1: lambda d: d.size},
        ),
    ]


def shown(model: TableModel[Disk]) -> list[tuple[str, str]]:
    return [tuple(model.index(row, c).data() for c in (0, 1)) for row in range(model.rowCount())]


DISKS = st.dictionaries(
    st.sampled_from([f"d{n}" for n in range(30)]), st.builds(Disk, st.sampled_from("abcde"), st.integers(0, 99))
)


@settings(suppress_health_check=[HealthCheck.function_scoped_fixture], max_examples=60, deadline=None)
@given(
    start=DISKS,
    steps=st.lists(st.tuples(DISKS, st.sets(st.sampled_from([f"d{n}" for n in range(30)]))), max_size=5),
    column=st.integers(0, 1),
    descending=st.booleans(),
    least=st.integers(0, 60),
)
def test_any_changes_lead_to_what_a_new_model_would_show(
    qapp: QApplication,
    start: dict[str, Disk],
    steps: list[tuple[dict[str, Disk], set[str]]],
    column: int,
    descending: bool,
    least: int,
) -> None:
    order = Qt.SortOrder.DescendingOrder if descending else Qt.SortOrder.AscendingOrder
    model: TableModel[Disk] = TableModel(columns())
    tester = QAbstractItemModelTester(model, FATAL)
    model.sort(column, order)
    model.set_items(start)
    model.set_filter(lambda d: d.size >= least)
    for changed, removed in steps:
        model.update(changed, removed)
    fresh: TableModel[Disk] = TableModel(columns())
    fresh.set_filter(lambda d: d.size >= least)
    fresh.set_items(model.items)
    fresh.sort(column, order)
    assert shown(model) == shown(fresh)
    assert model.shown_keys() == fresh.shown_keys()
    del tester


def test_one_changed_item_is_one_changed_row(qtbot: QtBot) -> None:
    model: TableModel[Disk] = TableModel(columns())
    model.set_items({f"k{n}": Disk(f"disk {n}", n) for n in range(100)})
    rows: list[int] = []
    model.dataChanged.connect(lambda first, last: rows.append(first.row()))
    with qtbot.assertNotEmitted(model.modelReset), qtbot.assertNotEmitted(model.rowsMoved):
        model.set_items({**model.items, "k7": Disk("disk 7", 700)})
    assert rows == [7]


def test_many_changes_are_one_reset_that_keeps_what_is_chosen(qtbot: QtBot) -> None:
    model: TableModel[Disk] = TableModel(columns())
    model.set_items({f"k{n}": Disk(f"disk {n}", n) for n in range(100)})
    view = QTableView()
    qtbot.addWidget(view)
    view.setModel(model)
    view.setSelectionBehavior(QTableView.SelectionBehavior.SelectRows)
    places = KeptPlaces(view, model.key, model.index_of)
    view.selectRow(model.index_of("k50").row())
    with qtbot.waitSignal(model.modelReset):
        model.update({}, [f"k{n}" for n in range(0, 50, 2)])
    assert [model.key(i) for i in view.selectionModel().selectedRows()] == ["k50"]
    assert model.key(view.currentIndex()) == "k50"
    assert places.parent() is view


def test_sorting_keeps_what_is_chosen(qtbot: QtBot) -> None:
    model: TableModel[Disk] = TableModel(columns())
    tester = QAbstractItemModelTester(model, FATAL)
    model.set_items({"a": Disk("a", 3), "b": Disk("b", 1), "c": Disk("c", 2)})
    view = QTableView()
    qtbot.addWidget(view)
    view.setModel(model)
    view.selectRow(0)
    model.sort(1, Qt.SortOrder.DescendingOrder)
    assert model.shown_keys() == ["a", "c", "b"]
    model.sort(1, Qt.SortOrder.AscendingOrder)
    assert model.shown_keys() == ["b", "c", "a"]
    assert [i.row() for i in view.selectionModel().selectedRows()] == [2]
    del tester


def test_what_a_cell_answers(qapp: QApplication) -> None:
    model: TableModel[Disk] = TableModel(columns())
    model.set_items({"a": Disk("a", 99)})

    def cell(column: int, role: int) -> Any:
        return model.data(model.index(0, column), role)

    assert cell(0, KEY_ROLE) == "a"
    assert not cell(0, Qt.ItemDataRole.DecorationRole).isNull()
    assert "<b>" not in cell(0, Qt.ItemDataRole.ToolTipRole)  # shown as it is, not read as markup
    assert cell(1, Qt.ItemDataRole.TextAlignmentRole) & Qt.AlignmentFlag.AlignRight
    assert cell(1, Qt.ItemDataRole.ForegroundRole).isValid()
    assert cell(1, KEY_ROLE + 1) == 99
    assert model.headerData(1, Qt.Orientation.Horizontal) == "Size"
    assert model.data(model.index(5, 0)) is None


def test_a_filter_hides_and_brings_back(qapp: QApplication) -> None:
    model: TableModel[Disk] = TableModel(columns())
    tester = QAbstractItemModelTester(model, FATAL)
    model.set_items({"a": Disk("a", 3), "b": Disk("b", 1)})
    model.set_filter(lambda d: d.size > 2)
    assert model.shown_keys() == ["a"]
    model.update({"b": Disk("b", 9)})
    assert model.shown_keys() == ["a", "b"]
    model.update({"a": Disk("a", 0)})
    assert model.shown_keys() == ["b"]
    model.set_filter(None)
    assert model.shown_keys() == ["a", "b"]
    del tester
