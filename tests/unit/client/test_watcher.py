"""The watcher: it keeps the cache in step, and finds its way back after any loss."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable

import pytest

from app.api import VDI, VM, ConnectionLost, Failure, Message
from app.client import Delta, ObjectCache, Session, Watcher, watcher
from tests.unit.client.fakes import FakeTransport, batch, event


@pytest.fixture(autouse=True)
def _at_once(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(watcher, "BATCH_SECONDS", 0.0)
    monkeypatch.setattr(watcher, "RETRY_SECONDS", (0.0,))


@pytest.fixture
def transport() -> FakeTransport:
    return FakeTransport()


@pytest.fixture
def cache() -> ObjectCache:
    return ObjectCache()


@pytest.fixture
def statuses() -> list[str]:
    return []


@pytest.fixture
async def watching(transport: FakeTransport, cache: ObjectCache, statuses: list[str]) -> AsyncIterator[Watcher]:
    session = await Session.open(transport)
    found = Watcher(session, cache, statuses.append)
    found.start()
    yield found
    await found.close()


async def until(condition: Callable[[], bool]) -> None:
    async with asyncio.timeout(20):
        while not condition():  # noqa: ASYNC110
            await asyncio.sleep(0)


def tokens(transport: FakeTransport) -> list[str]:
    return [params[1] for method, params in transport.calls if method == "event.from"]


async def test_it_asks_for_everything_and_then_for_what_is_new(
    watching: Watcher, transport: FakeTransport, cache: ObjectCache, statuses: list[str]
) -> None:
    assert not cache.filled
    transport.answers.put_nowait(batch(event("a", VM(name_label="one")), token="5,0"))
    await watching.filled()
    transport.answers.put_nowait(batch(event("a", VM(name_label="two")), event("b", VDI()), token="6,0"))
    await until(lambda: cache.get(VDI, "b") is not None)
    record = cache.get(VM, "a")
    assert record is not None and record.name_label == "two"
    await until(lambda: len(tokens(transport)) == 3)
    assert tokens(transport) == ["", "5,0", "6,0"]
    assert statuses == ["connected"]
    assert cache.filled


@pytest.mark.parametrize(
    "loss", [ConnectionLost("gone"), Failure("SESSION_INVALID", "x"), ValueError("an answer that makes no sense")]
)
async def test_after_a_loss_it_starts_again(
    watching: Watcher, transport: FakeTransport, cache: ObjectCache, statuses: list[str], loss: Exception
) -> None:
    transport.answers.put_nowait(batch(event("a", VM()), event("b", VM()), token="5,0"))
    await watching.filled()
    transport.answers.put_nowait(loss)
    transport.answers.put_nowait(loss)
    deltas: list[Delta] = []
    cache.listen(deltas.append)
    # What was removed meanwhile was never told: the complete answer lacks it.
    transport.answers.put_nowait(batch(event("b", VM(name_label="new")), event("c", VM()), token="9,0"))
    await until(lambda: cache.get(VM, "c") is not None)
    assert cache.get(VM, "a") is None
    (delta,) = deltas
    assert (delta.added, delta.changed, delta.removed) == (
        frozenset({("VM", "c")}),
        frozenset({("VM", "b")}),
        frozenset({("VM", "a")}),
    )
    await until(lambda: len(tokens(transport)) == 5)
    assert tokens(transport) == ["", "5,0", "", "", "9,0"]
    assert statuses == ["connected", "lost", "connected"]


async def test_lost_events_are_noticed_by_the_counts(
    watching: Watcher, transport: FakeTransport, cache: ObjectCache
) -> None:
    transport.answers.put_nowait(batch(event("a", VM()), event("b", VM()), token="5,0", vm=2))
    await watching.filled()
    # One VM has gone and nobody told.
    transport.answers.put_nowait(batch(token="6,0", vm=1))
    transport.answers.put_nowait(batch(event("b", VM()), token="7,0", vm=1))
    await until(lambda: cache.get(VM, "a") is None)
    await until(lambda: len(tokens(transport)) == 4)
    assert tokens(transport) == ["", "5,0", "", "7,0"]


async def test_classes_that_the_server_counts_in_another_way_are_not_asked_for_again_and_again(
    watching: Watcher, transport: FakeTransport, cache: ObjectCache
) -> None:
    """XenServer says that there are no messages, whatever there is."""
    transport.answers.put_nowait(batch(event("a", Message()), event("v", VM()), token="5,0", message=0, vm=1))
    await watching.filled()
    transport.answers.put_nowait(batch(event("b", Message()), token="6,0", message=0, vm=1))
    transport.answers.put_nowait(batch(token="7,0", message=0, vm=0))
    transport.answers.put_nowait(batch(token="8,0", message=0, vm=0))
    await until(lambda: len(tokens(transport)) == 5)
    assert tokens(transport) == ["", "5,0", "6,0", "", "8,0"]
    assert not cache.all(VM) and not cache.all(Message)


async def test_tasks_and_sessions_may_differ(watching: Watcher, transport: FakeTransport) -> None:
    transport.answers.put_nowait(batch(token="5,0", task=7, session=3))
    transport.answers.put_nowait(batch(token="6,0", task=7))
    await until(lambda: len(tokens(transport)) == 3)
    assert tokens(transport) == ["", "5,0", "6,0"]


async def test_a_listener_that_fails_keeps_nobody_else_from_hearing(
    watching: Watcher, transport: FakeTransport, cache: ObjectCache, statuses: list[str]
) -> None:
    heard: list[Delta] = []

    def fail(_: Delta) -> None:
        raise ZeroDivisionError

    cache.listen(fail)
    cache.listen(heard.append)
    transport.answers.put_nowait(batch(event("a", VM()), token="5,0"))
    transport.answers.put_nowait(batch(event("b", VM()), token="6,0"))
    await until(lambda: len(heard) == 2)
    await until(lambda: len(tokens(transport)) == 3)
    assert tokens(transport) == ["", "5,0", "6,0"]
    assert statuses == ["connected"]


async def test_it_can_be_closed_at_any_time(transport: FakeTransport, cache: ObjectCache) -> None:
    session = await Session.open(transport)
    found = Watcher(session, cache)
    await found.close()
    found.start()
    await asyncio.sleep(0)
    await found.close()
    await found.close()
    transport.answers.put_nowait(batch(event("a", VM()), token="5,0"))
    await asyncio.sleep(0)
    assert not cache.filled
