"""An engine over the simulated driver."""

from __future__ import annotations

from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from app.hypervisor.simulated import SimulatedDriver
from tests.support.engine import Bench, open_bench


@pytest.fixture
def driver() -> SimulatedDriver:
    return SimulatedDriver()


@pytest.fixture
async def bench(data_dir: Path, driver: SimulatedDriver) -> AsyncIterator[Bench]:
    async with open_bench(data_dir, driver) as bench:
        yield bench
