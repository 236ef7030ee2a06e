"""Waiting for a task by the event feed."""

from __future__ import annotations

import asyncio
from collections.abc import Callable

from app.api import Failure, Ref, Task, TaskStatus
from app.api.failure import task_cancelled
from app.client.cache import Delta, ObjectCache
from app.client.session import Session

OnTask = Callable[[Task], None]


async def wait_for(session: Session, cache: ObjectCache, task: Ref[Task], on_change: OnTask | None = None) -> str:
    """Wait until the task ends; answer its result without the XML around it ("" for none).

    `on_change` hears of progress. The finished task stays in the list of tasks, for history.

    :raise Failure: the task's own error; TASK_CANCELLED if it was cancelled.
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
        record = cache.get(Task, task) or await session.get_record(Task, task)
        while record.status in (TaskStatus.pending, TaskStatus.cancelling):
            if on_change is not None:
                on_change(record)
            record = await changed.get()
        if on_change is not None:
            on_change(record)
    finally:
        stop()
    return outcome(task, record)


def outcome(task: Ref[Task], record: Task) -> str:
    """A finished task's result, or its failure raised."""
    if record.status is TaskStatus.cancelled:
        raise task_cancelled(task)
    if record.status is TaskStatus.failure:
        raise Failure(*record.error_info) if record.error_info else Failure("INTERNAL_ERROR", "no error was recorded")
    return record.result.removeprefix("<value>").removesuffix("</value>")
