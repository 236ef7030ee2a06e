"""The bell: it rings at once, when asked, when due, and when the clock was set; and is quiet once it is closed."""

from __future__ import annotations

import asyncio
from datetime import UTC, datetime, timedelta

import pytest

from app.schedule import bell as bell_module
from app.schedule.bell import Bell


class Wall:
    """A wall clock that can be set, beside the real one."""

    def __init__(self) -> None:
        self.shift = timedelta(0)

    def __call__(self) -> datetime:
        return datetime.now(UTC) + self.shift


class Rings:
    """What is rung, and when it wants to be rung next."""

    def __init__(self) -> None:
        self.count = 0
        self.next: datetime | None = None
        self.rung = asyncio.Event()

    def __call__(self) -> datetime | None:
        self.count += 1
        self.rung.set()
        return self.next

    async def another(self) -> None:
        self.rung.clear()
        await asyncio.wait_for(self.rung.wait(), 20)


async def test_it_rings_at_once_when_asked_and_when_due() -> None:
    wall, rings = Wall(), Rings()
    bell = Bell(rings, wall)
    bell.open()
    await rings.another()
    bell.ring()
    await rings.another()
    rings.next = wall() + timedelta(seconds=0.2)
    bell.ring()
    await rings.another()
    rings.next = None
    await rings.another()
    bell.close()
    bell.ring()
    count = rings.count
    await asyncio.sleep(0.1)
    assert rings.count == count


async def test_a_clock_that_is_set_rings(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(bell_module, "WATCH_SECONDS", 1)
    wall, rings = Wall(), Rings()
    bell = Bell(rings, wall)
    bell.open()
    await rings.another()
    wall.shift = timedelta(hours=3)
    await rings.another()
    bell.close()


async def test_a_slot_in_another_year_of_the_wall_clock_waits_as_long_as_it_says() -> None:
    """The timer counts from now, whatever date the wall clock shows."""
    wall, rings = Wall(), Rings()
    wall.shift = -timedelta(days=400)
    rings.next = wall() + timedelta(seconds=0.3)
    bell = Bell(rings, wall)
    bell.open()
    await rings.another()
    rings.next = None
    await rings.another()
    assert rings.count == 2
    bell.close()


async def test_a_mistake_in_what_is_rung_does_not_silence_it() -> None:
    rings = Rings()

    def fails() -> datetime | None:
        rings()
        raise RuntimeError("a bug of ours")

    bell = Bell(fails, Wall())
    bell.open()
    await rings.another()
    bell.ring()
    await rings.another()
    bell.close()
