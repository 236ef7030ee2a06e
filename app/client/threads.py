"""Work in a thread that ends when nobody waits for it any more."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Awaitable, Callable
from typing import TypeVar

T = TypeVar("T")


async def in_thread(work: Callable[[threading.Event], T], *, let_go: Callable[[], Awaitable[None]] | None = None) -> T:
    """Run the work in a thread. When this is cancelled the event is set, and the thread's end is waited for.

    :param let_go: called then, to have the thread let go of what it may be waiting for.
    """
    stop = threading.Event()
    running = asyncio.ensure_future(asyncio.to_thread(work, stop))
    try:
        return await asyncio.shield(running)
    except asyncio.CancelledError:
        stop.set()
        if let_go is not None:
            await let_go()
        await asyncio.wait({running})
        running.exception()  # nobody is left to hear of it
        raise


async def to_its_end(work: Callable[[], T], undo: Callable[[T], object]) -> T:
    """Run what is quick in a thread. When this is cancelled, its end is waited for and what it made is undone."""
    running = asyncio.ensure_future(asyncio.to_thread(work))
    try:
        return await asyncio.shield(running)
    except asyncio.CancelledError:
        await asyncio.wait({running})
        if not running.cancelled() and running.exception() is None:
            undo(running.result())
        raise
