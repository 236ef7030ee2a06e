"""Garbage is found where it is looked for, and only there."""

from __future__ import annotations

import gc
import threading
import weakref
from collections.abc import Iterator

import pytest

from app.garbage import FULL_SEARCH_GROWTH, Collector


class Knot:
    """Garbage that only a search finds, once nobody else holds it."""

    def __init__(self) -> None:
        self.itself = self


@pytest.fixture
def collector() -> Iterator[Collector]:
    """Tests run without Python's own searches (tests/conftest.py); so it is after each of these, too."""
    collector = Collector()
    collector.start()
    yield collector
    collector.start()


def make_many() -> list[Knot]:
    return [Knot() for _ in range(3 * gc.get_threshold()[0])]


def in_a_thread() -> None:
    thread = threading.Thread(target=make_many)
    thread.start()
    thread.join()


def test_another_thread_finds_nothing_and_a_step_does(collector: Collector) -> None:
    gc.collect()
    knot = Knot()
    found_by: list[int] = []
    weakref.finalize(knot, lambda: found_by.append(threading.get_ident()))
    del knot
    in_a_thread()
    assert found_by == []
    collector.step()
    assert found_by == [threading.get_ident()]


def test_python_searches_again_after_the_end(collector: Collector) -> None:
    collector.stop()
    gc.collect()
    knot = weakref.ref(Knot())
    in_a_thread()
    assert knot() is None


def test_nothing_due_is_left_alone(collector: Collector) -> None:
    gc.collect()
    knot = weakref.ref(Knot())
    collector.step()
    assert knot() is not None


def test_old_garbage_is_found_when_there_is_much_more(collector: Collector) -> None:
    gc.collect()
    old = [Knot()]
    gone = weakref.ref(old[0])
    gc.collect(1)
    old.clear()
    kept = []
    generations = gc.get_threshold()
    for _ in range((generations[1] + 2) * (generations[2] + 2)):
        kept.append(make_many())
        collector.step()
    assert gone() is None


def test_old_objects_are_not_searched_while_they_are_as_many(
    collector: Collector, monkeypatch: pytest.MonkeyPatch
) -> None:
    searched: list[int] = []
    objects = {0: 10, 1: 20, 2: 100}

    def collect(generation: int = 2) -> int:
        searched.append(generation)
        return 5

    monkeypatch.setattr(gc, "get_count", lambda: (9999, 99, 99))
    monkeypatch.setattr(gc, "collect", collect)
    monkeypatch.setattr(gc, "get_objects", lambda generation: range(objects[generation]))
    for _ in range(5):
        collector.step()
    # 25 of 30 young ones live on each time; 25 are not more than a quarter of 100, 50 are
    assert searched == [1, 2, 1, 1, 2]
    assert FULL_SEARCH_GROWTH == 1.25


def test_what_is_kept_is_not_searched_but_what_comes_later_is(collector: Collector) -> None:
    early = Knot()
    kept = weakref.ref(early)
    collector.keep()
    try:
        late = Knot()
        found = weakref.ref(late)
        del early, late
        gc.collect()
        assert kept() is not None
        assert found() is None
    finally:
        gc.unfreeze()
    gc.collect()
    assert kept() is None


def test_what_is_kept_is_freed_when_nobody_has_it(collector: Collector) -> None:

    holder = type("Holder", (), {"__slots__": ("value", "__weakref__")})()
    holder.value = {1, 2}
    gone = weakref.ref(holder)
    collector.keep()
    try:
        del holder
        assert gone() is None
    finally:
        gc.unfreeze()


def test_nothing_is_kept_where_python_searches_by_itself(collector: Collector) -> None:
    collector.stop()
    frozen = gc.get_freeze_count()
    collector.keep()
    assert gc.get_freeze_count() == frozen
