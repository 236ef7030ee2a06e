"""When QEMU cannot start, its own words arrive and nothing stays behind."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable
from pathlib import Path

import pytest

from app.hypervisor.driver import DriverError, GuestSpec
from app.hypervisor.qemu import QemuDriver
from tests.engine.hypervisor.guests import Events, GuestFolder, processes_of, ticks


def missing_image(folder: GuestFolder, spec: GuestSpec) -> GuestSpec:
    return with_image(spec, folder.images / "missing.qcow2")


def corrupt_image(folder: GuestFolder, spec: GuestSpec) -> GuestSpec:
    path = folder.images / "corrupt.qcow2"
    path.write_bytes(b"nothing of the kind" * 100)
    return with_image(spec, path)


def damaged_header(folder: GuestFolder, spec: GuestSpec) -> GuestSpec:
    path = folder.images / "damaged.qcow2"
    content = bytearray((spec.disks[0].path or Path()).read_bytes())
    content[40:48] = b"\xff" * 8  # the offset of the L1 table, docs/interop/qcow2
    path.write_bytes(content)
    return with_image(spec, path)


def missing_backing_file(folder: GuestFolder, spec: GuestSpec) -> GuestSpec:
    backing = folder.empty_disk("backing")
    overlay = folder.overlay(backing, "orphan")
    backing.unlink()
    return with_image(spec, overlay)


def unknown_machine(folder: GuestFolder, spec: GuestSpec) -> GuestSpec:
    return dataclasses.replace(spec, machine="pc-i440fx-99.9")


def unknown_network_card(folder: GuestFolder, spec: GuestSpec) -> GuestSpec:
    return dataclasses.replace(spec, nics=(dataclasses.replace(spec.nics[0], model="warp-drive"),))


def too_much_memory(folder: GuestFolder, spec: GuestSpec) -> GuestSpec:
    return dataclasses.replace(spec, memory=1 << 50)


def with_image(spec: GuestSpec, path: Path) -> GuestSpec:
    return dataclasses.replace(spec, disks=(dataclasses.replace(spec.disks[0], path=path), *spec.disks[1:]))


@pytest.mark.parametrize(
    ("spoil", "words"),
    [
        (missing_image, "missing.qcow2': No such file or directory"),
        (corrupt_image, "Image is not in qcow2 format"),
        (damaged_header, "L1 table"),
        (missing_backing_file, "backing.qcow2': No such file or directory"),
        (unknown_machine, "unsupported machine type"),
        (unknown_network_card, "'warp-drive' is not a valid device model name"),
        (too_much_memory, "memory"),
    ],
)
async def test_qemu_says_why(
    driver: QemuDriver,
    folder: GuestFolder,
    events: Events,
    spoil: Callable[[GuestFolder, GuestSpec], GuestSpec],
    words: str,
) -> None:
    spec = folder.spec()
    with pytest.raises(DriverError) as caught:
        await driver.start(spoil(folder, spec))
    assert caught.value.cause == "start"
    assert words in caught.value.message
    assert caught.value.message.startswith("QEMU could not start: ")
    assert words in caught.value.detail
    assert words in driver.last_words(spec.uuid)
    assert "-uuid" in caught.value.command
    assert driver.state(spec.uuid) == "absent"
    assert not events.all
    assert not processes_of(folder.data)
    assert not folder.run_folders()
    await driver.start(spec)
    await ticks(driver, spec.uuid)


async def test_an_image_in_use_is_refused(driver: QemuDriver, folder: GuestFolder) -> None:
    first, second = folder.spec(), folder.spec()
    await driver.start(first)
    with pytest.raises(DriverError, match=r'Failed to get "write" lock'):
        await driver.start(with_image(second, first.disks[0].path or Path()))
    await ticks(driver, first.uuid)


@pytest.mark.parametrize("name", ["run", "vm"])
async def test_folders_that_cannot_be_made(driver: QemuDriver, folder: GuestFolder, name: str) -> None:
    (folder.data / name).write_text("in the way")
    with pytest.raises(DriverError) as caught:
        await driver.start(folder.spec())
    assert caught.value.cause == "start"
    assert str(folder.data / name) in caught.value.message
    assert not processes_of(folder.data)


async def test_a_socket_that_cannot_be_made(
    driver: QemuDriver, folder: GuestFolder, monkeypatch: pytest.MonkeyPatch
) -> None:
    """VNC is the one socket QEMU makes itself."""
    spec = folder.spec()
    monkeypatch.setattr("app.hypervisor.layout.RunPaths.vnc", property(lambda paths: paths.folder / "no" / "vnc"))
    with pytest.raises(DriverError, match="No such file or directory"):
        await driver.start(spec)
    assert not processes_of(folder.data)
    assert not folder.run_folders()


async def test_a_vanished_program(driver: QemuDriver, folder: GuestFolder) -> None:
    facts = await driver.facts()
    driver._facts = dataclasses.replace(facts, binary=folder.data / "gone")
    with pytest.raises(DriverError) as caught:
        await driver.start(folder.spec())
    assert caught.value.cause == "start"
    assert "gone" in caught.value.message
    assert not folder.run_folders()


async def test_impossible_specs_are_refused_before_anything_happens(driver: QemuDriver, folder: GuestFolder) -> None:
    spec = dataclasses.replace(folder.spec(), vcpus=0)
    with pytest.raises(DriverError) as caught:
        await driver.start(spec)
    assert caught.value.cause == "unsupported"
    assert not (folder.data / "vm").exists()
