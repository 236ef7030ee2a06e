"""The engine as the desktop runs it: on a thread of its own, reached through the in-process session."""

from __future__ import annotations

import asyncio
import dataclasses
import shutil
import tempfile
import time
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator, Sequence
from contextlib import asynccontextmanager, contextmanager
from pathlib import Path
from typing import Any, Concatenate, ParamSpec, TypeVar

from app.api import VM, Ref, Task
from app.client import ObjectCache, Session, Watcher, wait_for
from app.config import Config, load
from app.engine.local import EngineThread, LocalTransport
from app.hypervisor.driver import DriverFacts
from app.hypervisor.qemu import QemuDriver
from tests.bench.benchmark import Options
from tests.support.engine import Bench

P = ParamSpec("P")
T = TypeVar("T")
MEMORY_MIB = 32
"""Of the sample guest, as its template has it."""
BOOT_SECONDS = 60.0


class EmulatedDriver(QemuDriver):
    """Runs guests by emulation whatever the machine offers, so that figures of two machines mean the same."""

    async def facts(self) -> DriverFacts:
        return dataclasses.replace(await super().facts(), accelerator="tcg")


class EngineBench(Bench):
    """An engine on its thread. What is read from the store while nothing changes it may be read from here."""

    def __init__(self, config: Config, thread: EngineThread, session: Session, cache: ObjectCache) -> None:
        super().__init__(thread.engine, session, cache)
        self.config = config
        self.thread = thread

    async def start_and_boot(self, vm: Ref[VM]) -> None:
        """Start a VM of the sample guest and wait until it counts."""
        await self.session.VM.start(vm)
        reader, writer = await self.serial(vm)
        try:
            async with asyncio.timeout(BOOT_SECONDS):
                while not (await reader.readline()).startswith(b"n="):
                    pass
        finally:
            writer.close()
            await writer.wait_closed()

    async def serial(self, vm: Ref[VM]) -> tuple[asyncio.StreamReader, asyncio.StreamWriter]:
        """The guest's serial line."""
        return await asyncio.open_unix_connection(self.engine.context.driver.serial_socket(self.vm(vm).uuid))

    async def timed_task(
        self, message: Callable[Concatenate[Any, P], Awaitable[Any]], *args: P.args, **kwargs: P.kwargs
    ) -> float:
        """Seconds from the call that starts a task until the time that the task gives as its end.

        :raise Failure: the task's own error.
        """
        started = time.time()
        task = await self.session.start(message, *args, **kwargs)
        await wait_for(self.session, self.cache, task)
        return (await self.session.get_record(Task, task)).finished.timestamp() - started


@contextmanager
def data_folder(options: Options) -> Iterator[Path]:
    """A folder that is removed afterwards, with a name short enough for sockets."""
    folder = Path(tempfile.mkdtemp(prefix="sfb-", dir=options.folder))
    try:
        yield folder
    finally:
        shutil.rmtree(folder)


@asynccontextmanager
async def opened(folder: Path) -> AsyncIterator[EngineBench]:
    """An engine over a new data folder; its guests end with the block. It merges only what it is asked to."""
    config = load(folder / "data")
    thread = EngineThread(config, EmulatedDriver(config.data_dir, config.run_dir), merge_delay=None)
    await thread.open()
    try:
        session = await Session.open(LocalTransport(thread), originator="benchmark")
        cache = ObjectCache()
        watcher = Watcher(session, cache)
        watcher.start()
        await watcher.filled()
        try:
            yield EngineBench(config, thread, session, cache)
        finally:
            await watcher.close()
            await thread.run(kill_guests(thread))
    finally:
        await thread.close()


async def kill_guests(thread: EngineThread) -> None:
    """End every guest of the engine."""
    for record in list(thread.engine.context.store.all(VM).values()):
        await thread.engine.context.driver.kill(record.uuid)


def rotated(series: Sequence[T], number: int) -> list[T]:
    """The series beginning with another one each round, so that none always follows the same."""
    start = number % len(series)
    return [*series[start:], *series[:start]]


def timed(work: Callable[[], Any]) -> float:
    """Seconds a call takes."""
    started = time.perf_counter()
    work()
    return time.perf_counter() - started


async def timed_call(work: Awaitable[Any]) -> float:
    """Seconds a coroutine takes."""
    started = time.perf_counter()
    await work
    return time.perf_counter() - started
