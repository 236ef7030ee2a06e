"""What travels beside messages: the byte streams of exports and imports, whatever the transport."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator
from dataclasses import dataclass
from typing import TypeAlias

Chunk: TypeAlias = bytes | bytearray | memoryview
"""Some bytes of a stream. Whoever gets one owns it; whoever gave it away changes it no more."""


class ThreadedChunks:
    """Chunks that a thread makes, or waits for. Awaiting them takes a thread's turn for each.

    Where both ends are in one process a thread at the other end may take `pieces` itself: on a busy machine each hand
    from thread to thread costs more than what is handed over.
    """

    def __init__(self, pieces: Iterator[Chunk]) -> None:
        self.pieces = pieces

    def __aiter__(self) -> AsyncIterator[Chunk]:
        return self

    async def __anext__(self) -> Chunk:
        chunk = await asyncio.to_thread(next, self.pieces, None)
        if chunk is None:
            raise StopAsyncIteration
        return chunk


async def _nothing() -> None:
    pass


@dataclass(frozen=True, slots=True)
class Download:
    """A stream from the engine. Whoever gets one calls `close` in the end, also without having read anything.

    :ivar content_type: as HTTP names it.
    :ivar file_name: what the engine would call it.
    :ivar length: bytes in all; None where that is not known beforehand.
    :ivar chunks: the bytes. An error in the middle is raised: Failure, or ConnectionLost.
    :ivar task: the task that shows progress and outcome, "" for none.
    :ivar pieces: the same bytes for a thread to take in place of `chunks`; None where the engine is elsewhere.
    :ivar close: ends what the engine does for it, and returns when that is tidied up.
    """

    content_type: str
    file_name: str
    length: int | None
    chunks: AsyncIterator[Chunk]
    task: str = ""
    close: Callable[[], Awaitable[None]] = _nothing
    pieces: Iterator[Chunk] | None = None
