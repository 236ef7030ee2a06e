"""The engine's end of a stream to a client: a thread pours chunks in, the client takes them, a few chunks apart."""

from __future__ import annotations

import asyncio
import threading
from collections import deque
from collections.abc import AsyncIterator, Awaitable, Callable, Iterable
from typing import Any, Final

from app.api import Failure
from app.api.failure import internal_error, task_cancelled
from app.api.streams import Chunk, Download
from app.ops.stream_threads import in_own_thread
from app.ops.task import TaskHandle

AHEAD: Final = 3
"""How many chunks may wait for the client."""
_LOOK_SECONDS: Final = 0.1


class Outlet:
    """Between the work that makes a stream, and the client that takes it. On the engine's loop, but for the thread."""

    def __init__(self, handle: TaskHandle) -> None:
        self._handle = handle
        self._loop = asyncio.get_running_loop()
        self._head: asyncio.Future[Download] = self._loop.create_future()
        self._waiting: deque[Chunk] = deque()
        self._room = threading.Semaphore(AHEAD)
        self._changed = asyncio.Event()
        self._ended = False
        self._abandoned = False
        self._failure: Failure | None = None
        self._work: asyncio.Task[None] | None = None

    # For the work

    def begin(self, content_type: str, file_name: str, length: int | None = None) -> None:
        """All that could be refused has been looked at: bytes may follow."""
        chunks = self._chunks()
        self._head.set_result(Download(content_type, file_name, length, chunks, self._handle.ref, self._close))

    async def pour(self, chunks: Iterable[Chunk]) -> None:
        """Run an iterator in a thread and hand over what it yields; it waits while the client is slow.

        :raise Failure: TASK_CANCELLED, also when the client has left.
        """
        await in_own_thread(self._pour, chunks)

    def _pour(self, chunks: Iterable[Chunk]) -> None:
        for chunk in chunks:
            while not self._room.acquire(timeout=_LOOK_SECONDS):
                self._check()
            self._check()
            self._loop.call_soon_threadsafe(self._add, chunk)

    def _check(self) -> None:
        if self._abandoned:
            raise task_cancelled(self._handle.ref)
        self._handle.check()

    def _add(self, chunk: Chunk) -> None:
        self._waiting.append(chunk)
        self._changed.set()

    # For the handler

    async def run(self, make: Callable[[Outlet], Awaitable[None]]) -> None:
        """Do the work; whoever takes the stream hears of its end or failure. :raise Failure: the same."""
        try:
            await make(self)
        except Failure as failure:
            self._failure = failure
            raise
        except Exception as error:
            self._failure = internal_error(f"{type(error).__name__}: {error}")
            raise
        finally:
            # Behind the chunks that the thread has announced already.
            self._loop.call_soon(self._end)

    def _end(self) -> None:
        self._ended = True
        self._changed.set()

    async def served(self, work: asyncio.Task[None]) -> Download:
        """The stream's head, as soon as the work has begun it. :raise Failure: the work was refused."""
        self._work = work
        either: set[asyncio.Future[Any]] = {work, self._head}
        try:
            await asyncio.wait(either, return_when=asyncio.FIRST_COMPLETED)
        except asyncio.CancelledError:
            await self._close()
            raise
        if self._head.done():
            return self._head.result()
        raise self._failure or internal_error("the stream was not begun")

    # For the client

    async def _chunks(self) -> AsyncIterator[Chunk]:
        while True:
            while self._waiting:
                chunk = self._waiting.popleft()
                self._room.release()
                yield chunk
            if self._ended:
                break
            self._changed.clear()
            await self._changed.wait()
        if self._failure is not None:
            raise self._failure

    async def _close(self) -> None:
        self._abandoned = True
        if not self._ended:
            self._handle.ask_cancel()
        if self._work is not None:
            await asyncio.wait({self._work})
