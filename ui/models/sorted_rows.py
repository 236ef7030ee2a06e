"""Keys in sorted order, and the row operations that lead from one order to the next.

A model tells its views about each operation: rows that go, rows that move, rows that come, in contiguous runs. When
there would be many of them the model says so once instead, by a reset: see :meth:`SortedRows.runs`.
"""

from __future__ import annotations

from bisect import bisect_left
from collections.abc import Collection, Hashable, Iterable, Iterator, Mapping
from typing import Any, Final, Generic, Protocol, TypeVar

K = TypeVar("K", bound=Hashable)

MOST_RUNS: Final = 8
"""More row operations than this cost a view more than one reset does."""


class RowSignals(Protocol):
    """What a model tells its views, before and after each operation."""

    def removing(self, first: int, last: int) -> None: ...
    def removed(self) -> None: ...
    def moving(self, row: int, before: int) -> None: ...
    def moved(self) -> None: ...
    def inserting(self, first: int, last: int) -> None: ...
    def inserted(self) -> None: ...


class SortedRows(Generic[K]):
    """Keys sorted by an order of each; no two orders are equal."""

    def __init__(self) -> None:
        self.keys: list[K] = []
        self._orders: dict[K, Any] = {}

    def __len__(self) -> int:
        return len(self.keys)

    def __iter__(self) -> Iterator[K]:
        return iter(self.keys)

    def __contains__(self, key: object) -> bool:
        return key in self._orders

    def row(self, key: K) -> int:
        """Where a key stands.

        :raise KeyError: it does not.
        """
        return self.place(self._orders[key])

    def place(self, order: Any) -> int:
        """The row before which a key of this order belongs."""
        return bisect_left(self.keys, order, key=self._orders.__getitem__)

    def set_all(self, orders: Mapping[K, Any]) -> None:
        """Hold exactly these keys."""
        self._orders = dict(orders)
        self.keys = sorted(self._orders, key=self._orders.__getitem__)

    def add(self, key: K, order: Any) -> None:
        """Put one key in its place, telling nobody."""
        self.keys.insert(self.place(order), key)
        self._orders[key] = order

    def drop(self, key: K) -> None:
        """Take one key out, telling nobody.

        :raise KeyError: it is not there.
        """
        del self.keys[self.row(key)]
        del self._orders[key]

    def runs(self, removed: Iterable[K], orders: Mapping[K, Any]) -> int:
        """How many row operations :meth:`apply` would need; a few more where keys change their order too."""
        gone = len(_runs(self._rows_of(removed)))
        moving = sum(1 for key, order in orders.items() if key in self and self._moves(key, order))
        coming = len({self.place(order) for key, order in orders.items() if key not in self})
        return gone + moving + coming

    def apply(self, removed: Collection[K], orders: Mapping[K, Any], signals: RowSignals) -> None:
        """Remove keys, then give others a new order or a place, operation by operation."""
        for first, last in reversed(_runs(self._rows_of(removed))):
            signals.removing(first, last)
            for key in self.keys[first : last + 1]:
                del self._orders[key]
            del self.keys[first : last + 1]
            signals.removed()
        for key, order in orders.items():
            if key in self:
                self._give(key, order, signals)
        self._insert({key: order for key, order in orders.items() if key not in self}, signals)

    def _rows_of(self, keys: Iterable[K]) -> list[int]:
        return sorted(self.row(key) for key in set(keys) if key in self)

    def _moves(self, key: K, order: Any) -> bool:
        row = self.row(key)
        return bool(self._orders[key] != order) and self.place(order) not in (row, row + 1)

    def _give(self, key: K, order: Any, signals: RowSignals) -> None:
        if not self._moves(key, order):
            self._orders[key] = order
            return
        row, before = self.row(key), self.place(order)
        signals.moving(row, before)
        del self.keys[row]
        self.keys.insert(before - 1 if before > row else before, key)
        self._orders[key] = order
        signals.moved()

    def _insert(self, orders: Mapping[K, Any], signals: RowSignals) -> None:
        runs: dict[int, list[K]] = {}
        for key in sorted(orders, key=orders.__getitem__):
            runs.setdefault(self.place(orders[key]), []).append(key)
        for row in sorted(runs, reverse=True):  # from the end, so that the places before stay right
            signals.inserting(row, row + len(runs[row]) - 1)
            self.keys[row:row] = runs[row]
            self._orders.update((key, orders[key]) for key in runs[row])
            signals.inserted()


def _runs(rows: list[int]) -> list[tuple[int, int]]:
    """Ascending row numbers as (first, last) of each contiguous run."""
    runs: list[tuple[int, int]] = []
    for row in rows:
        if runs and runs[-1][1] == row - 1:
            runs[-1] = (runs[-1][0], row)
        else:
            runs.append((row, row))
    return runs
