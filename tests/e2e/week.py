"""A week of schedules in a process that can be killed: `python -m tests.e2e.week FOLDER FROM HOURS`.

The clock is the test's: it goes on by an hour when all that was due has been done.
"""

from __future__ import annotations

import asyncio
import sys
from datetime import datetime, timedelta
from pathlib import Path

from tests.support.engine import open_bench

HOUR = timedelta(hours=1)


class Clock:
    """The time, until someone moves it."""

    def __init__(self, now: datetime) -> None:
        self.now = now

    def __call__(self) -> datetime:
        return self.now


async def live(folder: Path, clock: Clock, hours: int) -> None:
    """So many hours of one engine's life, its clock told line by line."""
    async with open_bench(folder, kill_guests=False, now=clock) as bench:
        await bench.engine.schedules.idle()
        for _ in range(hours):
            clock.now += HOUR
            bench.engine.schedules.tick()
            await bench.engine.schedules.idle()
            print(clock.now.isoformat(), flush=True)


if __name__ == "__main__":
    asyncio.run(live(Path(sys.argv[1]), Clock(datetime.fromisoformat(sys.argv[2])), int(sys.argv[3])))
