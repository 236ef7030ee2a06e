"""Whatever is done, two clients that watch hold exactly what the engine holds, and records agree with files and guests.

A walk of random operations; the seed makes it repeatable, and a failure shows the steps that led to it.
"""

from __future__ import annotations

import asyncio
import random
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import pytest

from app.api import VM, Failure, Pool, Ref, VMCalls, VMPowerState, classes
from app.client import ObjectCache, Session, Watcher
from app.hypervisor.simulated import SimulatedDriver
from tests.engine.vm.guests import assert_tidy, disks_of
from tests.support.engine import Bench, DirectTransport, open_bench

STEPS = 60
POWER = (
    VMCalls.start, VMCalls.pause, VMCalls.unpause, VMCalls.suspend, VMCalls.resume, VMCalls.hard_shutdown,
    VMCalls.clean_shutdown, VMCalls.hard_reboot, VMCalls.clean_reboot,
)  # fmt: skip
NAMES = ("", "plain", "naïve “name” 😀", "a,b=c", "two\nlines", "\x00", "x" * 500)
NAMED = (VMCalls.snapshot, VMCalls.clone)
EXPECTED = {
    "VM_BAD_POWER_STATE", "VM_IS_TEMPLATE", "VM_IS_SNAPSHOT", "SR_BACKEND_FAILURE_109", "OPERATION_NOT_ALLOWED",
    "REVERT_ONLY_ALLOWED_ON_SNAPSHOT", "VM_REVERT_FAILED", "PROVISION_ONLY_ALLOWED_ON_TEMPLATE", "VDI_IN_USE",
    "HANDLE_INVALID",
}  # fmt: skip
"""What a random operation may meet. Anything else is a mistake of ours."""
EXPECTED_AT_ONCE = {*EXPECTED, "OTHER_OPERATION_IN_PROGRESS", "VM_HYPERVISOR_FAILURE"}


class Walk:
    """Random operations on a small pool."""

    def __init__(self, bench: Bench, driver: SimulatedDriver, seed: int) -> None:
        self._bench = bench
        self._driver = driver
        self._random = random.Random(seed)
        self.steps: list[str] = []
        power = [(m.__name__, self._message(m)) for m in POWER]
        self._kinds: list[tuple[str, Callable[[], Awaitable[None]]]] = [
            *power,
            *[("snapshot", self._message(VMCalls.snapshot, "snap"))] * 3,
            *[("revert", self._message(VMCalls.revert))] * 3,
            *[("clone", self._message(VMCalls.clone, "clone"))] * 2,
            ("provision", self._message(VMCalls.provision)),
            ("uninstall", self._message(VMCalls.uninstall, False)),
            ("uninstall with snapshots", self._message(VMCalls.uninstall, True)),
            ("template", self._message(VMCalls.set_is_a_template, True)),
            ("no template", self._message(VMCalls.set_is_a_template, False)),
            ("ignore a disk", self._ignore_a_disk),
            ("rename", self._rename),
            *[("die", self._die)] * 2,
            *[("at once", self._at_once)] * 3,
        ]

    async def step(self) -> None:
        """One operation, which may be refused."""
        if not self._vms():
            await self._bench.sample_vm(disks=2)
        name, act = self._random.choice(self._kinds)
        self.steps.append(name)
        await act()

    def _vms(self) -> list[Ref[VM]]:
        """In the order made; those that are built in are left out."""
        return [ref for ref, vm in self._bench.store.all(VM).items() if not vm.is_default_template]

    def _one(self) -> Ref[VM]:
        vms = self._vms()
        ref = self._random.choice(vms)
        self.steps[-1] += f" {vms.index(ref)} ({self._bench.vm(ref).power_state.value})"
        return ref

    def _message(self, message: Callable[..., Awaitable[Any]], *args: Any) -> Callable[[], Awaitable[None]]:
        async def act() -> None:
            try:
                await self._bench.run(message, self._one(), *args)
            except Failure as failure:
                self.steps[-1] += f": {failure.code}"
                assert failure.code in EXPECTED, failure

        return act

    async def _ignore_a_disk(self) -> None:
        vm = self._one()
        ignored = sorted(disks_of(self._bench, vm).values())[:1]
        try:
            await self._bench.run(VMCalls.snapshot, vm, "some", ignored)
        except Failure as failure:
            assert failure.code in EXPECTED, failure

    async def _rename(self) -> None:
        await self._bench.session.set(VM, self._one(), name_label=self._random.choice(NAMES))

    async def _die(self) -> None:
        uuid = self._bench.vm(self._one()).uuid
        if self._driver.state(uuid) != "absent":
            self._driver.end(uuid, "killed")

    async def _at_once(self) -> None:
        """Several operations on one VM at the same time."""
        vm = self._one()
        messages: list[Any] = [self._random.choice([*NAMED, *POWER]) for _ in range(self._random.randint(2, 4))]
        self.steps[-1] += f" {[m.__name__ for m in messages]}"
        calls = [self._bench.run(m, vm, *(("at once",) if m in NAMED else ())) for m in messages]
        for outcome in await asyncio.gather(*calls, return_exceptions=True):
            if isinstance(outcome, BaseException):
                assert isinstance(outcome, Failure) and outcome.code in EXPECTED_AT_ONCE, repr(outcome)


