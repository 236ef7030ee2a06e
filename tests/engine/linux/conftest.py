"""One real Linux guest for all tests of the folder that ask for it: it takes a while to boot."""

from __future__ import annotations

import os
import shutil
import signal
import tempfile
from collections.abc import AsyncIterator, Iterator
from pathlib import Path

import pytest
import pytest_asyncio

from tests.engine.linux.guest import Linux
from tests.engine.vm.guests import processes_of
from tests.support import ext4, linux_guest
from tests.support.debian_packages import Unavailable


@pytest.fixture(scope="package")
def linux_folder() -> Iterator[Path]:
    """A data folder with a short path; no process of it is left at the end."""
    if reason := linux_guest.available(agent=True):
        pytest.skip(f"no Linux guest with an agent: {reason}")
    try:
        for name in ext4.TOOLS:
            ext4.tool(name)
    except Unavailable as error:
        pytest.skip(str(error))
    parent = Path(tempfile.mkdtemp(prefix="sfl-"))
    data = parent / "data"
    data.mkdir(mode=0o700)
    (data / "journal").mkdir(mode=0o700)
    yield data
    leaked = processes_of(data)
    for pid in leaked:
        os.kill(pid, signal.SIGKILL)
    shutil.rmtree(parent)
    assert not leaked, "QEMU processes are left"


@pytest_asyncio.fixture(scope="package", loop_scope="package")
async def linux(linux_folder: Path) -> AsyncIterator[Linux]:
    """A running guest whose agent answers."""
    linux = Linux(linux_folder)
    await linux.open()
    try:
        await linux.make()
        await linux.boot()
        yield linux
    finally:
        await linux.close(kill_guests=True)
