"""Real guests for the tests: the sample guest on small qcow2 disks, one data folder and one driver for each test."""

from __future__ import annotations

import asyncio
import os
import shutil
import signal
from collections.abc import AsyncIterator, Iterator
from pathlib import Path

import pytest

from app.hypervisor.findings import find_facts
from app.hypervisor.qemu import QemuDriver
from tests.engine.hypervisor.guests import Events, GuestFolder, processes_of


@pytest.fixture(scope="session")
def found_facts(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The accelerators are tried once for the whole run."""
    cache = tmp_path_factory.mktemp("facts") / "hypervisor.json"
    with asyncio.Runner(loop_factory=asyncio.SelectorEventLoop) as runner:
        runner.run(find_facts(cache))
    return cache


@pytest.fixture
def folder(data_dir: Path, found_facts: Path) -> Iterator[GuestFolder]:
    """A data folder; at the end no process of it is left, nor any run folder."""
    data = data_dir
    data.mkdir(mode=0o700)
    shutil.copy(found_facts, data / "hypervisor.json")
    folder = GuestFolder(data)
    yield folder
    leaked = processes_of(data)
    for pid in leaked:
        os.kill(pid, signal.SIGKILL)
    assert not leaked, "QEMU processes are left"
    assert not folder.run_folders(), "run folders are left"


@pytest.fixture
def events() -> Events:
    return Events()


@pytest.fixture
async def driver(folder: GuestFolder, events: Events) -> AsyncIterator[QemuDriver]:
    """An open driver; its guests are killed at the end."""
    driver = QemuDriver(folder.data)
    await driver.open(events.take)
    yield driver
    for uuid in await driver.attach_all():
        await driver.kill(uuid)
    await driver.close()
