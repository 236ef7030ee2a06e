"""The simulated driver keeps the promises of the protocol that do not need a process."""

from __future__ import annotations

import dataclasses
import uuid
from pathlib import Path

import pytest

from app.hypervisor.driver import DiskSpec, DiskSwitch, Driver, DriverError, GuestEvent, GuestSpec
from app.hypervisor.simulated import SimulatedDriver


def ignore(fraction: float) -> None:
    assert 0.0 <= fraction <= 1.0


@pytest.fixture
def spec(tmp_path: Path) -> GuestSpec:
    path = tmp_path / "disk.qcow2"
    path.write_bytes(b"untouched")
    disks = (DiskSpec("disk0", "disk", path, "qcow2", False), DiskSpec("cd3", "cd", None, "raw", True, bus="ide"))
    return GuestSpec(uuid=str(uuid.uuid4()), name="web", memory=1 << 20, vcpus=1, disks=disks)


@pytest.fixture
def events() -> list[GuestEvent]:
    return []


@pytest.fixture
async def driver(events: list[GuestEvent]) -> SimulatedDriver:
    driver = SimulatedDriver()
    await driver.open(events.append)
    return driver


def test_it_is_a_driver() -> None:
    driver: Driver = SimulatedDriver()
    assert driver.state("nobody") == "absent"


async def test_power(driver: SimulatedDriver, spec: GuestSpec, events: list[GuestEvent]) -> None:
    await driver.start(spec, paused=True)
    assert driver.state(spec.uuid) == "paused"
    await driver.unpause(spec.uuid)
    await driver.reset(spec.uuid)
    await driver.pause(spec.uuid)
    await driver.unpause(spec.uuid)
    await driver.powerdown(spec.uuid)
    assert await driver.wait_gone(spec.uuid, None)
    assert [(event.kind, event.reason) for event in events] == [
        ("paused", "started"),
        ("running", "resumed"),
        ("reset", "host-qmp-system-reset"),
        ("paused", "requested"),
        ("running", "resumed"),
        ("stopped", "guest-shutdown"),
    ]


async def test_a_stubborn_guest_has_to_be_killed(driver: SimulatedDriver, spec: GuestSpec) -> None:
    driver.stubborn.add(spec.uuid)
    await driver.start(spec)
    await driver.powerdown(spec.uuid)
    assert not await driver.wait_gone(spec.uuid, 0)
    await driver.kill(spec.uuid)
    assert await driver.wait_gone(spec.uuid, 0)


async def test_disks(driver: SimulatedDriver, spec: GuestSpec, tmp_path: Path) -> None:
    await driver.start(spec)
    disk = spec.disks[0].path
    assert disk is not None
    overlay = tmp_path / "overlay.qcow2"
    with pytest.raises(DriverError):
        await driver.switch_disks(spec.uuid, [DiskSwitch("disk0", overlay)])
    overlay.touch()
    assert (await driver.switch_disks(spec.uuid, [DiskSwitch("disk0", overlay)])).frozen == {"disk0": disk}
    await driver.change_medium(spec.uuid, "cd3", overlay)
    assert await driver.active_disks(spec.uuid) == {"disk0": overlay, "cd3": overlay}
    await driver.change_medium(spec.uuid, "cd3", None)
    assert await driver.active_disks(spec.uuid) == {"disk0": overlay}
    assert disk.read_bytes() == b"untouched"


async def test_memory(driver: SimulatedDriver, spec: GuestSpec, tmp_path: Path) -> None:
    memory = tmp_path / "memory"
    await driver.start(spec)
    saved = await driver.save(spec.uuid, memory, ignore)
    assert driver.state(spec.uuid) == "saved"
    assert saved.size == memory.stat().st_size
    await driver.kill(spec.uuid)
    await driver.start(spec, restore=memory)
    assert driver.state(spec.uuid) == "running"
    with pytest.raises(DriverError):
        await driver.save(spec.uuid, memory, ignore)
    await driver.kill(spec.uuid)
    memory.write_text("garbage")
    with pytest.raises(DriverError):
        await driver.start(spec, restore=memory)
    assert driver.state(spec.uuid) == "absent"


async def test_refusals(driver: SimulatedDriver, spec: GuestSpec, tmp_path: Path) -> None:
    missing = dataclasses.replace(spec.disks[0], path=tmp_path / "missing")
    with pytest.raises(DriverError, match="missing"):
        await driver.start(dataclasses.replace(spec, disks=(missing,)))
    for command in (driver.pause, driver.screenshot, driver.active_disks):
        with pytest.raises(DriverError) as caught:
            await command(spec.uuid)
        assert caught.value.cause == "state"
    await driver.start(spec)
    with pytest.raises(DriverError) as caught:
        await driver.start(spec)
    assert caught.value.cause == "state"


async def test_screenshot_changes_with_the_state(driver: SimulatedDriver, spec: GuestSpec) -> None:
    await driver.start(spec)
    running = await driver.screenshot(spec.uuid)
    await driver.pause(spec.uuid)
    assert running.startswith(b"\x89PNG")
    assert await driver.screenshot(spec.uuid) != running


async def test_close_keeps_the_guests(driver: SimulatedDriver, spec: GuestSpec, events: list[GuestEvent]) -> None:
    await driver.start(spec)
    await driver.close()
    driver.end(spec.uuid, "crashed", "it fell over")
    assert [event.kind for event in events] == ["running"]
    assert await driver.attach_all() == {}


async def test_a_checkpoint_switches_disks_and_leaves_the_guest_as_it_was(
    driver: SimulatedDriver, spec: GuestSpec, tmp_path: Path, events: list[GuestEvent]
) -> None:
    await driver.start(spec)
    overlay = tmp_path / "overlay.qcow2"
    overlay.write_bytes(b"")
    known = len(events)
    switches = [DiskSwitch("disk0", overlay)]
    facts = await driver.checkpoint(spec.uuid, switches, tmp_path / "memory", ignore, method="stop")
    assert (driver.state(spec.uuid), events[known:]) == ("running", [])
    assert (await driver.active_disks(spec.uuid))["disk0"] == overlay
    assert facts.saved.size == (tmp_path / "memory").stat().st_size
    with pytest.raises(DriverError):
        await driver.checkpoint(spec.uuid, [DiskSwitch("disk9", overlay)], tmp_path / "other", ignore, method="stop")
    assert not (tmp_path / "other").exists()
