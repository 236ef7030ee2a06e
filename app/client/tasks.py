"""Waiting for a task by the event feed."""

from __future__ import annotations

import asyncio
from collections.abc import Callable

from app.api import Failure, Ref, Task, TaskStatus
from app.api.failure import task_cancelled
from app.client.cache import Delta, ObjectCache
from app.client.session import Session

OnTask = Callable[[Task], None]
ASK_AFTER_SECONDS = 5.0


async def wait_for(session: Session, cache: ObjectCache, task: Ref[Task], on_change: OnTask | None = None) -> str:
    """Wait until the task ends; answer its result without the XML around it ("" for none).

    Only the event feed counts: when this returns, the cache holds what the task changed. `on_change` hears of progress.
    The finished task stays in the list of tasks, for history.

    :raise Failure: the task's own error; TASK_CANCELLED if it was cancelled; HANDLE_INVALID if the engine forgot it.
    """
    changed: asyncio.Queue[Task] = asyncio.Queue()

    def listen(delta: Delta) -> None:
        record = cache.get(Task, task)
        if record is not None and ("task", task) in delta.added | delta.changed:
            changed.put_nowait(record)
        elif ("task", task) in delta.removed:
            changed.put_nowait(Task(status=TaskStatus.failure, error_info=("HANDLE_INVALID", "task", task)))

    stop = cache.listen(listen)
    try:
        record = cache.get(Task, task)
        while record is None or record.status in (TaskStatus.pending, TaskStatus.cancelling):
            if record is not None and on_change is not None:
                on_change(record)
            record = await _next(session, task, changed) or cache.get(Task, task)
        if on_change is not None:
            on_change(record)
    finally:
        stop()
    return outcome(task, record)


async def _next(session: Session, task: Ref[Task], changed: asyncio.Queue[Task]) -> Task | None:
    """The task's next record; None when nothing came for a while and the engine still knows the task."""
    try:
        async with asyncio.timeout(ASK_AFTER_SECONDS):
            return await changed.get()
    except TimeoutError:
        await session.get_record(Task, task)
        return None


def outcome(task: Ref[Task], record: Task) -> str:
    """A finished task's result, or its failure raised."""
    if record.status is TaskStatus.cancelled:
        raise task_cancelled(task)
    if record.status is TaskStatus.failure:
        raise Failure(*record.error_info) if record.error_info else Failure("INTERNAL_ERROR", "no error was recorded")
    return record.result.removeprefix("<value>").removesuffix("</value>")
