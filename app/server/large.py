"""Large results are encoded beside the engine's loop, which others wait for meanwhile."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Sized
from typing import Any, Final

from app.api import EventBatch

LARGE: Final = 200
"""Records. Some milliseconds' work."""


async def beside_the_loop(result: Any, encode: Callable[[Any], bytes]) -> bytes:
    """What `encode` makes of the result. Records never change, so another thread may read them."""
    parts = result.events if isinstance(result, EventBatch) else result
    if isinstance(parts, Sized) and not isinstance(parts, str) and len(parts) > LARGE:
        return await asyncio.to_thread(encode, result)
    return encode(result)
