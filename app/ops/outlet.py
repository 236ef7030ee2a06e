"""The engine's end of a stream to a client: a thread pours chunks in, the client takes them, a few chunks apart."""

from __future__ import annotations

import asyncio
import threading
from collections import deque
from collections.abc import AsyncIterator, Awaitable, Callable, Iterable, Iterator
from typing import Any, Final

from app.api import Failure
from app.api.failure import internal_error, task_cancelled
from app.api.streams import Chunk, Download
from app.ops.stream_threads import in_own_thread
from app.ops.task import TaskHandle

AHEAD: Final = 4
"""How many chunks may wait for the client."""
_LOOK_SECONDS: Final = 0.1


class Outlet:
    """Between the work that makes a stream, and the client that takes it: on the engine's loop, or in a thread."""

    def __init__(self, handle: TaskHandle) -> None:
        self._handle = handle
        self._loop = asyncio.get_running_loop()
        self._head: asyncio.Future[Download] = self._loop.create_future()
        self._waiting: deque[Chunk] = deque()
        self._turn = threading.Condition()
        self._changed = asyncio.Event()
        self._awaited = False
        self._ended = False
        self._abandoned = False
        self._failure: Failure | None = None
        self._work: asyncio.Task[None] | None = None

    # For the work

    def begin(self, content_type: str, file_name: str, length: int | None = None) -> None:
        """All that could be refused has been looked at: bytes may follow."""
        task = self._handle.ref
        download = Download(content_type, file_name, length, self._chunks(), task, self._close, self._pieces())
        self._head.set_result(download)

    async def pour(self, chunks: Iterable[Chunk]) -> None:
        """Run an iterator in a thread and hand over what it yields; it waits while the client is slow.

        :raise Failure: TASK_CANCELLED, also when the client has left.
        """
        await in_own_thread(self._pour, chunks)

    def _pour(self, chunks: Iterable[Chunk]) -> None:
        for chunk in chunks:
            with self._turn:
                while len(self._waiting) >= AHEAD and not self._abandoned:
                    self._turn.wait(_LOOK_SECONDS)
                    self._handle.check()
                if self._abandoned:
                    raise task_cancelled(self._handle.ref)
                self._waiting.append(chunk)
                self._turn.notify_all()
            self._handle.check()
            if self._awaited:
                self._loop.call_soon_threadsafe(self._changed.set)

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
            with self._turn:
                self._ended = True
                self._turn.notify_all()
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
        self._awaited = True
        while True:
            self._changed.clear()
            with self._turn:
                chunk = self._take()
                ended = self._ended
            if chunk is not None:
                yield chunk
            elif ended:
                break
            else:
                await self._changed.wait()
        if self._failure is not None:
            raise self._failure

    def _pieces(self) -> Iterator[Chunk]:
        while True:
            with self._turn:
                while (chunk := self._take()) is None and not (self._ended or self._abandoned):
                    self._turn.wait()
            if chunk is None:
                break
            yield chunk
        if self._failure is not None:
            raise self._failure

    def _take(self) -> Chunk | None:
        if not self._waiting:
            return None
        self._turn.notify_all()
        return self._waiting.popleft()

    async def _close(self) -> None:
        with self._turn:
            self._abandoned = True
            self._turn.notify_all()
        if not self._ended:
            self._handle.ask_cancel()
        if self._work is not None:
            await asyncio.wait({self._work})
