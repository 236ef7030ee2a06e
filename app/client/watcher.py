"""The watcher: keeps an object cache in step with the engine by the event feed, and reports when it is lost."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import Callable
from typing import Final, Literal

from app.api import ConnectionLost, Failure
from app.client.cache import ObjectCache
from app.client.session import Session
from app.log import get

log = get(__name__)

Status = Literal["connecting", "connected", "lost"]
BATCH_SECONDS: Final = 0.05
"""At least this long between two batches: a burst of changes reaches the listeners as one."""
WAIT_SECONDS: Final = 30.0
RETRY_SECONDS: Final = (0.2, 1.0, 2.0, 5.0, 15.0)


class Watcher:
    """Feeds one cache from one session until it is closed."""

    def __init__(self, session: Session, cache: ObjectCache, on_status: Callable[[Status], None] | None = None) -> None:
        self._session = session
        self._cache = cache
        self._on_status = on_status or (lambda _status: None)
        self._task: asyncio.Task[None] | None = None
        self._filled = asyncio.Event()
        self._uncountable: frozenset[str] = frozenset()
        self.status: Status = "connecting"

    def start(self) -> None:
        """Begin to listen, on the running loop."""
        self._task = asyncio.ensure_future(self._watch())

    async def filled(self) -> None:
        """Wait until the cache holds everything for the first time."""
        await self._filled.wait()

    async def close(self) -> None:
        """Stop listening."""
        if self._task is not None:
            self._task.cancel()
            with contextlib.suppress(asyncio.CancelledError):
                await self._task
            self._task = None

    async def _watch(self) -> None:
        token = ""
        failures = 0
        while True:
            try:
                token = await self._take_in(token)
            except Exception as error:
                if isinstance(error, ConnectionLost | Failure):
                    log.warning("the event feed failed", error=str(error))
                else:
                    log.exception("a bug of ours in the event feed")
                self._set_status("lost")
                await asyncio.sleep(RETRY_SECONDS[min(failures, len(RETRY_SECONDS) - 1)])
                failures += 1
                token = ""
            else:
                failures = 0
                self._set_status("connected")
                await asyncio.sleep(BATCH_SECONDS)

    async def _take_in(self, token: str) -> str:
        batch = await self._session.event.from_(["*"], token, WAIT_SECONDS)
        try:
            self._cache.apply(batch, complete=not token)
        except Exception:
            # The cache itself is right; a listener that fails must not keep the others from hearing what comes next.
            log.exception("a listener failed")
        self._filled.set()
        different = self._cache.differing(batch.valid_ref_counts)
        if not token:
            # All there is has just come, so the server counts these in another way: XenServer counts no messages.
            self._uncountable = different
        elif different - self._uncountable:
            log.warning("events were lost, asking for everything again", classes=sorted(different))
            return ""
        return batch.token

    def _set_status(self, status: Status) -> None:
        if status != self.status:
            self.status = status
            self._on_status(status)
