"""Disks and memory of one instant, written while the guest goes on: also of one that never stops writing to memory."""

from __future__ import annotations

import asyncio
import dataclasses
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager
from pathlib import Path

import pytest

from app.hypervisor.driver import CheckpointFacts, Compression, DiskSwitch, DriverError, GuestSpec, SaveMethod
from app.hypervisor.qemu import QemuDriver
from tests.engine.hypervisor.guests import Events, GuestFolder, Tick, counter_on, qemu_img, serial, ticks
from tests.support.dirty_guest import boot_sector
from tests.support.small_disk import small_file_system

MIB = 1 << 20
LARGE = 128 * MIB


def ignore(fraction: float) -> None:
    assert 0.0 <= fraction <= 1.0


def large(spec: GuestSpec, size: int = LARGE) -> GuestSpec:
    return dataclasses.replace(spec, memory=size)


async def started(driver: QemuDriver, folder: GuestFolder, size: int = LARGE) -> tuple[GuestSpec, list[DiskSwitch]]:
    """A counting guest with two disks, and where these are to go."""
    spec = large(folder.spec(disks=2), size)
    switches = [
        DiskSwitch(d.device, folder.overlay(d.path, f"{d.device}-overlay")) for d in spec.disks if d.path is not None
    ]
    await driver.start(spec)
    await ticks(driver, spec.uuid, 4)
    return spec, switches


async def restored(driver: QemuDriver, folder: GuestFolder, spec: GuestSpec, saved: CheckpointFacts) -> Tick:
    """The first tick of the guest when it goes on from the checkpoint, on new overlays."""
    await driver.kill(spec.uuid)
    disks = [
        dataclasses.replace(d, path=folder.overlay(d.path, f"{d.device}-again")) if d.kind == "disk" and d.path else d
        for d in spec.disks
    ]
    again = dataclasses.replace(
        spec, disks=tuple(disks), machine=saved.saved.machine, cpu=saved.saved.cpu
    )  # fmt: skip
    await driver.start(again, paused=True, restore=folder.data / "memory.bin")
    async with serial(driver, spec.uuid) as line:
        await driver.unpause(spec.uuid)
        return await line.tick()


@pytest.mark.parametrize(("method", "compression"), [("background", "none"), ("background", "zstd"), ("stop", "none")])
async def test_memory_and_disks_are_of_one_instant(
    driver: QemuDriver, folder: GuestFolder, method: SaveMethod, compression: Compression
) -> None:
    spec, switches = await started(driver, folder)
    memory = folder.data / "memory.bin"
    assert await driver.save_method(spec.uuid) in ("background", "stop")
    facts = await driver.checkpoint(spec.uuid, switches, memory, ignore, method=method, compression=compression)
    assert driver.state(spec.uuid) == "running"
    assert (facts.compression, facts.saved.size) == (compression, memory.stat().st_size)
    assert facts.saved.pause > 0
    assert facts.duration >= facts.saved.pause
    assert list(folder.data.glob("memory.bin?*")) == []
    far = await ticks(driver, spec.uuid, 30)
    frozen = [counter_on(d.path) for d in spec.disks if d.kind == "disk" and d.path is not None]
    assert frozen[0] - frozen[1] in (0, 1)
    first = await restored(driver, folder, spec, facts)
    assert first.since_boot == first.counter
    assert frozen[1] <= first.counter < far.counter


async def test_a_paused_guest_stays_paused_and_can_be_kept_again(driver: QemuDriver, folder: GuestFolder) -> None:
    spec, switches = await started(driver, folder)
    await driver.pause(spec.uuid)
    assert await driver.save_method(spec.uuid) == "stop"
    for name, some in (("memory.bin", switches), ("again.bin", [])):
        facts = await driver.checkpoint(spec.uuid, some, folder.data / name, ignore, method="stop")
        assert (driver.state(spec.uuid), facts.saved.pause) == ("paused", 0.0)
    await driver.unpause(spec.uuid)
    await ticks(driver, spec.uuid, 20)
    await restored(driver, folder, spec, facts)


async def test_small_guests_are_stopped(driver: QemuDriver, folder: GuestFolder) -> None:
    spec, _ = await started(driver, folder, 64 * MIB)
    assert await driver.save_method(spec.uuid) == "stop"


async def test_a_guest_can_be_suspended_after_a_background_save(driver: QemuDriver, folder: GuestFolder) -> None:
    spec, switches = await started(driver, folder)
    await driver.checkpoint(spec.uuid, switches, folder.data / "memory.bin", ignore, method="background")
    await driver.save(spec.uuid, folder.data / "suspended.bin", ignore)
    assert driver.state(spec.uuid) == "saved"


