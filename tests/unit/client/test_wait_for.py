"""Waiting for a task: only what the event feed has brought counts."""

from __future__ import annotations

import asyncio
from typing import Any

import pytest

from app.api import Event, EventBatch, EventOperation, Failure, Ref, Task, TaskStatus
from app.client import ObjectCache, Session, wait_for

TASK: Ref[Task] = Ref("OpaqueRef:task")


class Engine:
    """Answers that the task is done, as a fast engine does before its events arrive."""

    async def call(self, _session: str, method: str, _params: Any) -> Any:
        assert method == "task.get_record"
        return Task(status=TaskStatus.success, result="<value>done</value>")


def events(*changes: tuple[str, str, EventOperation, Any]) -> EventBatch:
    made = tuple(
        Event(id=str(n), timestamp="0.0", cls=cls, ref=ref, operation=operation, snapshot=record)
        for n, (cls, ref, operation, record) in enumerate(changes)
    )
    return EventBatch(events=made, valid_ref_counts={}, token="1,0")


async def test_the_end_is_not_told_before_the_cache_knows_what_it_changed() -> None:
    cache = ObjectCache()
    session = Session(Engine(), "OpaqueRef:session")  # type: ignore[arg-type]
    waiting = asyncio.ensure_future(wait_for(session, cache, TASK))
    done, _ = await asyncio.wait({waiting}, timeout=0.2)
    assert not done
    cache.apply(events(("task", TASK, EventOperation.add, Task(status=TaskStatus.success, result="<value>x</value>"))))
    assert await waiting == "x"


async def test_a_failure_is_raised_with_its_parameters() -> None:
    cache = ObjectCache()
    session = Session(Engine(), "OpaqueRef:session")  # type: ignore[arg-type]
    record = Task(status=TaskStatus.failure, error_info=("VM_IS_TEMPLATE", "OpaqueRef:1", "start"))
    cache.apply(events(("task", TASK, EventOperation.add, record)))
    with pytest.raises(Failure) as caught:
        await wait_for(session, cache, TASK)
    assert caught.value.code == "VM_IS_TEMPLATE"
