"""Waiting until the feed has told of something new."""

from __future__ import annotations

import asyncio
from typing import Final

from app.api import Record
from app.client import ObjectCache

_PATIENCE_SECONDS: Final = 5.0


async def arrived(
    cache: ObjectCache, record: type[Record], ref: str, patience_seconds: float = _PATIENCE_SECONDS
) -> bool:
    """Wait until the cache has the object; false if it takes too long."""
    known = asyncio.Event()

    def look(_delta: object = None) -> None:
        if cache.get(record, ref) is not None:
            known.set()

    stop = cache.listen(look)
    look()
    try:
        async with asyncio.timeout(patience_seconds):
            await known.wait()
    except TimeoutError:
        return False
    finally:
        stop()
    return True
