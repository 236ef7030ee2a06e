"""Memory to a file and back: the guest goes on counting where it was."""

from __future__ import annotations

import asyncio
import dataclasses
from collections.abc import Iterator
from pathlib import Path

import pytest

from app.hypervisor.driver import DriverError, GuestSpec, SavedFacts
from app.hypervisor.qemu import QemuDriver
from app.ops.readiness import DEVICE_STATE
from tests.engine.hypervisor.guests import Events, GuestFolder, serial, ticks
from tests.support.small_disk import small_file_system


def ignore(fraction: float) -> None:
    assert 0.0 <= fraction <= 1.0


def again(spec: GuestSpec, saved: SavedFacts) -> GuestSpec:
    return dataclasses.replace(spec, machine=saved.machine, cpu=saved.cpu)


async def test_restored_guest_goes_on_counting(driver: QemuDriver, folder: GuestFolder, events: Events) -> None:
    spec = folder.spec()
    memory = folder.data / "memory.bin"
    await driver.start(spec)
    before = await ticks(driver, spec.uuid, 5)
    fractions: list[float] = []
    saved = await driver.save(spec.uuid, memory, fractions.append)
    assert driver.state(spec.uuid) == "saved"
    assert (await events.next("paused")).reason == "save"
    assert fractions == sorted(fractions)
    assert fractions[-1] == 1.0
    assert saved.size == memory.stat().st_size > 0
    assert saved.pause > 0
    assert memory.stat().st_mode & 0o777 == 0o600
    await driver.kill(spec.uuid)
    await driver.start(again(spec, saved), paused=True, restore=memory)
    assert driver.state(spec.uuid) == "paused"
    async with serial(driver, spec.uuid) as line:
        await driver.unpause(spec.uuid)
        after = await line.tick()
    # A cold start would begin with tick 1. The save may fall between a tick and its line.
    assert before.since_boot < after.since_boot
    assert after.counter == after.since_boot


async def test_an_image_is_never_larger_than_the_memory_that_was_touched(
    driver: QemuDriver, folder: GuestFolder
) -> None:
    spec = folder.spec()
    assert driver.memory_in_use(spec.uuid) == 0
    await driver.start(spec)
    await ticks(driver, spec.uuid, 5)
    touched = driver.memory_in_use(spec.uuid)
    saved = await driver.save(spec.uuid, folder.data / "memory.bin", ignore)
    assert 0 < saved.size <= touched + DEVICE_STATE


async def test_restore_may_run_at_once(driver: QemuDriver, folder: GuestFolder, events: Events) -> None:
    spec = folder.spec()
    memory = folder.data / "memory.bin"
    await driver.start(spec)
    before = await ticks(driver, spec.uuid, 5)
    saved = await driver.save(spec.uuid, memory, ignore)
    await driver.kill(spec.uuid)
    events.all.clear()
    await driver.start(again(spec, saved), restore=memory)
    assert driver.state(spec.uuid) == "running"
    assert [event.reason for event in events.all] == ["restored"]
    assert (await ticks(driver, spec.uuid)).since_boot > before.since_boot


async def test_a_paused_guest_is_saved_and_stays_where_it_was(driver: QemuDriver, folder: GuestFolder) -> None:
    spec = folder.spec()
    await driver.start(spec)
    await ticks(driver, spec.uuid)
    await driver.pause(spec.uuid)
    await driver.save(spec.uuid, folder.data / "memory.bin", ignore)
    assert driver.state(spec.uuid) == "saved"


async def test_unpause_takes_a_save_back(driver: QemuDriver, folder: GuestFolder) -> None:
    spec = folder.spec()
    await driver.start(spec)
    before = await ticks(driver, spec.uuid)
    await driver.save(spec.uuid, folder.data / "memory.bin", ignore)
    await driver.unpause(spec.uuid)
    assert driver.state(spec.uuid) == "running"
    assert (await ticks(driver, spec.uuid)).since_boot > before.since_boot
    await driver.save(spec.uuid, folder.data / "again.bin", ignore)


