"""What the tests of VMs need around an open engine: the sample guest's ticks, contents of disks, and a tidy folder."""

from __future__ import annotations

import asyncio
import hashlib
import json
import os
import re
import subprocess
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import NamedTuple

from app.api import SR, VBD, VDI, VM, Blob, Message, Ref, VDIType, VMCalls, VMPowerState
from app.ops.found_images import FOUND_KEY
from app.storage.file_repository import FileRepository
from tests.support.engine import Bench
from tests.support.guest_disk import read_counter

PATIENCE = 60.0
"""Seconds for one tick or state: a sick guest fails, a slow one does not."""
DATA = 1 << 20
"""Where the tests write bytes of their own: the sample guest never touches it."""
SMALL = 2 << 20
"""The size of a disk that is read whole again and again."""


class Tick(NamedTuple):
    """A line of the guest: the counter it writes to its disks, and the ticks since boot that only its memory has."""

    counter: int
    since_boot: int


async def tick(bench: Bench, vm: str, *, beyond: int = -1) -> Tick:
    """The next tick whose counter is above `beyond`."""
    reader, writer = await asyncio.open_unix_connection(bench.engine.context.driver.serial_socket(bench.vm(vm).uuid))
    try:
        async with asyncio.timeout(PATIENCE):
            while True:
                line = (await reader.readuntil(b"\n")).decode("ascii", "replace").strip()
                found = re.fullmatch(r"n=(\d+) t=(\d+)", line)
                if found and int(found[1]) > beyond:
                    return Tick(int(found[1]), int(found[2]))
    finally:
        writer.close()
        await writer.wait_closed()


async def some_ticks(bench: Bench, vm: str, count: int = 3) -> Tick:
    """Let the guest count on."""
    return await tick(bench, vm, beyond=(await tick(bench, vm)).counter + count)


async def in_state(bench: Bench, vm: Ref[VM], state: VMPowerState) -> None:
    """Bring a Halted VM to a power state by way of a boot and some ticks; Halted does nothing."""
    if state is VMPowerState.Halted:
        return
    await bench.session.VM.start(vm)
    await some_ticks(bench, vm)
    if state is VMPowerState.Paused:
        await bench.session.VM.pause(vm)
    elif state is VMPowerState.Suspended:
        await bench.session.VM.suspend(vm)


async def go_on(bench: Bench, vm: Ref[VM]) -> Tick:
    """Let the guest count, whatever the VM's state; it runs afterwards."""
    state = bench.vm(vm).power_state
    if state is VMPowerState.Halted:
        await bench.session.VM.start(vm)
    elif state is VMPowerState.Paused:
        await bench.session.VM.unpause(vm)
    elif state is VMPowerState.Suspended:
        await bench.session.VM.resume(vm)
    return await some_ticks(bench, vm)


async def snapshot(bench: Bench, vm: Ref[VM], name: str = "snap", ignored: Sequence[Ref[VDI]] = ()) -> Ref[VM]:
    """Take a snapshot as a task, as clients do."""
    return Ref(await bench.run(VMCalls.snapshot, vm, name, list(ignored)))


async def reached(bench: Bench, vm: str, state: VMPowerState) -> None:
    """Wait for a power state."""
    async with asyncio.timeout(PATIENCE):
        await bench.state(vm, state)


async def pictured(bench: Bench, snap: str) -> None:
    """Wait for the picture of a snapshot, which arrives after it."""
    async with asyncio.timeout(PATIENCE):
        while not bench.vm(snap).blobs:  # noqa: ASYNC110
            await asyncio.sleep(0.02)


def counter(bench: Bench, vm: str, device: str = "0") -> int:
    """The counter on a VM's or snapshot's disk, as a guest would see it."""
    sector = read_counter(bench.image(vm, device))
    assert sector.magic_ok
    return sector.counter


def content(path: Path) -> str:
    """A digest of all that a guest would see of an image; no guest may be writing to it."""
    argv = ["qemu-img", "convert", "-U", "-f", "qcow2", "-O", "raw", str(path), f"{path}.read"]
    subprocess.run(argv, check=True, capture_output=True)
    raw = Path(f"{path}.read")
    try:
        return hashlib.sha256(raw.read_bytes()).hexdigest()
    finally:
        raw.unlink()


def contents(bench: Bench, vm: str, devices: Iterable[str]) -> dict[str, str]:
    """The digests of several disks of a VM or snapshot."""
    return {device: content(bench.image(vm, device)) for device in devices}


def disks_of(bench: Bench, vm: str) -> dict[str, Ref[VDI]]:
    """The disks that a VM or snapshot holds, by device number; drives left out."""
    vbds = [bench.store.get(VBD, vbd) for vbd in bench.vm(vm).VBDs]
    return {vbd.userdevice: vbd.VDI for vbd in vbds if vbd.type.value == "Disk"}


def messages(bench: Bench, vm: str) -> list[str]:
    """The names of the messages about a VM."""
    return [m.name for m in bench.store.all(Message).values() if m.obj_uuid == bench.vm(vm).uuid]


def pid_of(data: Path, uuid: str) -> int:
    """The process of a guest, from its record."""
    pid = json.loads((data / "vm" / uuid / "vm.json").read_text())["pid"]
    assert isinstance(pid, int)
    return pid


def processes_of(data: Path) -> list[int]:
    """The living guests of a data folder."""
    found = []
    for entry in Path("/proc").iterdir():
        if entry.name.isdigit() and int(entry.name) != os.getpid():
            try:
                command = (entry / "cmdline").read_bytes()
            except OSError:
                continue
            if b"-uuid" in command and os.fsencode(data) in command:
                found.append(int(entry.name))
    return found


def images_of(bench: Bench) -> set[str]:
    """The disk images in the storage repository."""
    return set(_repository(bench).image_ids())


def assert_tidy(bench: Bench) -> None:
    """Every file has a record that holds it, every record its file, and nothing is under way or on its way out."""
    repository = _repository(bench)
    sr = bench.sr()
    mine = [vdi for vdi in bench.store.all(VDI).values() if sr == vdi.SR]
    disks = [vdi.location for vdi in mine if vdi.type is not VDIType.suspend]
    memory = [f"{vdi.location}.ram" for vdi in mine if vdi.type is VDIType.suspend]
    assert sorted(path.name for path in (repository.root / "img").iterdir()) == sorted(f"{d}.qcow2" for d in disks)
    assert sorted(path.name for path in (repository.root / "mem").iterdir()) == sorted(memory)
    assert list((repository.root / "trash").iterdir()) == []
    assert [entry.op for entry in bench.engine.context.journal.pending()] == []
    pictures = {f"{ref.removeprefix('OpaqueRef:')}.png" for ref in bench.store.all(Blob)}
    assert {path.name for path in bench.engine.context.screenshots.iterdir()} == pictures
    assert not any(FOUND_KEY in vdi.other_config for vdi in mine), "images had lost their records"
    for image in disks:
        repository.verify(image)
    for vm in bench.store.all(VM).values():
        if not vm.is_a_snapshot and vm.power_state is not VMPowerState.Suspended:
            assert vm.suspend_VDI == "OpaqueRef:NULL"


def _repository(bench: Bench) -> FileRepository:
    return bench.engine.context.files(bench.sr())


def sr_folder(bench: Bench) -> Path:
    """The folder of the storage repository of disks."""
    assert bench.store.get(SR, bench.sr()).type == "file"
    return _repository(bench).root
