"""What a guest's agent tells ends up in VM_guest_metrics, and its coming and going shows."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable
from pathlib import Path

import pytest

from app.api import VIF, VM, Ref, VMGuestMetrics, VMPowerState
from app.engine import agents
from app.hypervisor.driver import AgentFacts, Interface
from app.hypervisor.simulated import SimulatedDriver
from tests.support.engine import Bench, open_bench

SYSTEM = {"name": "Debian GNU/Linux 12", "distro": "debian", "version": "12.5", "uname": "6.1.0", "hostname": "web1"}


@pytest.fixture
def driver() -> SimulatedDriver:
    return SimulatedDriver()


@pytest.fixture
async def bench(data_dir: Path, driver: SimulatedDriver) -> AsyncIterator[Bench]:
    async with open_bench(data_dir, driver) as bench:
        yield bench


@pytest.fixture
async def vm(bench: Bench) -> Ref[VM]:
    vm = await bench.sample_vm(nic=True)
    await bench.session.VM.start(vm)
    return vm


def told(bench: Bench, vm: Ref[VM]) -> VMGuestMetrics:
    return bench.store.find(VMGuestMetrics, bench.vm(vm).guest_metrics) or VMGuestMetrics()


async def until(condition: Callable[[], bool]) -> None:
    async with asyncio.timeout(30):
        while not condition():  # noqa: ASYNC110
            await asyncio.sleep(0.01)


def facts(bench: Bench, vm: Ref[VM], *addresses: str) -> AgentFacts:
    (vif,) = bench.vm(vm).VIFs
    mac = bench.store.get(VIF, vif).MAC.lower()
    strange = Interface("00:00:00:00:00:00", ("127.0.0.1",))
    return AgentFacts("7.2.22", can_freeze=True, system=SYSTEM, interfaces=(strange, Interface(mac, addresses)))


async def test_an_agent_that_comes_is_asked(bench: Bench, driver: SimulatedDriver, vm: Ref[VM]) -> None:
    driver.set_agent(bench.vm(vm).uuid, facts(bench, vm, "fe80::1", "10.0.2.15", "10.0.2.16"))
    await until(lambda: told(bench, vm).live)
    metrics = told(bench, vm)
    assert metrics.os_version == {
        "name": "Debian GNU/Linux 12", "distro": "debian", "major": "12", "minor": "5", "uname": "6.1.0",
        "hostname": "web1",
    }  # fmt: skip
    assert metrics.networks == {
        "0/ip": "10.0.2.15", "0/ipv4/0": "10.0.2.15", "0/ipv4/1": "10.0.2.16", "0/ipv6/0": "fe80::1",
    }  # fmt: skip
    assert metrics.PV_drivers_version == {"major": "7", "minor": "2", "micro": "22"}
    assert metrics.PV_drivers_detected and metrics.other == {"feature-quiesce": "1"}


async def test_what_it_told_stays_when_it_goes(bench: Bench, driver: SimulatedDriver, vm: Ref[VM]) -> None:
    driver.set_agent(bench.vm(vm).uuid, facts(bench, vm, "10.0.2.15"))
    await until(lambda: told(bench, vm).live)
    driver.set_agent(bench.vm(vm).uuid, None)
    assert not told(bench, vm).live
    assert told(bench, vm).networks["0/ip"] == "10.0.2.15"


@pytest.mark.parametrize("suspended", [False, True])
async def test_nothing_answers_of_a_guest_that_is_gone(
    bench: Bench, driver: SimulatedDriver, vm: Ref[VM], suspended: bool
) -> None:
    driver.set_agent(bench.vm(vm).uuid, facts(bench, vm))
    await until(lambda: told(bench, vm).live)
    await (bench.session.VM.suspend(vm) if suspended else bench.session.VM.hard_shutdown(vm))
    assert not told(bench, vm).live


async def test_a_silent_agent_is_asked_again_when_the_guest_runs_on(
    bench: Bench, driver: SimulatedDriver, vm: Ref[VM]
) -> None:
    await bench.session.VM.pause(vm)
    driver.set_agent(bench.vm(vm).uuid, facts(bench, vm))
    await asyncio.sleep(0.05)
    assert not told(bench, vm).live
    await bench.session.VM.unpause(vm)
    await until(lambda: told(bench, vm).live)


async def test_no_news_is_not_written(bench: Bench, driver: SimulatedDriver, vm: Ref[VM]) -> None:
    driver.set_agent(bench.vm(vm).uuid, facts(bench, vm, "10.0.2.15"))
    await until(lambda: told(bench, vm).live)
    before = told(bench, vm)
    await agents.look(bench.engine.context, vm)
    assert told(bench, vm) is before
    driver._guest(bench.vm(vm).uuid).agent = facts(bench, vm, "10.0.2.99")
    await agents.look(bench.engine.context, vm)
    assert told(bench, vm).networks["0/ip"] == "10.0.2.99"


async def test_guests_found_alive_are_asked(data_dir: Path, driver: SimulatedDriver) -> None:
    async with open_bench(data_dir, driver, kill_guests=False) as bench:
        vm = await bench.sample_vm()
        await bench.session.VM.start(vm)
        driver._guest(bench.vm(vm).uuid).agent = AgentFacts("7.2", can_freeze=False)
    async with open_bench(data_dir, driver) as bench:
        assert bench.vm(vm).power_state is VMPowerState.Running
        await until(lambda: told(bench, vm).live)
        assert told(bench, vm).other == {}
        await bench.session.VM.hard_shutdown(vm)
        await bench.session.VM.destroy(vm)
        assert bench.store.all(VMGuestMetrics) == {}