async def test_a_damaged_compressed_image_is_not_restored(driver: QemuDriver, folder: GuestFolder) -> None:
    spec, switches = await started(driver, folder)
    memory = folder.data / "memory.bin"
    method: SaveMethod = "background"
    facts = await driver.checkpoint(spec.uuid, switches, memory, ignore, method=method, compression="zstd")
    data = bytearray(memory.read_bytes())
    data[len(data) // 2] ^= 0xFF
    memory.write_bytes(data)
    with pytest.raises(DriverError) as caught:
        await restored(driver, folder, spec, facts)
    assert caught.value.cause == "start"
    assert driver.state(spec.uuid) == "absent"


# A guest that writes to its memory without end


@pytest.fixture
async def dirty(driver: QemuDriver, folder: GuestFolder) -> GuestSpec:
    """Such a guest, which has filled its memory with noise."""
    code = boot_sector()
    if code is None:
        pytest.skip("nasm is missing")
    spec = large(folder.spec(), 512 * MIB)
    path = spec.disks[0].path
    assert path is not None
    raw = path.with_suffix(".dirty")
    raw.write_bytes(code.ljust(MIB, b"\0"))
    qemu_img("convert", "-f", "raw", "-O", "qcow2", raw, path)
    await driver.start(spec)
    if await driver.save_method(spec.uuid) != "background":
        pytest.skip("this host cannot save memory in the background")
    async with listening(driver, spec.uuid) as heard:
        await heard.until(b"R")
    return spec


class Heard:
    """What comes down a serial line."""

    def __init__(self, reader: asyncio.StreamReader) -> None:
        self._reader = reader

    async def until(self, sign: bytes) -> None:
        async with asyncio.timeout(60):
            while not (data := await self._reader.read(4096)).count(sign):
                assert data

    async def ticks(self, count: int) -> None:
        """A virtual CPU that stands still sends none."""
        async with asyncio.timeout(60):
            while count > 0:
                count -= len(await self._reader.read(4096))


@asynccontextmanager
async def listening(driver: QemuDriver, uuid: str) -> AsyncIterator[Heard]:
    reader, writer = await asyncio.open_unix_connection(driver.serial_socket(uuid))
    try:
        yield Heard(reader)
    finally:
        writer.close()
        await writer.wait_closed()


async def goes_on(driver: QemuDriver, spec: GuestSpec) -> None:
    """It touches all of its memory, so whatever is still protected would stop it."""
    assert driver.state(spec.uuid) == "running"
    async with listening(driver, spec.uuid) as heard:
        await heard.ticks(1000)


async def begun(driver: QemuDriver, spec: GuestSpec, path: Path) -> asyncio.Task[CheckpointFacts]:
    """A checkpoint that is writing memory."""
    writing = asyncio.Event()

    def progress(fraction: float) -> None:
        writing.set()

    saving = asyncio.create_task(
        driver.checkpoint(spec.uuid, [], path, progress, method="background", compression="zstd")
    )
    waiting = asyncio.create_task(writing.wait())
    await asyncio.wait({saving, waiting}, return_when=asyncio.FIRST_COMPLETED)
    return saving


async def test_it_is_saved_and_goes_on(driver: QemuDriver, folder: GuestFolder, dirty: GuestSpec) -> None:
    facts = await (await begun(driver, dirty, folder.data / "memory.bin"))
    assert facts.saved.size < 512 * MIB
    await goes_on(driver, dirty)


async def test_it_goes_on_after_a_cancellation(driver: QemuDriver, folder: GuestFolder, dirty: GuestSpec) -> None:
    """QEMU leaves its memory protected; we lift that."""
    for _ in range(2):
        saving = await begun(driver, dirty, folder.data / "memory.bin")
        saving.cancel()
        with pytest.raises(asyncio.CancelledError):
            await saving
        assert list(folder.data.glob("memory*")) == []
        await goes_on(driver, dirty)
    await (await begun(driver, dirty, folder.data / "memory.bin"))


async def test_it_goes_on_when_the_program_ends_and_comes_back(
    driver: QemuDriver, folder: GuestFolder, dirty: GuestSpec, events: Events
) -> None:
    saving = await begun(driver, dirty, folder.data / "memory.bin")
    await driver.close()  # as if killed: nothing is told to QEMU
    saving.cancel()
    await asyncio.gather(saving, return_exceptions=True)
    await driver.open(events.take)
    await driver.attach_all()
    await driver.end_save(dirty.uuid, running=True)
    await goes_on(driver, dirty)
    await driver.end_save(dirty.uuid, running=True)
    await (await begun(driver, dirty, folder.data / "other.bin"))


@pytest.fixture
def small_disk(tmp_path: Path) -> Iterator[Path]:
    """A file system with less room than the memory needs."""
    with small_file_system(tmp_path, "64m") as path:
        yield path


async def test_what_does_not_fit_is_refused_before_the_guest_is_stopped(
    driver: QemuDriver, dirty: GuestSpec, small_disk: Path, events: Events
) -> None:
    known = len(events.all)
    with pytest.raises(DriverError) as caught:
        await driver.checkpoint(dirty.uuid, [], small_disk / "memory.bin", ignore, method="background")
    assert caught.value.cause == "no_space"
    assert list(small_disk.iterdir()) == []
    assert events.all[known:] == []
    await goes_on(driver, dirty)


async def test_a_failed_write_leaves_the_guest_going(
    driver: QemuDriver, dirty: GuestSpec, small_disk: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Where the space cannot be reserved, QEMU fails in the middle: its protection has to be lifted then too."""
    monkeypatch.setattr("app.hypervisor.memory_files._reserve", lambda descriptor, size: None)
    with pytest.raises(DriverError) as caught:
        await driver.checkpoint(dirty.uuid, [], small_disk / "memory.bin", ignore, method="background")
    assert caught.value.cause == "no_space", caught.value.message
    assert list(small_disk.iterdir()) == []
    await goes_on(driver, dirty)
