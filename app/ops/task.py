"""A task as the code that does the work sees it: progress, words, cancellation, the point of no return."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import Coroutine, Mapping
from contextvars import ContextVar
from typing import Any, TypeVar

from app.api import Failure, Ref, Task, TaskOperation
from app.api.failure import task_cancelled
from app.store import Store

T = TypeVar("T")

_current: ContextVar[TaskHandle] = ContextVar("stillframe_task")


class TaskHandle:
    """One task under way. Made by the dispatcher, found by the operations through `current`."""

    def __init__(self, store: Store, ref: Ref[Task]) -> None:
        self.ref = ref
        self.marks: Mapping[str, str] = {}
        """What a snapshot made by this task carries in its other_config, and only a schedule's has any."""
        self.started = False
        """Whether work for it has begun: a task that a client made may wait for it for ever."""
        self._store = store
        self._cancel_asked = asyncio.Event()
        self._cancellable = True

    @property
    def cancellable(self) -> bool:
        """False from the point of no return on."""
        return self._cancellable

    def progress(self, fraction: float) -> None:
        """Publish how far it is, 0 to 1; never goes back."""
        known = self._store.find(Task, self.ref)
        if known is not None and fraction > known.progress:
            self._store.publish(Task, self.ref, progress=min(fraction, 1.0))

    def describe(self, text: str) -> None:
        """Publish what it does or waits for now."""
        self._store.publish(Task, self.ref, name_description=text)

    def ask_cancel(self) -> None:
        """Remember that a client wants it to stop."""
        self._cancel_asked.set()

    def check(self) -> None:
        """Stop here if asked to. :raise Failure: TASK_CANCELLED."""
        if self._cancellable and self._cancel_asked.is_set():
            raise task_cancelled(self.ref)

    def point_of_no_return(self) -> None:
        """From here on it will be finished. :raise Failure: TASK_CANCELLED, when asked to stop before."""
        self.check()
        self._cancellable = False
        self._store.publish(Task, self.ref, allowed_operations=frozenset())

    async def unless_cancelled(self, work: Coroutine[Any, Any, T]) -> T:
        """Do the work; when asked to stop, cancel it and wait until it has tidied up.

        :raise Failure: TASK_CANCELLED.
        """
        doing = asyncio.ensure_future(work)
        asked = asyncio.ensure_future(self._cancel_asked.wait())
        try:
            await asyncio.wait({doing, asked}, return_when=asyncio.FIRST_COMPLETED)
            if doing.done():
                return doing.result()
            doing.cancel()
            with contextlib.suppress(asyncio.CancelledError):
                return await doing
            raise task_cancelled(self.ref)
        finally:
            asked.cancel()
            if not doing.done():
                doing.cancel()


def current() -> TaskHandle:
    """The task that the running code works for. :raise Failure: INTERNAL_ERROR outside of any task."""
    handle = _current.get(None)
    if handle is None:
        raise Failure("INTERNAL_ERROR", "no task")
    return handle


def work_for(handle: TaskHandle) -> None:
    """Make `handle` the current task of the running coroutine and what it starts."""
    _current.set(handle)


CAN_CANCEL = frozenset({TaskOperation.cancel})
