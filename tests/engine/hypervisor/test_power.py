"""Starting, stopping and everything between, on real guests."""

from __future__ import annotations

import asyncio
import dataclasses
from pathlib import Path

import pytest

from app.hypervisor.driver import Driver, DriverError
from app.hypervisor.qemu import QemuDriver
from tests.engine.hypervisor.guests import Events, GuestFolder, counter_on, processes_of, serial, ticks


async def test_started_guest_runs_and_writes_its_disk(driver: QemuDriver, folder: GuestFolder, events: Events) -> None:
    spec = folder.spec()
    await driver.start(spec)
    assert driver.state(spec.uuid) == "running"
    assert (await events.next("running")).reason == "started"
    tick = await ticks(driver, spec.uuid)
    for socket in (driver.console_socket(spec.uuid), driver.serial_socket(spec.uuid)):
        assert socket.stat().st_mode & 0o777 == 0o600
        assert socket.parent.stat().st_mode & 0o777 == 0o700
    await driver.kill(spec.uuid)
    assert driver.state(spec.uuid) == "absent"
    assert (await events.next("stopped")).reason == "host-qmp-quit"
    assert spec.disks[0].path is not None
    assert counter_on(spec.disks[0].path) >= tick.counter


async def test_guest_boots_from_an_ide_disk(driver: QemuDriver, folder: GuestFolder) -> None:
    spec = folder.spec(bus="ide")
    await driver.start(spec)
    await ticks(driver, spec.uuid)


async def test_guest_boots_from_a_sata_disk_and_a_raw_image(driver: QemuDriver, folder: GuestFolder) -> None:
    spec = folder.spec()
    raw = folder.images / "boot.raw"
    raw.write_bytes(Path(__file__).parents[3].joinpath("resources/sample_guest/sample-guest.img").read_bytes())
    with raw.open("r+b") as file:
        file.truncate(1024 * 1024)
    disk = dataclasses.replace(spec.disks[0], path=raw, format="raw", bus="sata")
    await driver.start(dataclasses.replace(spec, disks=(disk,)))
    await ticks(driver, spec.uuid)


async def test_paused_start_waits_for_unpause(driver: QemuDriver, folder: GuestFolder, events: Events) -> None:
    spec = folder.spec()
    await driver.start(spec, paused=True)
    assert driver.state(spec.uuid) == "paused"
    async with serial(driver, spec.uuid) as line:
        await driver.unpause(spec.uuid)
        assert driver.state(spec.uuid) == "running"
        found = await line.match(r"stillframe boot=(\d+) disks=(\d+) n=(\d+)")
    assert found.groups() == ("1", "1", "0")
    assert [event.kind for event in events.all] == ["paused", "running"]


async def test_pause_stops_the_counter(driver: QemuDriver, folder: GuestFolder, events: Events) -> None:
    spec = folder.spec()
    await driver.start(spec)
    async with serial(driver, spec.uuid) as line:
        before = await line.tick()
        await driver.pause(spec.uuid)
        assert driver.state(spec.uuid) == "paused"
        assert (await events.next("paused")).reason == "requested"
        await driver.unpause(spec.uuid)
        after = await line.tick()
    assert after.since_boot == before.since_boot + 1 or after.counter > before.counter


async def test_pausing_twice_and_unpausing_twice_changes_nothing(
    driver: QemuDriver, folder: GuestFolder, events: Events
) -> None:
    spec = folder.spec()
    await driver.start(spec)
    for _ in range(2):
        await driver.pause(spec.uuid)
    for _ in range(2):
        await driver.unpause(spec.uuid)
    assert [event.kind for event in events.all] == ["running", "paused", "running"]


async def test_reset_boots_again(driver: QemuDriver, folder: GuestFolder, events: Events) -> None:
    spec = folder.spec()
    await driver.start(spec)
    async with serial(driver, spec.uuid) as line:
        await line.tick()
        await driver.reset(spec.uuid)
        found = await line.match(r"stillframe boot=(\d+) .*")
    assert found[1] == "2"
    assert (await events.next("reset")).reason == "host-qmp-system-reset"
    assert driver.state(spec.uuid) == "running"


async def test_powerdown_lets_the_guest_end_by_itself(driver: QemuDriver, folder: GuestFolder, events: Events) -> None:
    spec = folder.spec()
    await driver.start(spec)
    async with serial(driver, spec.uuid) as line:
        await line.tick()
        await driver.powerdown(spec.uuid)
        await line.match(r"stillframe bye n=\d+")
    assert await driver.wait_gone(spec.uuid, 30)
    stopped = await events.next("stopped")
    assert (stopped.reason, stopped.text) == ("guest-shutdown", "")


async def test_guest_without_a_bootable_disk_ignores_the_power_button(driver: QemuDriver, folder: GuestFolder) -> None:
    spec = dataclasses.replace(folder.spec(), disks=())
    await driver.start(spec, paused=True)
    await driver.powerdown(spec.uuid)
    assert not await driver.wait_gone(spec.uuid, 0.1)
    assert driver.state(spec.uuid) == "paused"


async def test_second_start_is_refused_and_harms_nothing(driver: QemuDriver, folder: GuestFolder) -> None:
    spec = folder.spec()
    await driver.start(spec)
    with pytest.raises(DriverError) as caught:
        await driver.start(spec)
    assert caught.value.cause == "state"
    await ticks(driver, spec.uuid)


async def test_commands_to_an_absent_guest_are_refused(driver: QemuDriver, folder: GuestFolder) -> None:
    identity = folder.spec().uuid
    commands = (driver.powerdown, driver.reset, driver.pause, driver.unpause, driver.screenshot, driver.active_disks)
    for command in commands:
        with pytest.raises(DriverError) as caught:
            await command(identity)
        assert caught.value.cause == "state"
    await driver.kill(identity)
    assert await driver.wait_gone(identity, 0)


async def test_many_guests_start_at_once(driver: QemuDriver, folder: GuestFolder) -> None:
    specs = [folder.spec() for _ in range(6)]
    await asyncio.gather(*(driver.start(spec) for spec in specs))
    await asyncio.gather(*(ticks(driver, spec.uuid) for spec in specs))
    await asyncio.gather(*(driver.kill(spec.uuid) for spec in specs))
    assert not folder.run_folders()


async def test_cancelled_start_leaves_nothing(driver: QemuDriver, folder: GuestFolder, events: Events) -> None:
    spec = folder.spec()
    await driver.facts()
    start = asyncio.create_task(driver.start(spec))
    for _ in range(1000):  # let it spawn the process and begin to connect
        await asyncio.sleep(0)
        if processes_of(folder.data):
            break
    assert processes_of(folder.data)
    start.cancel()
    with pytest.raises(asyncio.CancelledError):
        await start
    assert driver.state(spec.uuid) == "absent"
    assert not events.all
    assert not processes_of(folder.data)
    assert not folder.run_folders()
    await driver.start(spec)
    await ticks(driver, spec.uuid)


async def test_forget_removes_the_folder_of_a_stopped_guest_only(driver: QemuDriver, folder: GuestFolder) -> None:
    spec = folder.spec()
    await driver.start(spec)
    with pytest.raises(DriverError):
        await driver.forget(spec.uuid)
    await driver.kill(spec.uuid)
    await driver.forget(spec.uuid)
    assert not (folder.data / "vm" / spec.uuid).exists()


def test_it_is_a_driver(tmp_path: Path) -> None:
    driver: Driver = QemuDriver(tmp_path)
    assert driver.state("nobody") == "absent"
