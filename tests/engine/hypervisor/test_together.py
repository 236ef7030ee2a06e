"""Switching the disks of several real guests: one instant for all, all or none, and everyone goes on."""

from __future__ import annotations

import asyncio
import dataclasses
import time
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pytest

from app.hypervisor import together
from app.hypervisor.driver import DiskSwitch, DriverError, GuestSpec
from app.hypervisor.guest import Guest
from app.hypervisor.qemu import QemuDriver
from tests.engine.hypervisor.guests import PATIENCE, Events, GuestFolder, counter_on, serial, ticks
from tests.engine.hypervisor.test_disks import disks_of, nodes, overlays_for

Active = dict[str, dict[str, Path]]


async def started(driver: QemuDriver, folder: GuestFolder, count: int, disks: int = 1) -> list[GuestSpec]:
    specs = [folder.spec(disks) for _ in range(count)]
    await asyncio.gather(*(driver.start(spec) for spec in specs))
    for spec in specs:
        await ticks(driver, spec.uuid)
    return specs


def plan(folder: GuestFolder, active: Active, name: str) -> dict[str, list[DiskSwitch]]:
    return {uuid: overlays_for(folder, images, name) for uuid, images in active.items()}


def after(switches: Mapping[str, list[DiskSwitch]]) -> Active:
    return {uuid: {switch.device: switch.overlay for switch in wanted} for uuid, wanted in switches.items()}


class Listener:
    """When the lines of a guest came, by its counter."""

    def __init__(self) -> None:
        self.came: dict[int, float] = {}
        self._heard = asyncio.Event()

    async def listen(self, driver: QemuDriver, uuid: str) -> None:
        async with serial(driver, uuid) as line:
            while True:
                tick = await line.tick()
                self.came[tick.counter] = time.monotonic()
                self._heard.set()

    async def more(self, count: int) -> None:
        """Wait for some ticks from now on."""
        wanted = len(self.came) + count
        async with asyncio.timeout(PATIENCE):
            while len(self.came) < wanted:
                self._heard.clear()
                await self._heard.wait()


async def test_the_instants_of_all_guests_lie_within_the_spread(driver: QemuDriver, folder: GuestFolder) -> None:
    """A guest tells of its tick after the tick is on its disk: the disk holds it or the next when it was frozen."""
    specs = await started(driver, folder, 3, disks=2)
    active: Active = {spec.uuid: disks_of(spec) for spec in specs}
    listeners = {spec.uuid: Listener() for spec in specs}
    listening = [asyncio.create_task(one.listen(driver, uuid)) for uuid, one in listeners.items()]
    rounds = []
    for number in range(5):
        for one in listeners.values():
            await one.more(2)
        switches = plan(folder, active, f"{number}")
        began = time.monotonic()
        facts = await driver.switch_together(switches)
        rounds.append((active, began, time.monotonic(), facts))
        active = after(switches)
        assert {uuid: await driver.active_disks(uuid) for uuid in active} == active
    for spec in specs:
        await listeners[spec.uuid].more(4)
        await driver.kill(spec.uuid)
    for task in listening:
        task.cancel()
    await asyncio.gather(*listening, return_exceptions=True)
    for frozen, began, ended, facts in rounds:
        assert 0 < facts.spread <= ended - began
        assert facts.stalls.keys() == frozen.keys() and all(0 < s <= ended - began for s in facts.stalls.values())
        for uuid, images in frozen.items():
            first, second = (counter_on(images[device]) for device in ("disk0", "disk1"))
            assert first - second in (0, 1)
            # Its line may have come while it was frozen, or after; those of ticks long before came earlier.
            assert listeners[uuid].came[second - 3] <= ended
            assert listeners[uuid].came[first + 1] >= began


async def test_every_guest_goes_on_as_it_was(driver: QemuDriver, folder: GuestFolder, events: Events) -> None:
    running, paused, other = await started(driver, folder, 3)
    await driver.pause(paused.uuid)
    before = await ticks(driver, running.uuid)
    facts = await driver.switch_together(plan(folder, {s.uuid: disks_of(s) for s in (running, paused, other)}, "a"))
    assert [driver.state(spec.uuid) for spec in (running, paused, other)] == ["running", "paused", "running"]
    assert facts.spread > 0
    assert (await ticks(driver, running.uuid)).since_boot > before.since_boot
    reasons = [event.reason for event in events.all if event.uuid == running.uuid]
    assert reasons == ["started", "snapshot", "resumed"]