@asynccontextmanager
async def second_client(bench: Bench) -> AsyncIterator[ObjectCache]:
    """Another client's cache of the same engine."""
    session = await Session.open(DirectTransport(bench.engine), originator="second")
    cache = ObjectCache()
    watcher = Watcher(session, cache)
    watcher.start()
    await watcher.filled()
    try:
        yield cache
    finally:
        await watcher.close()


async def assert_caught_up(bench: Bench, caches: list[ObjectCache]) -> None:
    """Both caches hold what the engine holds, once one more change, made for this, has reached them."""
    mark, pool = str(bench.store.feed.generation), bench.engine.context.pool
    await bench.session.set(Pool, pool, name_description=mark)
    async with asyncio.timeout(30):
        while not all(_heard(cache, pool, mark) for cache in caches):  # noqa: ASYNC110
            await asyncio.sleep(0.005)
    for name, declared in classes().items():
        if name == "session":
            continue  # who else has logged in is nobody's business
        held = dict(bench.store.of_class(name))
        for cache in caches:
            assert dict(cache.all(declared.record)) == held, name


def _heard(cache: ObjectCache, pool: Ref[Pool], mark: str) -> bool:
    record = cache.get(Pool, pool)
    return record is not None and record.name_description == mark


def assert_agreed(bench: Bench, driver: SimulatedDriver) -> None:
    """Records agree with files and guests, and nothing is under way."""
    assert_tidy(bench)
    for vm in bench.store.all(VM).values():
        alive = vm.power_state in (VMPowerState.Running, VMPowerState.Paused)
        assert (driver.state(vm.uuid) != "absent") == alive, (vm.name_label, vm.power_state)
        assert vm.current_operations == {}
        for relative in (vm.parent, *vm.children):
            assert relative == "OpaqueRef:NULL" or bench.store.find(VM, relative) is not None


@pytest.mark.parametrize("seed", [1, 2, 3])
async def test_a_random_walk(data_dir: Path, seed: int) -> None:
    driver = SimulatedDriver()
    async with open_bench(data_dir, driver) as bench, second_client(bench) as cache:
        walk = Walk(bench, driver, seed)
        try:
            for _ in range(STEPS):
                await walk.step()
                assert_agreed(bench, driver)
                if len(walk.steps) % 8 == 0:
                    await assert_caught_up(bench, [bench.cache, cache])
        except BaseException as error:
            error.add_note("after the steps " + "; ".join(walk.steps))
            raise
