"""What is large is read and written beside the engine's loop, which others wait for meanwhile."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Sized
from typing import Any, Final, TypeVar

from app.api import EventBatch

T = TypeVar("T")

LARGE: Final = 200
"""Records. Some milliseconds' work."""
LARGE_REQUEST: Final = 64 << 10
"""Bytes. The same."""


async def parsed(parse: Callable[[bytes], T], body: bytes) -> T:
    """What `parse` makes of a request."""
    return await asyncio.to_thread(parse, body) if len(body) > LARGE_REQUEST else parse(body)


async def beside_the_loop(result: Any, encode: Callable[[Any], bytes]) -> bytes:
    """What `encode` makes of the result. Records never change, so another thread may read them."""
    parts = result.events if isinstance(result, EventBatch) else result
    if isinstance(parts, Sized) and not isinstance(parts, str) and len(parts) > LARGE:
        return await asyncio.to_thread(encode, result)
    return encode(result)
