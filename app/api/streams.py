"""What travels beside messages: the byte streams of exports and imports, whatever the transport."""

from __future__ import annotations

from collections.abc import AsyncIterator, Awaitable, Callable
from dataclasses import dataclass
from typing import TypeAlias

Chunk: TypeAlias = bytes | bytearray | memoryview
"""Some bytes of a stream. Whoever gets one owns it; whoever gave it away changes it no more."""


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
    :ivar close: ends what the engine does for it, and returns when that is tidied up.
    """

    content_type: str
    file_name: str
    length: int | None
    chunks: AsyncIterator[Chunk]
    task: str = ""
    close: Callable[[], Awaitable[None]] = _nothing