async def test_an_existing_file_is_not_overwritten(driver: QemuDriver, folder: GuestFolder) -> None:
    spec = folder.spec()
    memory = folder.data / "memory.bin"
    memory.write_bytes(b"precious")
    await driver.start(spec)
    with pytest.raises(DriverError) as caught:
        await driver.save(spec.uuid, memory, ignore)
    assert caught.value.cause == "state"
    assert memory.read_bytes() == b"precious"
    assert driver.state(spec.uuid) == "running"
    await ticks(driver, spec.uuid)


async def test_cancelled_save_lets_the_guest_go_on(driver: QemuDriver, folder: GuestFolder) -> None:
    spec = folder.spec()
    memory = folder.data / "memory.bin"
    await driver.start(spec)
    before = await ticks(driver, spec.uuid)
    saving: asyncio.Task[SavedFacts]

    def cancel(fraction: float) -> None:
        saving.cancel()

    saving = asyncio.create_task(driver.save(spec.uuid, memory, cancel))
    with pytest.raises(asyncio.CancelledError):
        await saving
    assert not memory.exists()
    assert driver.state(spec.uuid) == "running"
    assert (await ticks(driver, spec.uuid)).since_boot > before.since_boot


@pytest.fixture
def small_disk(tmp_path: Path) -> Iterator[Path]:
    """A file system that is soon full."""
    with small_file_system(tmp_path, "512k") as path:
        yield path


async def test_full_disk_fails_the_save_and_the_guest_goes_on(
    driver: QemuDriver, folder: GuestFolder, small_disk: Path
) -> None:
    spec = folder.spec()
    await driver.start(spec)
    before = await ticks(driver, spec.uuid)
    with pytest.raises(DriverError) as caught:
        await driver.save(spec.uuid, small_disk / "memory.bin", ignore)
    assert "No space left" in caught.value.message
    assert not (small_disk / "memory.bin").exists()
    assert driver.state(spec.uuid) == "running"
    assert (await ticks(driver, spec.uuid)).since_boot > before.since_boot


async def test_full_disk_pauses_the_guest_until_there_is_room(
    driver: QemuDriver, folder: GuestFolder, events: Events, small_disk: Path
) -> None:
    spec = folder.spec()
    ballast = small_disk / "ballast"
    overlay = folder.overlay(spec.disks[0].path or Path(), "full")
    disk = small_disk / "full.qcow2"
    disk.write_bytes(overlay.read_bytes())
    ballast.write_bytes(bytes(512 * 1024 - disk.stat().st_blocks * 512 - 4096))
    await driver.start(dataclasses.replace(spec, disks=(dataclasses.replace(spec.disks[0], path=disk),)))
    paused = await events.next("paused")
    assert (paused.reason, paused.text) == ("io-error", "disk0: No space left on device")
    assert driver.state(spec.uuid) == "io-error"
    ballast.unlink()
    await driver.unpause(spec.uuid)
    assert driver.state(spec.uuid) == "running"
    await ticks(driver, spec.uuid)


@pytest.mark.parametrize("content", [b"", b"garbage" * 1000])
async def test_garbage_is_not_restored(driver: QemuDriver, folder: GuestFolder, events: Events, content: bytes) -> None:
    spec = folder.spec()
    memory = folder.data / "memory.bin"
    memory.write_bytes(content)
    with pytest.raises(DriverError) as caught:
        await driver.start(spec, restore=memory)
    assert caught.value.cause == "start"
    assert driver.state(spec.uuid) == "absent"
    assert not events.all
    assert not folder.run_folders()


async def test_memory_of_another_machine_is_not_restored(driver: QemuDriver, folder: GuestFolder) -> None:
    spec = folder.spec()
    memory = folder.data / "memory.bin"
    await driver.start(spec)
    saved = await driver.save(spec.uuid, memory, ignore)
    await driver.kill(spec.uuid)
    larger = dataclasses.replace(again(spec, saved), memory=spec.memory * 2)
    with pytest.raises(DriverError) as caught:
        await driver.start(larger, restore=memory)
    assert caught.value.cause == "start"
    assert "pc.ram" in caught.value.detail


async def test_missing_memory_is_not_restored(driver: QemuDriver, folder: GuestFolder) -> None:
    with pytest.raises(DriverError, match="No such file"):
        await driver.start(folder.spec(), restore=folder.data / "missing.bin")
