"""An engine for tests: on the running loop, over real QEMU or the simulated driver, with a session and a cache."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping, Sequence
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any, Concatenate, ParamSpec

from app.api import SR, VBD, VDI, VM, ConnectionLost, Network, Ref, VMPowerState
from app.api.streams import Chunk, Download
from app.client import ObjectCache, Session, Watcher, wait_for
from app.config import load
from app.engine.engine import Engine
from app.hypervisor.driver import Driver
from app.ops.context import Clock, utc_now
from app.storage.file_repository import FileRepository

P = ParamSpec("P")


class DirectTransport:
    """The engine on the same event loop."""

    def __init__(self, engine: Engine) -> None:
        self._engine = engine

    async def login(self, user: str, password: str, originator: str) -> str:
        return self._engine.dispatcher.login(user, originator)

    async def call(self, session: str, method: str, params: Sequence[Any]) -> Any:
        return await self._engine.dispatcher.call(session, method, params)

    async def read_blob(self, session: str, blob: str) -> bytes:
        return await self._engine.read_blob(blob)

    async def screenshot(self, session: str, console: str) -> bytes:
        return await self._engine.screenshot(console)

    async def open_console(self, session: str, console: str) -> tuple[asyncio.StreamReader, asyncio.StreamWriter]:
        try:
            return await asyncio.open_unix_connection(self._engine.console_socket(console))
        except OSError as error:
            raise ConnectionLost(str(error)) from error

    @asynccontextmanager
    async def download(self, session: str, path: str, query: Mapping[str, str]) -> AsyncIterator[Download]:
        download = await self._engine.handlers.get(session, path, query)
        try:
            yield download
        finally:
            await download.close()

    async def upload(
        self, session: str, path: str, query: Mapping[str, str], body: AsyncIterator[Chunk], length: int | None
    ) -> None:
        await self._engine.handlers.put(session, path, query, body, length)

    async def close(self) -> None:
        pass


class Bench:
    """An open engine with a client, and short ways to do what many tests do."""

    def __init__(self, engine: Engine, session: Session, cache: ObjectCache) -> None:
        self.engine = engine
        self.session = session
        self.cache = cache
        self.store = engine.context.store

    def vm(self, ref: str) -> VM:
        """The record in the engine's store."""
        return self.store.get(VM, ref)

    def sr(self) -> Ref[SR]:
        """The storage repository of disks."""
        return self.engine.context.default_sr()

    def second_sr(self, folder: Path) -> Ref[SR]:
        """Another repository of disks, in a folder of its own; the engine forgets where it is when it closes."""
        repository = FileRepository(folder / "sr" / "second")
        repository.open()
        with self.store.transaction() as tx:
            ref = tx.create(SR(name_label="Second storage", type="file", content_type="user"))
        self.engine.context.repositories[ref] = repository
        return ref

    async def run(self, message: Callable[Concatenate[Any, P], Awaitable[Any]], *args: P.args, **kw: P.kwargs) -> str:
        """Run a message as a task and answer its result."""
        return await wait_for(self.session, self.cache, await self.session.start(message, *args, **kw))

    async def coalesce(self) -> None:
        """Merge all that can be merged now."""
        await self.session.SR.coalesce(self.sr())

    async def sample_vm(
        self, name: str = "sample", *, disks: int = 1, size: int = 8 << 20, nic: bool = False
    ) -> Ref[VM]:
        """A Halted VM made from the template `Sample guest`, with more empty disks if wanted."""
        template = await self.session.by_name(VM, "Sample guest")
        vm = await self.session.VM.clone(template, name)
        await self.session.VM.provision(vm)
        for number in range(1, disks):
            vdi = await self.session.VDI.create(
                {"SR": self.sr(), "virtual_size": size, "name_label": f"{name} {number}", "type": "user"}
            )
            await self.session.VBD.create(
                {
                    "VM": vm,
                    "VDI": vdi,
                    "userdevice": str(number),
                    "mode": "RW",
                    "type": "Disk",
                    "other_config": {"owner": ""},
                }
            )
        if nic:
            network = next(iter(self.store.all(Network)))
            await self.session.VIF.create({"VM": vm, "network": network, "device": "0", "MAC": ""})
        return vm

    def image(self, vm: str, device: str = "0") -> Path:
        """The active image of a VM's disk."""
        from_vbd = {self.store.get(VBD, b).userdevice: self.store.get(VBD, b).VDI for b in self.vm(vm).VBDs}
        vdi = self.store.get(VDI, from_vbd[device])
        return self.engine.context.files(vdi.SR).image_path(vdi.location)

    async def state(self, vm: str, wanted: VMPowerState) -> None:
        """Wait until the VM's record has this power state."""
        while self.vm(vm).power_state is not wanted:  # noqa: ASYNC110
            await asyncio.sleep(0.02)


@asynccontextmanager
async def open_bench(
    data_dir: Path,
    driver: Driver | None = None,
    *,
    kill_guests: bool = True,
    now: Clock = utc_now,
    merge_delay: float | None = None,
) -> AsyncIterator[Bench]:
    """Open an engine over `data_dir`; guests that still run are killed at the end unless told otherwise.

    Nothing is merged in the background unless there is a `merge_delay`: ask for it with SR.coalesce.
    """
    engine = Engine(load(data_dir), driver, now, merge_delay=merge_delay)
    await engine.open()
    session = await Session.open(DirectTransport(engine), originator="tests")
    cache = ObjectCache()
    watcher = Watcher(session, cache)
    watcher.start()
    await watcher.filled()
    try:
        yield Bench(engine, session, cache)
    finally:
        await watcher.close()
        if kill_guests:
            for record in list(engine.context.store.all(VM).values()):
                await engine.context.driver.kill(record.uuid)
        await engine.close()
