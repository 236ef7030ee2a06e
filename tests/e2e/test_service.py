"""The service as it is used: a process that is started, killed in the middle of a run, and started again."""

from __future__ import annotations

import asyncio
import os
import signal
import subprocess
import sys
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from pathlib import Path

import pytest

from app import crash_points
from app.api import VM, VMSS, ConnectionLost, Ref, VMSSRun, VMSSRunStatus
from app.client import Session
from app.client.service import is_answering
from app.client.unix_transport import UnixTransport
from app.config import Config, load

PATIENCE = 60.0


class Served:
    """A data folder served by a process of its own."""

    def __init__(self, config: Config) -> None:
        self.config = config
        self.process: subprocess.Popen[bytes] | None = None

    async def start(self, **environment: str) -> None:
        words = [sys.executable, "-m", "app", "serve", "--data-dir", str(self.config.data_dir)]
        self.process = subprocess.Popen(  # noqa: ASYNC220 (it takes a few milliseconds)
            words, env={**os.environ, **environment}, stdout=subprocess.DEVNULL
        )
        async with asyncio.timeout(PATIENCE):
            while not await is_answering(self.config):  # noqa: ASYNC110
                await asyncio.sleep(0.05)

    async def ended(self) -> int:
        assert self.process is not None
        return await asyncio.to_thread(self.process.wait, PATIENCE)

    async def end(self, number: signal.Signals = signal.SIGTERM) -> int:
        assert self.process is not None
        self.process.send_signal(number)
        return await self.ended()

    @asynccontextmanager
    async def session(self) -> AsyncIterator[Session]:
        opened = await Session.open(UnixTransport(self.config.engine_socket), originator="tests")
        try:
            yield opened
        finally:
            await opened._transport.close()


@pytest.fixture
async def served(data_dir: Path) -> AsyncIterator[Served]:
    made = Served(load(data_dir))
    yield made
    if made.process is not None and made.process.poll() is None:
        await made.end(signal.SIGKILL)


async def make_vms(session: Session, *names: str) -> list[Ref[VM]]:
    template = await session.by_name(VM, "Sample guest")
    made = []
    for name in names:
        vm = await session.VM.clone(template, name)
        await session.VM.provision(vm)
        made.append(vm)
    return made


async def until(session: Session, right: Callable[[VMSSRun], bool]) -> VMSSRun:
    async with asyncio.timeout(PATIENCE):
        while True:
            for run in (await session.get_all_records(VMSSRun)).values():
                if right(run):
                    return run
            await asyncio.sleep(0.05)


async def test_it_ends_in_order_and_leaves_no_socket(served: Served) -> None:
    await served.start()
    async with served.session() as session:
        assert await session.get_all_records(VM)
    assert await served.end() == 0
    assert not served.config.engine_socket.exists()


async def test_a_second_one_is_refused(served: Served) -> None:
    await served.start()
    second = await asyncio.create_subprocess_exec(
        sys.executable, "-m", "app", "serve", "--data-dir", str(served.config.data_dir), stderr=subprocess.PIPE
    )
    _, said = await second.communicate()
    assert second.returncode == 1 and b"in use by another Stillframe" in said
    assert await is_answering(served.config)


@pytest.mark.parametrize("point", ["schedule.claimed:1", "schedule.snapshot_taken:2", "schedule.visited:1"])
async def test_a_run_that_a_kill_interrupts_goes_on_in_the_next_process(served: Served, point: str) -> None:
    await served.start()
    async with served.session() as session:
        vms = await make_vms(session, "one", "two", "three")
        vmss = await session.VMSS.create({"name_label": "Nightly", "type": "snapshot", "frequency": "daily"})
        for vm in vms:
            await session.VM.set_snapshot_schedule(vm, vmss)
    await served.end()
    await served.start(**{crash_points.CRASH_AT: point})
    async with served.session() as session:
        with pytest.raises(ConnectionLost):
            await session.VMSS.snapshot_now(vmss)
    assert await served.ended() == -signal.SIGKILL
    await served.start()
    async with served.session() as session:
        run = await until(session, lambda run: run.trigger == "manual" and run.status is not VMSSRunStatus.running)
        assert run.status is VMSSRunStatus.success and len(run.results) == 3
        records = await session.get_all_records(VM)
        assert [len(records[vm].snapshots) for vm in vms] == [1, 1, 1]
        assert (await session.get_record(VMSS, vmss)).last_run_time == run.started.replace(microsecond=0)
    assert await served.end() == 0
