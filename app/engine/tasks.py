"""The life of tasks: made for each call that changes something, published, finished, forgotten."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Mapping
from datetime import timedelta
from typing import Any, Final

from app.api import Failure, Task, TaskOperation, TaskStatus
from app.api.failure import internal_error, not_allowed
from app.engine.xml_values import xml_value
from app.log import get, task_context
from app.ops.context import Context
from app.ops.task import CAN_CANCEL, TaskHandle, work_for

log = get(__name__)

KEPT_FINISHED: Final = 500
KEPT_FOR: Final = timedelta(hours=24)


def own_failure(error: Exception, ref: str) -> Failure:
    """A bug of ours as INTERNAL_ERROR, naming the log entry that has the traceback; for an `except` block."""
    log_id = ref.removeprefix("OpaqueRef:")[:8]
    log.exception("a bug of ours", id=log_id)
    return internal_error(f"{type(error).__name__}: {error} (log entry {log_id})")


class Tasks:
    """All tasks of the engine."""

    def __init__(self, context: Context) -> None:
        self._context = context
        self._store = context.store
        self._handles: dict[str, TaskHandle] = {}
        self._running: set[asyncio.Task[Any]] = set()
        self._at_work: set[str] = set()

    def make(
        self,
        label: str,
        description: str = "",
        *,
        cancellable: bool = True,
        other_config: Mapping[str, str] | None = None,
    ) -> TaskHandle:
        """A new pending task."""
        record = Task(
            name_label=label,
            name_description=description,
            created=self._context.now(),
            resident_on=self._context.host,
            allowed_operations=CAN_CANCEL if cancellable else frozenset(),
            other_config=other_config or {},
        )
        with self._store.transaction() as tx:
            ref = tx.create(record)
        handle = self._handles[ref] = TaskHandle(self._store, ref)
        return handle

    def handle(self, ref: str) -> TaskHandle | None:
        """A task under way, among them those that clients made; None: it has ended, or there never was one."""
        return self._handles.get(ref)

    def start(self, handle: TaskHandle, work: Callable[[], Awaitable[Any]]) -> asyncio.Task[None]:
        """Run the work in the background; its outcome goes into the task. What is answered ends with it."""
        self._at_work.add(handle.ref)
        handle.started = True
        running = asyncio.ensure_future(self._run_and_record(handle, work))
        self._running.add(running)
        running.add_done_callback(self._running.discard)
        return running

    def begin(
        self, label: str, work: Callable[[], Awaitable[Any]], *, description: str, other_config: Mapping[str, str]
    ) -> TaskHandle:
        """Do work of the engine's own as a task that clients see."""
        handle = self.make(label, description, other_config=other_config)
        self.start(handle, work)
        return handle

    async def run(self, handle: TaskHandle, work: Callable[[], Awaitable[Any]]) -> Any:
        """Run the work for a synchronous call; the task goes when it ends. :raise Failure: what the work raised."""
        self._at_work.add(handle.ref)
        handle.started = True
        running = asyncio.ensure_future(self._guarded(handle, work))
        self._running.add(running)
        running.add_done_callback(self._running.discard)
        try:
            # A client that goes away does not stop what it asked for half-way.
            return await asyncio.shield(running)
        finally:
            self.forget(handle.ref)

    async def close(self) -> None:
        """Ask all work to stop and wait for it: operations past the point of no return finish."""
        for handle in self._handles.values():
            handle.ask_cancel()
        if self._running:
            await asyncio.wait(self._running)

    def cancel(self, ref: str) -> None:
        """Ask a task to stop. A finished task, or one past the point of no return, takes no notice."""
        task = self._store.get(Task, ref)
        if task.status is not TaskStatus.pending:
            return
        requests = {**task.current_operations, f"DummyRef:|{task.uuid}|task.cancel": TaskOperation.cancel}
        self._store.publish(Task, ref, current_operations=requests)
        handle = self._handles.get(ref)
        if handle is not None:
            handle.ask_cancel()
            if not handle.started:
                # Made by a client for a stream that never came: nobody else would end it.
                self._finish(handle, status=TaskStatus.cancelled)

    def destroy(self, ref: str) -> None:
        """Forget a finished task; mark a pending one. :raise Failure: HANDLE_INVALID."""
        task = self._store.get(Task, ref)
        if task.status is TaskStatus.pending and ref in self._handles:
            self._store.publish(Task, ref, current_operations={ref: TaskOperation.destroy})
            return
        self.forget(ref)

    def report(self, ref: str, **fields: Any) -> None:
        """What a client says of a task that it drives by itself.

        :raise Failure: HANDLE_INVALID; OPERATION_NOT_ALLOWED: the engine does this one.
        """
        self._store.get(Task, ref)
        if ref in self._at_work:
            raise not_allowed("This task is the engine's")
        self._store.publish(Task, ref, **fields)

    def report_status(self, ref: str, status: TaskStatus) -> None:
        """The same for how it stands. :raise Failure: as `report`."""
        if status in (TaskStatus.pending, TaskStatus.cancelling):
            self.report(ref, status=status)
            return
        self.report(ref, status=status, finished=self._context.now(), allowed_operations=frozenset())
        self._handles.pop(ref, None)

    def forget(self, ref: str) -> None:
        """Remove a task's record."""
        self._handles.pop(ref, None)
        self._at_work.discard(ref)
        if self._store.find(Task, ref) is not None:
            with self._store.transaction() as tx:
                tx.delete(Task, ref)

    async def _run_and_record(self, handle: TaskHandle, work: Callable[[], Awaitable[Any]]) -> None:
        async def as_xml() -> str:
            return xml_value(await work())

        try:
            result = await self._guarded(handle, as_xml)
        except Failure as failure:
            self._finish_failed(handle, failure)
        else:
            self._finish(handle, status=TaskStatus.success, result=result)
        self._collect()

    async def _guarded(self, handle: TaskHandle, work: Callable[[], Awaitable[Any]]) -> Any:
        work_for(handle)
        label = self._store.get(Task, handle.ref).name_label
        with task_context(handle.ref, label):
            try:
                return await work()
            except Failure:
                raise
            except Exception as error:
                raise own_failure(error, handle.ref) from error

    def _finish_failed(self, handle: TaskHandle, failure: Failure) -> None:
        if failure.code == "TASK_CANCELLED":
            self._finish(handle, status=TaskStatus.cancelled)
        else:
            self._finish(handle, status=TaskStatus.failure, error_info=tuple(failure.description()))

    def _finish(self, handle: TaskHandle, **outcome: Any) -> None:
        self._handles.pop(handle.ref, None)
        self._at_work.discard(handle.ref)
        self._store.publish(
            Task, handle.ref, progress=1.0, finished=self._context.now(), allowed_operations=frozenset(), **outcome
        )

    def _collect(self) -> None:
        done = [(t.finished, r) for r, t in self._store.all(Task).items() if t.status is not TaskStatus.pending]
        done.sort()
        oldest = self._context.now() - KEPT_FOR
        excess = len(done) - KEPT_FINISHED
        stale = [ref for place, (finished, ref) in enumerate(done) if place < excess or finished < oldest]
        if stale:
            with self._store.transaction() as tx:
                tx.delete_all(Task, stale)
