"""Switching disks at one instant, and discs in the CD drive."""

from __future__ import annotations

import asyncio
import fcntl
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pytest

from app.hypervisor.driver import DiskSwitch, DriverError, GuestSpec
from app.hypervisor.guest import Guest
from app.hypervisor.monitor import Arguments
from app.hypervisor.qemu import QemuDriver
from tests.engine.hypervisor.guests import GuestFolder, counter_on, ticks


def disks_of(spec: GuestSpec) -> dict[str, Path]:
    return {disk.device: disk.path for disk in spec.disks if disk.kind == "disk" and disk.path is not None}


def overlays_for(folder: GuestFolder, active: Mapping[str, Path], name: str) -> list[DiskSwitch]:
    return [DiskSwitch(device, folder.overlay(path, f"{path.stem}-{name}")) for device, path in active.items()]


@pytest.mark.parametrize("count", [1, 2, 4])
async def test_disks_freeze_at_one_instant(driver: QemuDriver, folder: GuestFolder, count: int) -> None:
    """The guest writes the same counter to its disks in turn, so frozen disks may differ by the write under way."""
    spec = folder.spec(disks=count)
    await driver.start(spec)
    layers = [disks_of(spec)]
    for number in range(4):
        before = await ticks(driver, spec.uuid)
        switches = overlays_for(folder, layers[-1], str(number))
        facts = await driver.switch_disks(spec.uuid, switches)
        assert facts.frozen == layers[-1]
        assert facts.stall > 0
        layers.append({switch.device: switch.overlay for switch in switches})
        assert await driver.active_disks(spec.uuid) == layers[-1]
        after = await ticks(driver, spec.uuid)
        assert after.since_boot > before.since_boot
    await driver.kill(spec.uuid)
    for layer in layers:
        counters = [counter_on(layer[f"disk{number}"]) for number in range(count)]
        assert counters == sorted(counters, reverse=True)
        assert counters[0] - counters[-1] <= 1
    assert counter_on(layers[-1]["disk0"]) > counter_on(layers[0]["disk0"]) > 0


async def test_a_paused_guest_can_switch(driver: QemuDriver, folder: GuestFolder) -> None:
    spec = folder.spec()
    await driver.start(spec)
    await ticks(driver, spec.uuid)
    await driver.pause(spec.uuid)
    await driver.switch_disks(spec.uuid, overlays_for(folder, disks_of(spec), "a"))
    assert driver.state(spec.uuid) == "paused"


async def test_frozen_file_may_lose_its_write_permission(driver: QemuDriver, folder: GuestFolder) -> None:
    spec = folder.spec()
    await driver.start(spec)
    await driver.switch_disks(spec.uuid, overlays_for(folder, disks_of(spec), "a"))
    disks_of(spec)["disk0"].chmod(0o444)
    await driver.pause(spec.uuid)
    await driver.unpause(spec.uuid)
    await ticks(driver, spec.uuid)


async def nodes(driver: QemuDriver, spec: GuestSpec) -> set[str]:
    found = await driver._guest(spec.uuid).execute("query-named-block-nodes", {"flat": True})
    return {node["node-name"] for node in found}


async def test_nothing_is_switched_when_one_overlay_is_missing(driver: QemuDriver, folder: GuestFolder) -> None:
    spec = folder.spec(disks=2)
    await driver.start(spec)
    before = await nodes(driver, spec)
    good, _ = overlays_for(folder, disks_of(spec), "a")
    with pytest.raises(DriverError) as caught:
        await driver.switch_disks(spec.uuid, [good, DiskSwitch("disk1", folder.images / "missing.qcow2")])
    assert caught.value.cause == "qmp"
    assert "missing.qcow2" in caught.value.message
    assert "No such file" in caught.value.message
    assert await driver.active_disks(spec.uuid) == disks_of(spec)
    assert await nodes(driver, spec) == before
    await ticks(driver, spec.uuid)


async def test_nothing_is_switched_when_another_program_uses_an_overlay(
    driver: QemuDriver, folder: GuestFolder
) -> None:
    spec = folder.spec(disks=2)
    await driver.start(spec)
    switches = overlays_for(folder, disks_of(spec), "a")
    with switches[1].overlay.open("r+b") as file:
        # The byte QEMU's images are locked by for writing: RAW_LOCK_SHARED_BASE + 1, block/file-posix.c.
        fcntl.lockf(file, fcntl.LOCK_EX, 1, 201)
        with pytest.raises(DriverError, match="lock"):
            await driver.switch_disks(spec.uuid, switches)
    assert await driver.active_disks(spec.uuid) == disks_of(spec)
    await driver.switch_disks(spec.uuid, switches)
    assert await driver.active_disks(spec.uuid) == {switch.device: switch.overlay for switch in switches}


