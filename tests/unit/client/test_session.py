"""A session: typed calls as messages, tasks started and waited for."""

from __future__ import annotations

import asyncio

import pytest

from app.api import NULL, VM, ConnectionLost, EventCalls, Failure, Ref, Task, TaskStatus, VDICalls, VMCalls
from app.client import ObjectCache, Session, outcome, tasks, wait_for
from tests.unit.client.fakes import FakeTransport, batch, event

VM_REF = Ref[VM]("OpaqueRef:vm")
TASK = Ref[Task]("OpaqueRef:task")


@pytest.fixture
def transport() -> FakeTransport:
    return FakeTransport()


@pytest.fixture
async def session(transport: FakeTransport) -> Session:
    return await Session.open(transport, "user", "secret", "tests")


async def test_calls_become_messages(session: Session, transport: FakeTransport) -> None:
    transport.answers.put_nowait("OpaqueRef:new")
    assert await session.VM.snapshot(VM_REF, "name") == "OpaqueRef:new"
    transport.answers.put_nowait(batch())
    await session.event.from_(["*"], "", 1.0)
    transport.answers.put_nowait("OpaqueRef:task")
    assert await session.start(VMCalls.clone, VM_REF, "name") == "OpaqueRef:task"
    transport.answers.put_nowait("OpaqueRef:task")
    await session.start(VDICalls.import_file, NULL, "/path", "name")
    for _ in range(2):
        transport.answers.put_nowait(None)
    await session.set(VM, VM_REF, name_label="new", tags=["a"])
    assert transport.calls == [
        ("VM.snapshot", (VM_REF, "name")),
        ("event.from", (["*"], "", 1.0)),
        ("Async.VM.clone", (VM_REF, "name")),
        ("Async.VDI.import_file", (NULL, "/path", "name")),
        ("VM.set_name_label", (VM_REF, "new")),
        ("VM.set_tags", (VM_REF, ["a"])),
    ]


async def test_what_is_no_message_cannot_be_started(session: Session) -> None:
    with pytest.raises(TypeError):
        await session.start(session.VM.start, VM_REF)  # type: ignore[arg-type]
    with pytest.raises(TypeError):
        await session.start(VMCalls.snapshot, VM_REF, new_name="x")
    with pytest.raises(TypeError):
        await session.start(EventCalls.from_, ["*"], "", 0.0)


async def test_lookup_by_name(session: Session, transport: FakeTransport) -> None:
    transport.answers.put_nowait(["OpaqueRef:a"])
    assert await session.by_name(VM, "a") == "OpaqueRef:a"
    several: list[list[str]] = [[], ["OpaqueRef:a", "OpaqueRef:b"]]
    for found in several:
        transport.answers.put_nowait(found)
        with pytest.raises(Failure) as caught:
            await session.by_name(VM, "a")
        assert caught.value.description() == ["INVALID_VALUE", "name_label", "a"]


async def test_closing_logs_out_and_lets_go(session: Session, transport: FakeTransport) -> None:
    transport.answers.put_nowait(ConnectionLost("gone"))
    with pytest.raises(ConnectionLost):
        await session.close()
    assert transport.calls == [("session.logout", ())]
    assert transport.closed


# Waiting for a task


def pending(progress: float = 0.0) -> Task:
    return Task(status=TaskStatus.pending, progress=progress)


def done(result: str = "<value>OpaqueRef:new</value>") -> Task:
    return Task(status=TaskStatus.success, progress=1.0, result=result)


async def test_the_result_comes_by_the_feed(session: Session) -> None:
    cache, heard = ObjectCache(), []
    waiting = asyncio.ensure_future(wait_for(session, cache, TASK, lambda record: heard.append(record.progress)))
    await asyncio.sleep(0)
    for record in (pending(), pending(0.5), pending(0.5), done()):
        cache.apply(batch(event(TASK, record)))
        await asyncio.sleep(0)
    assert await asyncio.wait_for(waiting, 20) == "OpaqueRef:new"
    assert heard == [0.0, 0.5, 1.0]
    cache.apply(batch(event(TASK, pending())))
    assert len(heard) == 3


async def test_a_task_that_is_done_already(session: Session, transport: FakeTransport) -> None:
    cache = ObjectCache()
    cache.apply(batch(event(TASK, done("<value></value>"))))
    assert await wait_for(session, cache, TASK) == ""
    assert transport.calls == []


async def test_a_failure_is_raised(session: Session) -> None:
    cache = ObjectCache()
    cache.apply(batch(event(TASK, Task(status=TaskStatus.failure, error_info=("SR_FULL", "1", "2")))))
    with pytest.raises(Failure) as caught:
        await wait_for(session, cache, TASK)
    assert caught.value.description() == ["SR_FULL", "1", "2"]


async def test_cancelling_ends_in_task_cancelled(session: Session) -> None:
    cache = ObjectCache()
    cache.apply(batch(event(TASK, Task(status=TaskStatus.cancelling))))
    waiting = asyncio.ensure_future(wait_for(session, cache, TASK))
    await asyncio.sleep(0)
    assert not waiting.done()
    cache.apply(batch(event(TASK, Task(status=TaskStatus.cancelled))))
    with pytest.raises(Failure) as caught:
        await asyncio.wait_for(waiting, 20)
    assert caught.value.description() == ["TASK_CANCELLED", TASK]


async def test_a_task_that_vanishes(session: Session) -> None:
    """The engine started again meanwhile, and its tasks are gone."""
    cache = ObjectCache()
    cache.apply(batch(event(TASK, pending())))
    waiting = asyncio.ensure_future(wait_for(session, cache, TASK))
    await asyncio.sleep(0)
    cache.apply(batch(), complete=True)
    with pytest.raises(Failure) as caught:
        await asyncio.wait_for(waiting, 20)
    assert caught.value.description() == ["HANDLE_INVALID", "task", TASK]


async def test_a_task_that_the_feed_never_showed_is_asked_for(
    session: Session, transport: FakeTransport, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(tasks, "ASK_AFTER_SECONDS", 0.0)
    transport.answers.put_nowait(pending())
    transport.answers.put_nowait(Failure("HANDLE_INVALID", "task", TASK))
    with pytest.raises(Failure) as caught:
        await asyncio.wait_for(wait_for(session, ObjectCache(), TASK), 20)
    assert caught.value.code == "HANDLE_INVALID"
    assert transport.calls == [("task.get_record", (TASK,))] * 2


def test_a_failure_without_words() -> None:
    with pytest.raises(Failure) as caught:
        outcome(TASK, Task(status=TaskStatus.failure))
    assert caught.value.code == "INTERNAL_ERROR"
