"""The task behind a stream: made before, looked at after, cancelled and waited for when the stream is given up."""

from __future__ import annotations

import asyncio
import contextlib
import time
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from typing import Final

from app.api import ConnectionLost, Failure, Ref, Task, TaskStatus
from app.client.session import Session
from app.client.tasks import outcome

EXPORT: Final = "Export"
IMPORT: Final = "Import"
EXPORT_DISK: Final = "Async.VDI.export"
IMPORT_DISK: Final = "Async.VDI.import"
LABELS: Final = frozenset({EXPORT, IMPORT, EXPORT_DISK, IMPORT_DISK})
"""What the tasks of streams are called. One word each, as messages are: an engine's own tasks are called in words."""
_LOOK_SECONDS: Final = 0.05
_PATIENCE_SECONDS: Final = 20.0
"""How long an engine may take to tidy up after a stream that was given up."""


class StreamTask:
    """A task of ours that the engine links a stream to."""

    def __init__(self, session: Session, ref: Ref[Task]) -> None:
        self._session = session
        self.ref = ref
        self.begun = False

    @property
    def query(self) -> Mapping[str, str]:
        """What names it in a handler's query, which is about to be sent."""
        self.begun = True
        return {"task_id": self.ref}

    async def ended(self, patience: float | None = None) -> Task:
        """The task's record once it has ended, or when patience has."""
        deadline = None if patience is None else time.monotonic() + patience
        while True:
            record = await self._session.get_record(Task, self.ref)
            over = deadline is not None and time.monotonic() > deadline
            if record.status not in (TaskStatus.pending, TaskStatus.cancelling) or over:
                return record
            await asyncio.sleep(_LOOK_SECONDS)

    async def result(self) -> str:
        """What the task answered. :raise Failure: why it failed."""
        return outcome(self.ref, await self.ended())


@asynccontextmanager
async def stream_task(session: Session, label: str) -> AsyncIterator[StreamTask]:
    """A task for one stream.

    When the body fails the engine is told to stop and waited for, so that nothing is left when the failure arrives;
    and a lost connection is replaced by the engine's own reason, where it had one.

    :raise Failure: SESSION_INVALID and the like.
    """
    task = StreamTask(session, await session.task.create(label, ""))
    try:
        yield task
    except (Exception, asyncio.CancelledError) as error:
        reason = await asyncio.shield(_stopped(session, task))
        if isinstance(error, ConnectionLost) and reason is not None:
            raise reason from error
        raise
    else:
        await _forget(session, task)


async def _stopped(session: Session, task: StreamTask) -> Failure | None:
    """Make sure that the engine has stopped; its reason for a failure, if it told one."""
    with contextlib.suppress(Failure, ConnectionLost):
        await session.task.cancel(task.ref)
        record = await task.ended(_PATIENCE_SECONDS if task.begun else 0.0)
        await _forget(session, task)
        if record.status is TaskStatus.failure and record.error_info:
            return Failure(*record.error_info)
    return None


async def _forget(session: Session, task: StreamTask) -> None:
    with contextlib.suppress(Failure, ConnectionLost):
        await session.task.destroy(task.ref)
