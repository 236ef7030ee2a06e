"""What XenServer does by its GET and PUT handlers, whatever the transport: exports and imports as byte streams."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping
from typing import Any, Final

from app.api import Failure
from app.api.failure import handle_invalid, internal_error, unknown_method
from app.api.streams import Chunk, Download
from app.engine.tasks import Tasks
from app.ops import vdi_export, vdi_import, vm_export, vm_import
from app.ops.context import Context
from app.ops.outlet import Outlet
from app.ops.task import TaskHandle

Query = Mapping[str, str]
Get = Callable[[Context, Query, Outlet], Awaitable[None]]
"""Makes a stream: `outlet.begin` when nothing can be refused any more, then `outlet.pour`."""
Put = Callable[[Context, Query, AsyncIterator[Chunk], int | None], Awaitable[Any]]
"""Takes a stream in, its length being known or not, and answers the task's result."""

GETS: Final[Mapping[str, Get]] = {
    "/export": vm_export.export,
    "/export_metadata": vm_export.export_metadata,
    "/export_raw_vdi": vdi_export.export,
}
PUTS: Final[Mapping[str, Put]] = {
    "/import": vm_import.import_vm,
    "/import_metadata": vm_import.import_metadata,
    "/import_raw_vdi": vdi_import.import_raw_vdi,
}


class Handlers:
    """`get` and `put` as a client of the HTTP interface knows them. All in the engine's event loop."""

    def __init__(self, context: Context, tasks: Tasks, check_session: Callable[[str], None]) -> None:
        self._context = context
        self._tasks = tasks
        self._check_session = check_session

    def knows(self, method: str, path: str) -> bool:
        """Whether there is a handler; `method` is GET or PUT. A closing slash is passed over, as XenServer does."""
        return path.rstrip("/") in (GETS if method == "GET" else PUTS)

    def task_for(self, session: str, path: str, query: Query) -> str:
        """The task of `task_id` in the query, or a new one, which stays in the list of tasks when it has ended.

        For transports that name the task in their answer before the work begins: they put it into the query.

        :raise Failure: SESSION_INVALID, HANDLE_INVALID.
        """
        self._check_session(session)
        return self._handle(path, query).ref

    def fail(self, query: Query, failure: Failure) -> Failure:
        """Let the task that `query` names fail with what the transport refuses, and answer that."""
        handle = self._tasks.handle(query.get("task_id", ""))

        async def refuse() -> None:
            raise failure

        if handle is not None:
            self._tasks.start(handle, refuse)
        return failure

    async def get(self, session: str, path: str, query: Query) -> Download:
        """Begin a stream; whoever gets it closes it.

        :raise Failure: before the first byte. The task, if one was named, has failed then.
        """
        self._check_session(session)
        make = GETS.get(path.rstrip("/"))
        if make is None:
            raise unknown_method(path)
        handle = self._handle(path, query)
        outlet = Outlet(handle)
        work = self._tasks.start(handle, lambda: outlet.run(lambda out: make(self._context, query, out)))
        return await outlet.served(work)

    async def put(self, session: str, path: str, query: Query, body: AsyncIterator[Chunk], length: int | None) -> None:
        """Take a stream in; returns when all of it is recorded. Its results are in the task.

        :raise Failure: and nothing of it is left.
        """
        self._check_session(session)
        take = PUTS.get(path.rstrip("/"))
        if take is None:
            raise unknown_method(path)
        handle = self._handle(path, query)
        failures: list[Failure] = []

        async def work() -> Any:
            try:
                return await take(self._context, query, body, length)
            except Failure as failure:
                failures.append(failure)
                raise
            except Exception as error:
                failures.append(internal_error(f"{type(error).__name__}: {error}"))
                raise

        await _to_its_end(handle, self._tasks.start(handle, work))
        if failures:
            raise failures[0]

    def _handle(self, path: str, query: Query) -> TaskHandle:
        ref = query.get("task_id", "")
        if not ref:
            return self._tasks.make(path.strip("/"))
        handle = self._tasks.handle(ref)
        if handle is None:
            raise handle_invalid("task", ref)
        return handle


async def _to_its_end(handle: TaskHandle, work: asyncio.Task[None]) -> None:
    """Wait for the work; when the client leaves, ask it to stop and wait until it has tidied up."""
    try:
        await asyncio.wait({work})
    except asyncio.CancelledError:
        handle.ask_cancel()
        await asyncio.wait({work})
        raise
