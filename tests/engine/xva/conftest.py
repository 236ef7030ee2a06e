"""An engine over the simulated driver: exports and imports need disks, and no guest."""

from __future__ import annotations

from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from app.hypervisor.simulated import SimulatedDriver
from tests.engine.vm.guests import assert_tidy
from tests.support.engine import Bench, open_bench


@pytest.fixture
async def bench(data_dir: Path) -> AsyncIterator[Bench]:
    """An open engine. When the test ends, each file must have its record and each record its file."""
    async with open_bench(data_dir, SimulatedDriver()) as bench:
        yield bench
        assert_tidy(bench)
