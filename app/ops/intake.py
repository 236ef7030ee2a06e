"""The engine's end of a stream from a client: what arrives on the loop, a thread reads, a few chunks apart."""

from __future__ import annotations

import asyncio
import contextlib
import queue
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager
from typing import Final

from app.api import ConnectionLost
from app.api.streams import Chunk, ThreadedChunks
from app.ops.task import TaskHandle

AHEAD: Final = 4
"""How many pieces may wait for the thread."""
_AT_LEAST: Final = 1 << 20
"""Bytes that are handed over at once, however small the chunks are that arrive."""
_LOOK_SECONDS: Final = 0.1


class Intake:
    """A stream to read from in a thread. See `taken`."""

    def __init__(self, handle: TaskHandle, direct: Iterator[Chunk] | None = None) -> None:
        """`direct`: what the thread may take itself, from a client in this process."""
        self._handle = handle
        self._loop = asyncio.get_running_loop()
        self._room = asyncio.Semaphore(AHEAD)
        self._pieces: queue.SimpleQueue[Chunk | Exception | None] = queue.SimpleQueue()
        self._held = memoryview(b"")
        self._direct = direct
        self._ended = False
        self.received = 0
        """Bytes that the thread has taken."""

    @property
    def is_direct(self) -> bool:
        """Whether nothing has to be filled in."""
        return self._direct is not None

    async def fill(self, body: AsyncIterator[Chunk]) -> None:
        """Hand the body over. A connection that is lost is its end: whether enough has come the reader finds out."""
        try:
            while piece := await _gathered(body):
                await self._room.acquire()
                self._pieces.put(piece)
        except ConnectionLost:
            self._pieces.put(None)
        except Exception as error:
            self._pieces.put(error)
        else:
            self._pieces.put(None)

    def read(self, size: int, /) -> memoryview:
        """At most `size` bytes, in the thread; none only at the end.

        :raise Failure: TASK_CANCELLED; or what the body raised.
        """
        if not self._held and not self._ended:
            self._next()
        piece, self._held = self._held[:size], self._held[size:]
        self.received += len(piece)
        return piece

    def _next(self) -> None:
        if self._direct is not None:
            self._handle.check()
            piece = next(self._direct, None)
            self._held, self._ended = memoryview(piece or b""), piece is None
            return
        while True:
            self._handle.check()
            with contextlib.suppress(queue.Empty):
                found = self._pieces.get(timeout=_LOOK_SECONDS)
                break
        if isinstance(found, Exception):
            raise found
        if found is None:
            self._ended = True
            return
        self._loop.call_soon_threadsafe(self._room.release)
        self._held = memoryview(found)


@asynccontextmanager
async def taken(handle: TaskHandle, body: AsyncIterator[Chunk]) -> AsyncIterator[Intake]:
    """What a thread may read of the body, for as long as the context lasts; what is not wanted is left unread."""
    intake = Intake(handle, body.pieces if isinstance(body, ThreadedChunks) else None)
    if intake.is_direct:
        yield intake
        return
    filling = asyncio.ensure_future(intake.fill(body))
    try:
        yield intake
    finally:
        filling.cancel()
        with contextlib.suppress(asyncio.CancelledError):
            await filling


async def _gathered(body: AsyncIterator[Chunk]) -> Chunk:
    found: list[Chunk] = []
    size = 0
    try:
        while size < _AT_LEAST and (chunk := await anext(body, None)) is not None:
            found.append(chunk)
            size += len(chunk)
    except ConnectionLost:
        if not found:
            raise
        # What came before counts, and there will be no more.
    return found[0] if len(found) == 1 else b"".join(found)
