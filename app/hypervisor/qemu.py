"""The QEMU driver: real guests, one process each, that outlive this program."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path

from app import crash_points
from app.hypervisor import agent_commands, checkpoint, disks, memory, merges, together
from app.hypervisor.attach import attach
from app.hypervisor.driver import (
    AgentFacts,
    CheckpointFacts,
    Compression,
    DiskSwitch,
    DriverError,
    DriverFacts,
    EventSink,
    FreezeFacts,
    GuestSpec,
    GuestState,
    JobFacts,
    MergeOrder,
    Progress,
    SavedFacts,
    SaveMethod,
    SwitchFacts,
    TogetherFacts,
)
from app.hypervisor.findings import find_facts
from app.hypervisor.guest import Guest
from app.hypervisor.launch import launch, start_error
from app.hypervisor.layout import Layout
from app.hypervisor.process import memory_of
from app.hypervisor.screen import screenshot

_ATTACH_AT_ONCE = 16


class QemuDriver:
    """See `app.hypervisor.driver.Driver`."""

    def __init__(self, data: Path, run: Path | None = None) -> None:
        """Nothing is touched before `open` or `facts`.

        :param data: the data folder; guests are kept in `vm` below it.
        :param run: folder for the guests' sockets, if not `run` below the data folder.
        """
        self._layout = Layout(data, run)
        self._cache = data / "hypervisor.json"
        self._facts: DriverFacts | None = None
        self._facts_lock = asyncio.Lock()
        self._sink: EventSink | None = None
        self._guests: dict[str, Guest] = {}
        self._starting: set[str] = set()

    # --------------------------------------------------------------- lifecycle

    async def facts(self) -> DriverFacts:
        async with self._facts_lock:
            if self._facts is None:
                self._facts = await find_facts(self._cache)
            return self._facts

    async def open(self, on_event: EventSink) -> None:
        self._sink = on_event

    async def close(self) -> None:
        guests, self._guests = list(self._guests.values()), {}
        await asyncio.gather(*(guest.release() for guest in guests))
        self._sink = None

    async def attach_all(self) -> dict[str, GuestState]:
        limit = asyncio.Semaphore(_ATTACH_AT_ONCE)

        async def one(uuid: str) -> None:
            async with limit:
                guest = await attach(uuid, self._layout, self._required_sink())
                if guest is not None:
                    guest.speak()
                    self._keep(guest)

        known = {*self._guests, *self._starting}
        await asyncio.gather(*(one(uuid) for uuid in self._layout.uuids() if uuid not in known))
        return {uuid: guest.state for uuid, guest in self._guests.items()}

    def state(self, uuid: str) -> GuestState:
        guest = self._guests.get(uuid)
        return guest.state if guest is not None else "absent"

    # ------------------------------------------------------------------- power

    async def start(self, spec: GuestSpec, *, paused: bool = False, restore: Path | None = None) -> None:
        if spec.uuid in self._guests or spec.uuid in self._starting:
            raise DriverError("The guest is running already.", cause="state")
        sink = self._required_sink()
        facts = await self.facts()
        self._starting.add(spec.uuid)
        try:
            guest = await launch(spec, facts, self._layout, sink, incoming=restore is not None)
            self._keep(guest)
            try:
                crash_points.reach("hypervisor.guest_launched")
                if restore is not None:
                    await memory.load(guest, restore)
                    await guest.look_for_agent()  # it goes on in the middle of a conversation
                if not paused:
                    await guest.resume()
                guest.introduce("started" if restore is None else "restored")
            except DriverError as error:
                raise await start_error(guest, error) from error
            except BaseException:
                await guest.abandon()
                raise
        finally:
            self._starting.discard(spec.uuid)

    async def kill(self, uuid: str) -> None:
        guest = self._guests.get(uuid)
        if guest is not None:
            await guest.kill()

    async def powerdown(self, uuid: str) -> None:
        await self._guest(uuid).execute("system_powerdown")

    async def reset(self, uuid: str) -> None:
        await self._guest(uuid).execute("system_reset")

    async def pause(self, uuid: str) -> None:
        guest = self._guest(uuid)
        if guest.state == "running":
            await guest.stop()

    async def unpause(self, uuid: str) -> None:
        guest = self._guest(uuid)
        if guest.state == "suspended-incoming":
            raise DriverError("The guest's memory has not been restored.", cause="state")
        if guest.state != "running":
            await guest.resume()

    async def wait_gone(self, uuid: str, timeout: float | None) -> bool:
        guest = self._guests.get(uuid)
        if guest is None:
            return True
        try:
            async with asyncio.timeout(timeout):
                await guest.wait_gone()
        except TimeoutError:
            return False
        return True

    # ---------------------------------------------------------- memory and disks

    async def save(self, uuid: str, path: Path, progress: Progress) -> SavedFacts:
        guest = self._guest(uuid)
        async with guest.lock:
            if guest.state not in ("running", "paused"):
                raise DriverError(f"A guest that is {guest.state} cannot be saved.", cause="state")
            return await memory.save(guest, path, progress)

    async def save_method(self, uuid: str) -> SaveMethod:
        return await checkpoint.save_method(self._guest(uuid))

    async def checkpoint(
        self,
        uuid: str,
        switches: Sequence[DiskSwitch],
        path: Path,
        progress: Progress,
        *,
        method: SaveMethod,
        compression: Compression = "none",
    ) -> CheckpointFacts:
        guest = self._guest(uuid)
        async with guest.lock:
            if guest.state not in ("running", "paused"):
                raise DriverError(f"A guest that is {guest.state} cannot be saved.", cause="state")
            return await checkpoint.checkpoint(guest, switches, path, progress, method=method, compression=compression)

    async def end_save(self, uuid: str, *, running: bool) -> None:
        guest = self._guest(uuid)
        async with guest.lock:
            await memory.end_transfer(guest, running=running)

    async def switch_disks(self, uuid: str, switches: Sequence[DiskSwitch]) -> SwitchFacts:
        guest = self._guest(uuid)
        async with guest.lock:
            return await disks.switch_disks(guest, switches)

    async def switch_together(self, switches: Mapping[str, Sequence[DiskSwitch]]) -> TogetherFacts:
        guests = {uuid: self._guest(uuid) for uuid in sorted(switches)}
        async with contextlib.AsyncExitStack() as stack:
            # In the order of their uuids, so that two groups never wait for each other.
            for guest in guests.values():
                await stack.enter_async_context(guest.lock)
            return await together.switch_together([(guest, switches[uuid]) for uuid, guest in guests.items()])

    async def active_disks(self, uuid: str) -> dict[str, Path]:
        guest = self._guest(uuid)
        async with guest.lock:
            return await disks.active_disks(guest)

    async def change_medium(self, uuid: str, device: str, iso: Path | None) -> None:
        guest = self._guest(uuid)
        async with guest.lock:
            await disks.change_medium(guest, device, iso)

    # ------------------------------------------------------------------ merges

    async def start_merge(self, uuid: str, order: MergeOrder) -> None:
        guest = self._guest(uuid)
        async with guest.lock:
            await merges.start(guest, order)

    async def merge_facts(self, uuid: str, job: str) -> JobFacts:
        return await merges.facts(self._guest(uuid), job)

    async def wait_merge(self, uuid: str, job: str, progress: Callable[[float], None]) -> JobFacts:
        return await merges.wait(self._guest(uuid), job, progress)

    async def flush_image(self, uuid: str, device: str, image: Path) -> None:
        await merges.flush(self._guest(uuid), device, image)

    async def finish_merge(self, uuid: str, job: str) -> None:
        guest = self._guest(uuid)
        async with guest.lock:
            await merges.finish(guest, job)

    async def cancel_merge(self, uuid: str, job: str) -> None:
        await merges.cancel(self._guest(uuid), job)

    async def chain(self, uuid: str, device: str) -> list[Path]:
        return [path for _, path in await merges.chain(self._guest(uuid), device)]

    async def drop_image(self, uuid: str, image: Path) -> None:
        await merges.drop(self._guest(uuid), image)

    # ------------------------------------------------------------------- agent

    def has_agent(self, uuid: str) -> bool:
        guest = self._guests.get(uuid)
        return guest is not None and guest.has_agent

    async def look_for_agent(self, uuid: str) -> bool:
        return await self._guest(uuid).look_for_agent()

    async def agent_facts(self, uuid: str) -> AgentFacts:
        return await agent_commands.facts(self._guest(uuid).agent)

    async def freeze(self, uuid: str, budget: float) -> FreezeFacts:
        return await agent_commands.freeze(self._guest(uuid).agent, budget)

    async def thaw(self, uuid: str, timeout: float) -> int:
        return await agent_commands.thaw(self._guest(uuid).agent, timeout)

    async def is_frozen(self, uuid: str) -> bool:
        return await agent_commands.is_frozen(self._guest(uuid).agent)

    # ------------------------------------------------------------------- views

    async def screenshot(self, uuid: str) -> bytes:
        return await screenshot(self._guest(uuid))

    def memory_in_use(self, uuid: str) -> int:
        guest = self._guests.get(uuid)
        return memory_of(guest.process.pid) if guest is not None else 0

    def console_socket(self, uuid: str) -> Path:
        return self._guest(uuid).run.vnc

    def serial_socket(self, uuid: str) -> Path:
        return self._guest(uuid).run.serial

    def last_words(self, uuid: str) -> str:
        return self._layout.last_words(uuid)

    async def forget(self, uuid: str) -> None:
        if uuid in self._guests or uuid in self._starting:
            raise DriverError("The guest is running.", cause="state")
        self._layout.forget(uuid)

    # --------------------------------------------------------------------------

    def _keep(self, guest: Guest) -> None:
        self._guests[guest.uuid] = guest
        guest.watch(self._drop)

    def _drop(self, guest: Guest) -> None:
        if self._guests.get(guest.uuid) is guest:
            del self._guests[guest.uuid]

    def _guest(self, uuid: str) -> Guest:
        guest = self._guests.get(uuid)
        if guest is None:
            raise DriverError("The guest is not running.", cause="state")
        return guest

    def _required_sink(self) -> EventSink:
        if self._sink is None:
            raise DriverError("The hypervisor driver is not open.", cause="state")
        return self._sink