async def test_nothing_is_switched_when_the_transaction_fails(
    driver: QemuDriver, folder: GuestFolder, monkeypatch: pytest.MonkeyPatch
) -> None:
    spec = folder.spec(disks=2)
    await driver.start(spec)
    before = await nodes(driver, spec)
    execute = Guest.execute

    async def spoilt(
        guest: Guest, command: str, arguments: Arguments | None = None, *, timeout: float | None = None
    ) -> Any:
        if command == "transaction":
            bad = {"type": "blockdev-snapshot", "data": {"node": "nowhere", "overlay": "nothing"}}
            actions = (arguments or {})["actions"]
            assert isinstance(actions, list)
            arguments = {"actions": [*actions, bad]}
        return await execute(guest, command, arguments, timeout=timeout)

    with monkeypatch.context() as patch:
        patch.setattr(Guest, "execute", spoilt)
        with pytest.raises(DriverError, match="nowhere"):
            await driver.switch_disks(spec.uuid, overlays_for(folder, disks_of(spec), "a"))
    assert await driver.active_disks(spec.uuid) == disks_of(spec)
    assert await nodes(driver, spec) == before
    await driver.switch_disks(spec.uuid, overlays_for(folder, disks_of(spec), "b"))


async def test_unknown_and_repeated_devices_are_refused(driver: QemuDriver, folder: GuestFolder) -> None:
    spec = folder.spec()
    await driver.start(spec)
    (switch,) = overlays_for(folder, disks_of(spec), "a")
    for switches in ([DiskSwitch("disk7", switch.overlay)], [switch, switch]):
        with pytest.raises(DriverError) as caught:
            await driver.switch_disks(spec.uuid, switches)
        assert caught.value.cause == "state"
    assert await driver.active_disks(spec.uuid) == disks_of(spec)


async def test_a_cancellation_during_the_switch_is_too_late(
    driver: QemuDriver, folder: GuestFolder, monkeypatch: pytest.MonkeyPatch
) -> None:
    spec = folder.spec()
    await driver.start(spec)
    switches = overlays_for(folder, disks_of(spec), "a")
    execute = Guest.execute

    async def cancelling(
        guest: Guest, command: str, arguments: Arguments | None = None, *, timeout: float | None = None
    ) -> Any:
        if command == "transaction":
            switching.cancel()
        return await execute(guest, command, arguments, timeout=timeout)

    monkeypatch.setattr(Guest, "execute", cancelling)
    switching = asyncio.create_task(driver.switch_disks(spec.uuid, switches))
    assert (await switching).frozen == disks_of(spec)
    assert await driver.active_disks(spec.uuid) == {switch.device: switch.overlay for switch in switches}


async def test_a_cancellation_before_the_switch_undoes_it(
    driver: QemuDriver, folder: GuestFolder, monkeypatch: pytest.MonkeyPatch
) -> None:
    spec = folder.spec(disks=2)
    await driver.start(spec)
    before = await nodes(driver, spec)
    execute = Guest.execute

    async def cancelling(
        guest: Guest, command: str, arguments: Arguments | None = None, *, timeout: float | None = None
    ) -> Any:
        if command == "blockdev-add" and "disk1" in str(arguments):
            switching.cancel()
        return await execute(guest, command, arguments, timeout=timeout)

    with monkeypatch.context() as patch:
        patch.setattr(Guest, "execute", cancelling)
        switching = asyncio.create_task(driver.switch_disks(spec.uuid, overlays_for(folder, disks_of(spec), "a")))
        with pytest.raises(asyncio.CancelledError):
            await switching
    assert await driver.active_disks(spec.uuid) == disks_of(spec)
    assert await nodes(driver, spec) == before


async def test_disc_is_changed_and_taken_out(driver: QemuDriver, folder: GuestFolder) -> None:
    first, second = folder.iso("first"), folder.iso("second")
    spec = folder.spec(cd=first)
    await driver.start(spec)
    before = await nodes(driver, spec)
    for iso in (second, None, None, first, second):
        await driver.change_medium(spec.uuid, "cd3", iso)
        assert (await driver.active_disks(spec.uuid)).get("cd3") == iso
    assert len(await nodes(driver, spec)) == len(before)


async def test_an_empty_drive_takes_a_disc(driver: QemuDriver, folder: GuestFolder) -> None:
    spec = folder.spec()
    iso = folder.iso("disc")
    await driver.start(spec)
    await driver.change_medium(spec.uuid, "cd3", iso)
    assert (await driver.active_disks(spec.uuid))["cd3"] == iso


async def test_a_missing_disc_leaves_the_old_one_in(driver: QemuDriver, folder: GuestFolder) -> None:
    iso = folder.iso("disc")
    spec = folder.spec(cd=iso)
    await driver.start(spec)
    before = await nodes(driver, spec)
    with pytest.raises(DriverError, match="No such file"):
        await driver.change_medium(spec.uuid, "cd3", folder.images / "missing.iso")
    with pytest.raises(DriverError):
        await driver.change_medium(spec.uuid, "cd9", iso)
    assert (await driver.active_disks(spec.uuid))["cd3"] == iso
    assert await nodes(driver, spec) == before