async def test_one_running_guest_has_no_spread(driver: QemuDriver, folder: GuestFolder) -> None:
    running, paused = await started(driver, folder, 2)
    await driver.pause(paused.uuid)
    facts = await driver.switch_together(plan(folder, {s.uuid: disks_of(s) for s in (running, paused)}, "a"))
    assert facts.spread == 0.0


async def test_nothing_is_switched_when_one_overlay_is_missing(driver: QemuDriver, folder: GuestFolder) -> None:
    specs = await started(driver, folder, 3)
    before = [await nodes(driver, spec) for spec in specs]
    switches = plan(folder, {spec.uuid: disks_of(spec) for spec in specs}, "a")
    broken = switches[specs[1].uuid]
    broken[0] = dataclasses.replace(broken[0], overlay=folder.images / "missing.qcow2")
    with pytest.raises(DriverError) as caught:
        await driver.switch_together(switches)
    assert "missing.qcow2" in caught.value.message
    for spec, known in zip(specs, before, strict=True):
        assert (await driver.active_disks(spec.uuid))["disk0"] == disks_of(spec)["disk0"]
        assert await nodes(driver, spec) == known
        assert driver.state(spec.uuid) == "running"
        await ticks(driver, spec.uuid)


async def test_a_guest_that_refuses_to_switch_leaves_the_others_running(
    driver: QemuDriver, folder: GuestFolder, monkeypatch: pytest.MonkeyPatch
) -> None:
    specs = await started(driver, folder, 2)
    real = Guest.execute

    async def execute(self: Guest, command: str, *args: Any, **more: Any) -> Any:
        if command == "transaction" and self.uuid == specs[0].uuid:
            raise DriverError("QEMU refused: a test", cause="qmp")
        return await real(self, command, *args, **more)

    monkeypatch.setattr(Guest, "execute", execute)
    switches = plan(folder, {spec.uuid: disks_of(spec) for spec in specs}, "a")
    with pytest.raises(DriverError, match="a test"):
        await driver.switch_together(switches)
    monkeypatch.undo()
    assert (await driver.active_disks(specs[0].uuid))["disk0"] == disks_of(specs[0])["disk0"]
    assert (await driver.active_disks(specs[1].uuid))["disk0"] == switches[specs[1].uuid][0].overlay
    for spec in specs:
        await ticks(driver, spec.uuid)


async def test_a_guest_that_does_not_stop_keeps_the_others_from_switching(
    driver: QemuDriver, folder: GuestFolder, monkeypatch: pytest.MonkeyPatch
) -> None:
    specs = await started(driver, folder, 2)
    monkeypatch.setattr(together, "STOP_SECONDS", 0.2)
    real = Guest.execute

    async def execute(self: Guest, command: str, *args: Any, **more: Any) -> Any:
        if command == "stop" and self.uuid == specs[0].uuid:
            await asyncio.sleep(60)
        return await real(self, command, *args, **more)

    monkeypatch.setattr(Guest, "execute", execute)
    with pytest.raises(DriverError) as caught:
        await driver.switch_together(plan(folder, {spec.uuid: disks_of(spec) for spec in specs}, "a"))
    assert caught.value.cause == "timeout"
    monkeypatch.undo()
    for spec in specs:
        assert (await driver.active_disks(spec.uuid))["disk0"] == disks_of(spec)["disk0"]
        await ticks(driver, spec.uuid)


async def test_a_guest_that_is_gone_is_told_before_anything_happens(driver: QemuDriver, folder: GuestFolder) -> None:
    (spec,) = await started(driver, folder, 1)
    gone = folder.spec()
    with pytest.raises(DriverError) as caught:
        await driver.switch_together(plan(folder, {s.uuid: disks_of(s) for s in (spec, gone)}, "a"))
    assert caught.value.cause == "state"
    await ticks(driver, spec.uuid)
