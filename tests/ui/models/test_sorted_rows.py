"""Row operations lead from one order to the next, whatever changes."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from ui.models.natural_order import Reversed, natural_key
from ui.models.sorted_rows import SortedRows


class View:
    """What a view would believe after the operations it was told of."""

    def __init__(self, rows: SortedRows[str]) -> None:
        self.rows = rows
        self.keys = list(rows)
        self.operations: list[str] = []

    def removing(self, first: int, last: int) -> None:
        self.operations.append("remove")
        del self.keys[first : last + 1]

    def moving(self, row: int, before: int) -> None:
        self.operations.append("move")
        key = self.keys.pop(row)
        self.keys.insert(before - (before > row), key)

    def inserting(self, first: int, last: int) -> None:
        self.operations.append("insert")
        self.keys[first:first] = [""] * (last - first + 1)

    def removed(self) -> None:
        assert self.keys == list(self.rows)

    def moved(self) -> None:
        assert self.keys == list(self.rows)

    def inserted(self) -> None:
        self.keys = [now if then == "" else then for then, now in zip(self.keys, self.rows, strict=True)]
        assert self.keys == list(self.rows)


KEYS = st.sampled_from([f"k{n}" for n in range(12)])
ORDERS = st.dictionaries(KEYS, st.integers(0, 99))


def unique(orders: dict[str, int]) -> dict[str, tuple[int, str]]:
    return {key: (order, key) for key, order in orders.items()}


@given(before=ORDERS, removed=st.sets(KEYS), changed=ORDERS)
def test_operations_lead_to_the_sorted_order(
    before: dict[str, int], removed: set[str], changed: dict[str, int]
) -> None:
    rows: SortedRows[str] = SortedRows()
    rows.set_all(unique(before))
    removed = {key for key in removed if key not in changed}
    orders = unique(changed)
    at_most = rows.runs(removed, orders)
    view = View(rows)
    rows.apply(removed, orders, view)
    after = {key: order for key, order in {**unique(before), **orders}.items() if key not in removed}
    assert list(rows) == sorted(after, key=after.__getitem__) == view.keys
    assert len(view.operations) <= at_most + len(before.keys() & changed.keys())


def test_neighbours_go_and_come_in_one_operation() -> None:
    rows: SortedRows[str] = SortedRows()
    rows.set_all({letter: letter for letter in "abcdxyz"})
    view = View(rows)
    assert rows.runs({"b", "c", "d"}, {}) == 1
    rows.apply({"b", "c", "d"}, {letter: letter for letter in "efgh"}, view)
    assert view.operations == ["remove", "insert"]
    assert list(rows) == list("aefghxyz")


def test_a_change_that_keeps_the_place_is_no_operation() -> None:
    rows: SortedRows[str] = SortedRows()
    rows.set_all({"a": 1, "b": 5, "c": 9})
    view = View(rows)
    rows.apply((), {"b": 7}, view)
    assert view.operations == []
    assert rows.place(6) == 1


def test_names_are_ordered_as_people_order_them() -> None:
    names = ["disk 10", "Disk 2", "disk 2b", "disk 02", "disk", "", "10", "9", "Ärger", "zz"]
    assert sorted(names, key=natural_key) == [
        "",
        "9",
        "10",
        "disk",
        "Disk 2",
        "disk 02",
        "disk 2b",
        "disk 10",
        "zz",
        "Ärger",
    ]


def test_a_name_of_thousands_of_digits_is_only_a_name() -> None:
    assert natural_key("9" * 5000) < natural_key("1" + "0" * 5000)


def test_reversed_keys_sort_the_other_way() -> None:
    assert sorted([1, 3, 2], key=Reversed) == [3, 2, 1]
    assert Reversed(1) == Reversed(1)
    assert Reversed(1) != Reversed(2)
