"""The bell: wakes the scheduler at the next slot, and whenever the clock may have done something unexpected.

APScheduler's timers follow the monotonic clock: they sleep through a suspend and do not notice a clock that is set. So
a second job compares the two clocks every few seconds and rings at once where they disagree.
"""

from __future__ import annotations

import asyncio
import logging
import time
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from typing import Final

from apscheduler.schedulers.asyncio import AsyncIOScheduler

from app.log import get

log = get(__name__)

WATCH_SECONDS: Final = 10
STEP_SECONDS: Final = 2.0
"""The clocks may disagree by this much before it counts as a step: leap seconds and slewing stay below."""
LATEST: Final = timedelta(hours=1)
"""It rings at least this often, whatever the next slot is."""
_SOON: Final = timedelta(milliseconds=20)

Tick = Callable[[], datetime | None]


class Bell:
    """Rings `tick`, which answers when to ring next. Belongs to the event loop it was opened in.

    :param now: the wall clock, UTC.
    """

    def __init__(self, tick: Tick, now: Callable[[], datetime]) -> None:
        self._tick = tick
        self._now = now
        self._scheduler: AsyncIOScheduler | None = None
        self._offset = 0.0

    def open(self) -> None:
        """Begin, with a ring."""
        # It calls a job an error that ends because we close; what may go wrong in ours is logged by ourselves.
        logging.getLogger("apscheduler.executors").setLevel(logging.CRITICAL)
        self._scheduler = AsyncIOScheduler(event_loop=asyncio.get_running_loop(), timezone="UTC")
        self._scheduler.start()
        self._scheduler.add_job(self._watch, "interval", seconds=WATCH_SECONDS, id="watch", misfire_grace_time=None)
        self._offset = self._difference()
        self.ring()

    def close(self) -> None:
        """Ring no more."""
        if self._scheduler is not None:
            self._scheduler.shutdown(wait=False)
            self._scheduler = None

    def ring(self) -> None:
        """Ring soon; several requests at once are one ring."""
        if self._scheduler is not None:
            self._ring_in(timedelta(0))

    def _ring_in(self, wait: timedelta) -> None:
        """Ours is the clock that counts; APScheduler only hears how long to wait."""
        assert self._scheduler is not None
        self._scheduler.add_job(
            self._ring_now,
            "date",
            run_date=datetime.now(UTC) + max(wait, _SOON),
            id="slot",
            replace_existing=True,
            misfire_grace_time=None,
            max_instances=3,  # one that is just ending must not keep the next from beginning
        )

    async def _ring_now(self) -> None:
        """A coroutine, so that it runs in the event loop and not in a thread."""
        try:
            upcoming = self._tick()
        except Exception:
            log.exception("the scheduler could not look at its schedules")
            upcoming = None
        if self._scheduler is not None:
            self._ring_in(min(upcoming - self._now(), LATEST) if upcoming is not None else LATEST)

    async def _watch(self) -> None:
        difference = self._difference()
        if abs(difference - self._offset) > STEP_SECONDS:
            log.warning("the clock was set or the machine slept", seconds=round(difference - self._offset, 1))
            self._offset = difference
            self.ring()

    def _difference(self) -> float:
        return self._now().timestamp() - time.monotonic()
