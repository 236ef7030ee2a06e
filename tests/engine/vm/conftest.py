"""An engine over real QEMU for each test; the accelerators are tried once for the whole run."""

from __future__ import annotations

import asyncio
import os
import shutil
import signal
from collections.abc import AsyncIterator, Iterator
from pathlib import Path

import pytest

from app.hypervisor.findings import find_facts
from tests.engine.vm.guests import assert_tidy, processes_of
from tests.support.engine import Bench, open_bench


@pytest.fixture(scope="session")
def found_facts(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """What trying the accelerators found."""
    cache = tmp_path_factory.mktemp("facts") / "hypervisor.json"
    with asyncio.Runner(loop_factory=asyncio.SelectorEventLoop) as runner:
        runner.run(find_facts(cache))
    return cache


@pytest.fixture
def folder(data_dir: Path, found_facts: Path) -> Iterator[Path]:
    """A data folder; when the test ends no process of it is left, nor any socket."""
    data_dir.mkdir(mode=0o700)
    (data_dir / "journal").mkdir(mode=0o700)
    shutil.copy(found_facts, data_dir / "hypervisor.json")
    yield data_dir
    leaked = processes_of(data_dir)
    for pid in leaked:
        os.kill(pid, signal.SIGKILL)
    assert not leaked, "QEMU processes are left"
    assert list((data_dir / "run").iterdir()) == []


@pytest.fixture
async def bench(folder: Path) -> AsyncIterator[Bench]:
    """An open engine. When the test ends, each file must have its record and each record its file."""
    async with open_bench(folder) as bench:
        yield bench
        assert_tidy(bench)
