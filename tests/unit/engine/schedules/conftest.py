"""An engine with simulated guests and a clock that the test moves."""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable
from contextlib import AbstractAsyncContextManager
from datetime import UTC, datetime
from pathlib import Path

import pytest

from app.api import VM, VMSS, Ref, VMSSRun
from app.engine.schedule_state import runs_of
from app.hypervisor.simulated import SimulatedDriver
from tests.support.engine import Bench, open_bench


class Clock:
    """The time, until someone changes it."""

    def __init__(self) -> None:
        self.now = datetime(2026, 11, 23, 12, tzinfo=UTC)  # a Monday

    def __call__(self) -> datetime:
        return self.now

    def go(self, text: str) -> None:
        """To this time, UTC."""
        self.now = datetime.fromisoformat(text).replace(tzinfo=UTC)


class World:
    """A bench under the clock, and short ways to do what the tests do."""

    def __init__(self, bench: Bench, clock: Clock) -> None:
        self.bench, self.clock = bench, clock
        self.engine, self.store = bench.engine, bench.store
        self.session = bench.session

    async def protect(self, *vms: Ref[VM], **fields: object) -> Ref[VMSS]:
        """A daily schedule, at midnight UTC unless told otherwise, over these VMs."""
        entries = {"stillframe.zone": "UTC", **fields.pop("schedule", {})}  # type: ignore[dict-item]
        record = {"name_label": "Nightly", "type": "snapshot", "frequency": "daily", **fields, "schedule": entries}
        vmss = await self.session.VMSS.create(record)
        for vm in vms:
            await self.session.VM.set_snapshot_schedule(vm, vmss)
        return vmss

    async def at(self, text: str) -> None:
        """Move the clock, ring, and wait until all runs have ended."""
        self.clock.go(text)
        self.engine.schedules.tick()
        await self.engine.schedules.idle()

    def lines(self, vmss: Ref[VMSS]) -> list[VMSSRun]:
        """The log, oldest first."""
        return list(runs_of(self.engine.context, vmss).values())

    def names(self, vm: Ref[VM]) -> list[str]:
        """The names of a VM's snapshots, oldest first."""
        found = [self.store.get(VM, ref) for ref in self.store.get(VM, vm).snapshots]
        return [one.name_label for one in sorted(found, key=lambda one: one.snapshot_time)]


@pytest.fixture
def clock() -> Clock:
    return Clock()


OpenWorld = Callable[[], AbstractAsyncContextManager[Bench]]


@pytest.fixture
def open_world(data_dir: Path, clock: Clock) -> OpenWorld:
    """Opens the same data folder again and again."""
    return lambda: open_bench(data_dir, SimulatedDriver(), now=clock)


@pytest.fixture
async def world(open_world: OpenWorld, clock: Clock) -> AsyncIterator[World]:
    async with open_world() as bench:
        yield World(bench, clock)
