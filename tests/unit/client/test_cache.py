"""The object cache: what each batch changes, and who hears of it."""

from __future__ import annotations

from collections.abc import Callable

import pytest

from app.api import VDI, VM, Pool, Record
from app.client import Delta, ObjectCache
from tests.unit.client.fakes import batch, event


@pytest.fixture
def cache() -> ObjectCache:
    cache = ObjectCache()
    cache.apply(
        batch(event("a", VM(name_label="a")), event("b", VM(name_label="b")), event("p", Pool())), complete=True
    )
    return cache


def keys(*refs: str, cls: str = "VM") -> frozenset[tuple[str, str]]:
    return frozenset((cls, ref) for ref in refs)


def test_a_batch_as_a_delta(cache: ObjectCache) -> None:
    delta = cache.apply(
        batch(event("a", VM(name_label="new")), event("b", None, "VM"), event("c", VM()), event("d", None, "VM"))
    )
    assert (delta.added, delta.changed, delta.removed) == (keys("c"), keys("a"), keys("b"))
    assert delta.before == {("VM", "a"): VM(name_label="a"), ("VM", "b"): VM(name_label="b")}
    assert delta.touches(VM) and delta.touches(VDI, VM) and not delta.touches(VDI, Pool)
    assert dict(cache.all(VM)) == {"a": VM(name_label="new"), "c": VM()}


def test_what_did_not_change_is_no_news(cache: ObjectCache) -> None:
    heard: list[Delta] = []
    cache.listen(heard.append)
    assert not cache.apply(batch(event("a", VM(name_label="a")), event("x", None, "VM")))
    assert heard == []


def test_changed_twice_in_one_batch_is_as_before_the_batch(cache: ObjectCache) -> None:
    delta = cache.apply(batch(event("a", VM(name_label="new")), event("a", VM(name_label="newer"))))
    assert delta.before == {("VM", "a"): VM(name_label="a")} and delta.changed == keys("a")


def test_made_and_gone_in_one_batch(cache: ObjectCache) -> None:
    delta = cache.apply(batch(event("c", VM()), event("c", None, "VM")))
    assert (delta.added, delta.changed) == (frozenset(), frozenset())
    assert cache.get(VM, "c") is None


def test_made_and_changed_in_one_batch(cache: ObjectCache) -> None:
    delta = cache.apply(batch(event("c", VM()), event("c", VM(name_label="c"))))
    assert (delta.added, delta.changed) == (keys("c"), frozenset())


def test_gone_and_made_again_in_one_batch(cache: ObjectCache) -> None:
    cache.apply(batch(event("a", None, "VM"), event("a", VM(name_label="again"))))
    record = cache.get(VM, "a")
    assert record is not None and record.name_label == "again"


def test_a_complete_batch_drops_what_it_lacks(cache: ObjectCache) -> None:
    delta = cache.apply(batch(event("b", VM(name_label="b"))), complete=True)
    assert delta.removed == keys("a") | keys("p", cls="pool")
    assert (delta.added, delta.changed) == (frozenset(), frozenset())
    assert set(delta.before) == delta.removed
    assert cache.one(Pool) is None


def test_unknown_classes_are_passed_over(cache: ObjectCache) -> None:
    assert not cache.apply(batch(event("x", Record(), "of_a_later_version")))


def test_the_only_one_of_a_class(cache: ObjectCache) -> None:
    assert cache.one(Pool) == ("p", Pool())
    assert ObjectCache().one(Pool) is None


def test_listeners_come_and_go(cache: ObjectCache) -> None:
    heard: list[str] = []
    stops: list[Callable[[], None]] = []

    def once(_: Delta) -> None:
        heard.append("once")
        stops[0]()
        stops[0]()

    stops.append(cache.listen(once))
    stop = cache.listen(lambda _: heard.append("always"))
    for number in range(2):
        cache.apply(batch(event("a", VM(name_label=str(number)))))
    stop()
    cache.apply(batch(event("a", VM(name_label="last"))))
    assert heard == ["once", "always", "always"]


def test_the_first_failure_of_a_listener_is_raised_after_all_have_heard(cache: ObjectCache) -> None:
    heard: list[Delta] = []

    def fail(_: Delta) -> None:
        raise KeyError("first")

    def fail_too(_: Delta) -> None:
        raise ValueError("second")

    for listener in (fail, fail_too, heard.append):
        cache.listen(listener)
    with pytest.raises(KeyError):
        cache.apply(batch(event("c", VM())))
    assert len(heard) == 1
    assert cache.get(VM, "c") is not None


def test_counts(cache: ObjectCache) -> None:
    assert not cache.differing({"vm": 2, "pool": 1})
    assert not cache.differing({})
    assert cache.differing({"vm": 3, "pool": 1}) == {"VM"}
    assert not cache.differing({"vm": 2, "task": 5, "session": 1, "of_a_later_version": 4})
