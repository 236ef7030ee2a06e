"""The change log: tokens, coalescing, deletions, order."""

from __future__ import annotations

import pytest

from app.api import VM, EventOperation, Failure
from app.store import Store, Subscription
from app.store.feed import Change, Feed, parse_token


def ops(changes: list[Change]) -> list[tuple[str, str]]:
    return [(change.ref, change.operation.value) for change in changes]


@pytest.fixture
def feed() -> Feed:
    return Feed()


ADD, MOD, DEL = EventOperation.add, EventOperation.mod, EventOperation.delete


def test_an_empty_token_gives_all_there_is_as_added(feed: Feed) -> None:
    feed.note("VM", "a", ADD)
    feed.note("VM", "b", ADD)
    feed.note("VM", "a", MOD)
    assert ops(feed.since("")) == [("b", "add"), ("a", "add")]


def test_several_changes_of_one_object_are_one(feed: Feed) -> None:
    feed.note("VM", "a", ADD)
    token = feed.token()
    for _ in range(5):
        feed.note("VM", "a", MOD)
    assert ops(feed.since(token)) == [("a", "mod")]
    assert feed.since(feed.token()) == []


def test_made_and_changed_since_is_an_addition(feed: Feed) -> None:
    token = feed.token()
    feed.note("VM", "a", ADD)
    middle = feed.token()
    feed.note("VM", "a", MOD)
    assert ops(feed.since(token)) == [("a", "add")]
    assert ops(feed.since(middle)) == [("a", "mod")]


def test_a_deletion_replaces_all_that_was_before(feed: Feed) -> None:
    feed.note("VM", "a", ADD)
    token = feed.token()
    feed.note("VM", "a", MOD)
    feed.note("VM", "a", DEL)
    assert ops(feed.since(token)) == [("a", "del")]
    assert feed.since(feed.token()) == []


def test_changes_come_in_their_order(feed: Feed) -> None:
    token = feed.token()
    feed.note("VM", "a", ADD)
    feed.note("VM", "b", ADD)
    feed.note("VM", "a", DEL)
    feed.note("VM", "c", ADD)
    assert ops(feed.since(token)) == [("b", "add"), ("a", "del"), ("c", "add")]
    assert [c.generation for c in feed.since(token)] == sorted(c.generation for c in feed.since(token))


def test_deletions_are_remembered_up_to_a_limit(feed: Feed, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("app.store.feed._TOMBSTONES_KEPT", 3)
    token = feed.token()
    for ref in "abcde":
        feed.note("VM", ref, ADD)
        feed.note("VM", ref, DEL)
    assert ops(feed.since(token)) == [("c", "del"), ("d", "del"), ("e", "del")]


def test_a_later_run_has_later_tokens(feed: Feed) -> None:
    feed.note("VM", "a", ADD)
    old = feed.token()
    later = Feed()
    later.generation = feed.generation + 1
    later.note("VM", "b", ADD)
    assert ops(later.since(old)) == [("b", "add")]


@pytest.mark.parametrize("token", ["x", "1", "1,2,3", ",", "-1,0", "1.5,0", " 1,2", "1,2\n", "9" * 21 + ",0"])
def test_what_is_no_token_is_refused(token: str) -> None:
    with pytest.raises(Failure) as caught:
        parse_token(token)
    assert caught.value.description() == ["EVENT_FROM_TOKEN_PARSE_FAILURE", token]


def test_tokens_have_their_form(feed: Feed) -> None:
    assert parse_token(feed.token()) == feed.generation
    first, second = feed.token().split(",")
    assert (len(first), len(second)) == (20, 20)
    assert parse_token("") == 0


@pytest.mark.parametrize(
    ("wanted", "heard"),
    [
        (["*"], "abc"),
        (["vm"], "ab"),
        (["VM"], "ab"),
        (["vm/a"], "a"),
        (["Vm/b", "vdi"], "bc"),
        (["vdi/a"], ""),
        (["nosuch", "a/b/c", ""], ""),
        ([], ""),
    ],
)
def test_subscriptions(wanted: list[str], heard: str) -> None:
    changes = [Change("VM", "a", ADD, 1), Change("VM", "b", MOD, 2), Change("VDI", "c", DEL, 3)]
    assert "".join(c.ref for c in changes if Subscription(wanted).matches(c)) == heard


def test_a_change_that_changes_nothing_is_no_news() -> None:
    store = Store()
    with store.transaction() as tx:
        vm = tx.create(VM(name_label="same"))
    token = store.feed.token()
    with store.transaction() as tx:
        tx.update(VM, vm, name_label="same")
    assert store.feed.since(token) == []
    store.close()
