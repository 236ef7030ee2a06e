"""Damaged images, a full disk, a QEMU that refuses or is not there: told with the cause, and nothing changed."""

from __future__ import annotations

import os
import shutil
import subprocess
from collections.abc import AsyncIterator, Iterator
from pathlib import Path
from typing import Any

import pytest

from app.api import VDI, Failure, Host, Ref, VDICalls, VMCalls, VMPowerState
from app.client import wait_for
from app.engine.engine import CannotOpen
from tests.engine.vm.guests import (
    DATA,
    SMALL,
    assert_tidy,
    contents,
    counter,
    disks_of,
    images_of,
    in_state,
    processes_of,
    reached,
    snapshot,
    some_ticks,
    sr_folder,
)
from tests.support.engine import Bench, open_bench
from tests.support.guest_disk import read_bytes, write_bytes

MIB = 1 << 20


def records(bench: Bench) -> dict[str, Any]:
    """All that the engine holds of VMs and disks, sizes left out."""
    names = ("VM", "VBD", "VDI", "VIF", "VM_metrics", "console", "blob")
    held: dict[str, dict[str, Any]] = {name: dict(bench.store.of_class(name)) for name in names}
    for ref, vdi in bench.store.all(VDI).items():
        held["VDI"][ref] = (vdi.location, vdi.VBDs, vdi.managed, vdi.snapshot_of)
    return held


def files(bench: Bench) -> dict[str, int]:
    """Every file of the repository with its mode."""
    return {str(p.relative_to(sr_folder(bench))): p.stat().st_mode for p in sr_folder(bench).rglob("*")}


def qemu_img(*arguments: str | Path) -> None:
    subprocess.run(["qemu-img", *arguments], check=True)


async def refused(bench: Bench, message: Any, *args: Any) -> Failure:
    """Run a message that must fail and change nothing."""
    before = records(bench), files(bench)
    with pytest.raises(Failure) as caught:
        await bench.run(message, *args)
    assert (records(bench), files(bench)) == before
    assert bench.engine.context.journal.pending() == []
    return caught.value


# Images


@pytest.mark.parametrize("damage", ["missing", "not an image", "cut short", "a missing parent", "mappings"])
async def test_a_disk_that_cannot_be_used_is_named(bench: Bench, folder: Path, damage: str) -> None:
    vm = await bench.sample_vm()
    snap = await snapshot(bench, vm)
    await in_state(bench, vm, VMPowerState.Running)
    await bench.session.VM.hard_shutdown(vm)
    image = bench.image(snap) if damage == "a missing parent" else bench.image(vm)
    kept = folder / "kept.qcow2"
    shutil.copy2(image, kept)
    if damage in ("missing", "a missing parent"):
        image.unlink()
    elif damage == "not an image":
        image.write_bytes(b"some text, much too short".ljust(600, b"\n"))
    elif damage == "cut short":
        os.truncate(image, 50)
    else:
        with image.open("r+b") as file:
            file.seek(40)  # l1_table_offset
            file.write((1 << 40).to_bytes(8, "big"))
    failure = await refused(bench, VMCalls.start, vm)
    assert failure.code == "SR_BACKEND_FAILURE_46"
    assert image.name in failure.params[1]
    assert processes_of(folder) == []
    image.unlink(missing_ok=True)
    shutil.move(kept, image)
    await bench.session.VM.start(vm)
    await some_ticks(bench, vm)


async def test_revert_to_a_damaged_snapshot_leaves_the_guest_running(bench: Bench) -> None:
    vm = await bench.sample_vm()
    await in_state(bench, vm, VMPowerState.Running)
    snap = await snapshot(bench, vm)
    other = await snapshot(bench, vm)
    ticked = await some_ticks(bench, vm)
    image = bench.image(snap)
    image.rename(image.with_suffix(".away"))
    try:
        before = records(bench)
        with pytest.raises(Failure) as caught:
            await bench.run(VMCalls.revert, snap)
        assert caught.value.code == "SR_BACKEND_FAILURE_46"
        assert image.name in str(caught.value)
        assert records(bench) == before
    finally:
        image.with_suffix(".away").rename(image)
    assert (await some_ticks(bench, vm)).since_boot > ticked.since_boot
    assert bench.vm(vm).parent == other


async def test_qemus_own_words_reach_the_user(bench: Bench, folder: Path) -> None:
    """Another program holds the image: only QEMU can know."""
    vm = await bench.sample_vm()
    holder = subprocess.Popen(  # noqa: ASYNC220
        ["qemu-io", "-f", "qcow2", str(bench.image(vm))], stdin=subprocess.PIPE, stdout=subprocess.PIPE
    )
    try:
        assert holder.stdin is not None and holder.stdout is not None
        holder.stdin.write(b"length\n")
        holder.stdin.flush()
        holder.stdout.readline()  # it has the image open now
        failure = await refused(bench, VMCalls.start, vm)
    finally:
        holder.communicate()
    assert failure.code == "VM_HYPERVISOR_FAILURE"
    assert failure.params[0] == vm
    assert 'Failed to get "write" lock' in failure.params[1]
    assert processes_of(folder) == []
    await bench.session.VM.start(vm)
    await some_ticks(bench, vm)


# A full disk


@pytest.fixture
def small(found_facts: Path, data_dir: Path) -> Iterator[Path]:
    """A data folder on a file system of 96 MiB."""
    if os.geteuid() != 0:
        pytest.skip("only root can mount a file system")
    data_dir.mkdir(mode=0o700)
    command = ["mount", "-t", "tmpfs", "-o", "size=96m,mode=700", "tmpfs", str(data_dir)]
    if subprocess.run(command, capture_output=True, check=False).returncode != 0:
        pytest.skip("mounting is not possible here")
    (data_dir / "journal").mkdir(mode=0o700)
    shutil.copy(found_facts, data_dir / "hypervisor.json")
    yield data_dir
    subprocess.run(["umount", str(data_dir)], check=True)


@pytest.fixture
async def cramped(small: Path) -> AsyncIterator[Bench]:
    """An engine on the small file system."""
    async with open_bench(small) as bench:
        yield bench
        assert_tidy(bench)


class Filler:
    """A file that takes all the space but what is asked for."""

    def __init__(self, folder: Path) -> None:
        self._path = folder / "filler"

    def leave(self, size: int) -> None:
        free = shutil.disk_usage(self._path.parent).free
        with self._path.open("ab") as file:
            os.posix_fallocate(file.fileno(), file.tell(), free - size)

    def go(self) -> None:
        self._path.unlink()


@pytest.mark.parametrize("state", list(VMPowerState))
async def test_a_snapshot_on_a_full_disk_changes_nothing(cramped: Bench, small: Path, state: VMPowerState) -> None:
    bench, filler = cramped, Filler(small)
    vm = await bench.sample_vm(disks=4, size=SMALL)
    await in_state(bench, vm, state)
    filler.leave(0)
    failure = await refused(bench, VMCalls.snapshot, vm, "no room")
    assert failure.code == "SR_BACKEND_FAILURE_44"
    filler.go()
    snap = await snapshot(bench, vm)
    assert bench.vm(vm).parent == snap
    if state is VMPowerState.Running:
        await some_ticks(bench, vm)


async def test_what_needs_room_says_so_and_changes_nothing(cramped: Bench, small: Path) -> None:
    bench, filler = cramped, Filler(small)
    vm = await bench.sample_vm(disks=2, size=SMALL)
    snap = await snapshot(bench, vm)
    template = await bench.session.VM.clone(snap, "template")
    source = small.parent / "source.raw"
    source.write_bytes(os.urandom(2 * MIB))
    filler.leave(0)
    attempts: list[tuple[Any, ...]] = [
        (VMCalls.revert, snap),
        (VMCalls.clone, vm, "no room"),
        (VMCalls.clone, snap, "no room"),
        (VDICalls.create, {"SR": bench.sr(), "virtual_size": MIB, "name_label": "no room"}),
        (VDICalls.import_file, bench.sr(), str(source), "no room"),
    ]
    for message, *args in attempts:
        failure = await refused(bench, message, *args)
        assert failure.code == "SR_BACKEND_FAILURE_44", message
    filler.go()
    await bench.run(VMCalls.revert, snap)
    await bench.session.VM.provision(template)
    await bench.session.VM.start(vm)
    await some_ticks(bench, vm)


async def test_suspend_without_room_lets_the_guest_go_on(cramped: Bench, small: Path) -> None:
    bench, filler = cramped, Filler(small)
    vm = await bench.sample_vm()
    await in_state(bench, vm, VMPowerState.Running)
    filler.leave(2 * MIB)
    failure = await refused(bench, VMCalls.suspend, vm)
    assert failure.code == "SR_BACKEND_FAILURE_44"
    assert bench.vm(vm).power_state is VMPowerState.Running
    await some_ticks(bench, vm)


async def test_a_disk_that_fills_up_while_memory_is_written(
    cramped: Bench, small: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """As if somebody else had taken the room after we looked."""
    bench, filler = cramped, Filler(small)
    vm = await bench.sample_vm()
    await in_state(bench, vm, VMPowerState.Running)
    monkeypatch.setattr(type(bench.engine.context.files(bench.sr())), "require_free", lambda *_: None)
    filler.leave(MIB // 2)
    before = records(bench), files(bench)
    with pytest.raises(Failure) as caught:
        await bench.run(VMCalls.suspend, vm)
    assert "No space left" in str(caught.value)
    assert (records(bench), files(bench)) == before
    filler.go()
    assert bench.vm(vm).power_state is VMPowerState.Running
    await some_ticks(bench, vm)


async def test_a_guest_whose_writes_fail_stands_still_and_goes_on(cramped: Bench, small: Path) -> None:
    bench, filler = cramped, Filler(small)
    vm = await bench.sample_vm()
    await in_state(bench, vm, VMPowerState.Running)
    await bench.session.VM.pause(vm)
    await snapshot(bench, vm)
    filler.leave(0)
    await bench.session.VM.unpause(vm)  # its next write needs a cluster in the new overlay
    filler.leave(0)  # the engine may have given up its reserve to record that
    await reached(bench, vm, VMPowerState.Paused)
    stopped = counter(bench, vm)
    filler.go()
    await bench.session.VM.unpause(vm)
    assert (await some_ticks(bench, vm)).counter >= stopped


async def test_deletion_works_on_a_full_disk(cramped: Bench, small: Path) -> None:
    """It is what people do then."""
    bench, filler = cramped, Filler(small)
    vm = await bench.sample_vm()
    write_bytes(bench.image(vm), DATA, os.urandom(MIB))
    await snapshot(bench, vm)
    keep = await bench.sample_vm("keep")
    filler.leave(64 * 1024)
    await bench.run(VMCalls.uninstall, vm, True)
    assert images_of(bench) == {bench.store.get(VDI, disks_of(bench, keep)["0"]).location}
    assert shutil.disk_usage(small).free > MIB


# QEMU


@pytest.mark.parametrize("how", ["named", "not installed"])
async def test_without_qemu_the_engine_opens_and_a_start_says_what_to_do(
    data_dir: Path, monkeypatch: pytest.MonkeyPatch, how: str
) -> None:
    if how == "named":
        monkeypatch.setenv("STILLFRAME_QEMU", "/nonexistent")
    else:
        real = shutil.which
        monkeypatch.setattr(
            "app.hypervisor.program.shutil.which",
            lambda name, **more: None if "system" in name else real(name, **more),
        )
    async with open_bench(data_dir) as bench:
        vm = await bench.sample_vm()
        failure = await refused(bench, VMCalls.start, vm)
        assert failure.code == "VM_HYPERVISOR_FAILURE"
        assert ("/nonexistent" if how == "named" else "qemu-system-x86") in failure.params[1]
        assert bench.vm(vm).power_state is VMPowerState.Halted
        # All that needs no guest works.
        snap = await snapshot(bench, vm)
        write_bytes(bench.image(vm), DATA, b"changed")
        before = contents(bench, snap, ["0"])
        await bench.run(VMCalls.revert, snap)
        assert contents(bench, vm, ["0"]) == before
        assert_tidy(bench)
    async with open_bench(data_dir) as bench:
        assert bench.vm(vm).parent == snap
        host = bench.engine.context.host
        while "hypervisor-error" not in bench.store.get(Host, host).software_version:
            await bench.session.event.from_(["host"], bench.store.feed.token(), 0.05)
        assert not bench.store.get(Host, host).enabled


# Imports


FORMATS = ["raw", "qcow2", "vmdk", "vpc", "vhdx"]


@pytest.mark.parametrize("made_as", FORMATS)
async def test_a_disk_image_of_every_format_can_be_imported(bench: Bench, tmp_path: Path, made_as: str) -> None:
    raw, source = tmp_path / "source.raw", tmp_path / f"source.{made_as}"
    data = os.urandom(65536)
    with raw.open("wb") as file:
        file.truncate(8 * MIB)
        file.seek(3 * MIB)
        file.write(data)
    if made_as != "raw":
        qemu_img("convert", "-f", "raw", "-O", made_as, raw, source)
    facts = await bench.session.VDI.inspect_file(str(source))
    assert facts["format"] == made_as
    ref: Ref[VDI] = Ref(await bench.run(VDICalls.import_file, bench.sr(), str(source), "imported"))
    vdi = bench.store.get(VDI, ref)
    # A VHD's size is rounded up to what its geometry can say.
    assert 8 * MIB <= vdi.virtual_size == int(facts["virtual_size"]) < 9 * MIB
    path = bench.engine.context.files(bench.sr()).image_path(vdi.location)
    assert read_bytes(path, 3 * MIB, len(data)) == data
    vm = await bench.sample_vm()
    await bench.session.VBD.create(
        {"VM": vm, "VDI": ref, "userdevice": "1", "type": "Disk", "mode": "RW", "other_config": {"owner": ""}}
    )
    snap = await snapshot(bench, vm)
    await bench.session.VM.start(vm)
    await some_ticks(bench, vm)
    await bench.run(VMCalls.revert, snap)
    assert read_bytes(bench.image(vm, "1"), 3 * MIB, len(data)) == data


async def test_a_cancelled_import_leaves_nothing(bench: Bench, tmp_path: Path) -> None:
    source = tmp_path / "large.raw"
    with source.open("wb") as file:
        for _ in range(64):
            file.write(os.urandom(MIB) * 4)
    before = records(bench), files(bench)
    task = await bench.session.start(VDICalls.import_file, bench.sr(), str(source), "cancelled")
    part = sr_folder(bench) / "img"
    while not list(part.iterdir()):  # the conversion has begun
        await bench.session.event.from_(["task"], bench.store.feed.token(), 0.02)
    await bench.session.task.cancel(task)
    with pytest.raises(Failure) as caught:
        await wait_for(bench.session, bench.cache, task)
    assert caught.value.code == "TASK_CANCELLED"
    assert (records(bench), files(bench)) == before


@pytest.mark.parametrize("path", ["/nonexistent/disk.raw", "relative.raw", "", "/etc", "/dev/null"])
async def test_what_is_no_image_is_refused(bench: Bench, path: str) -> None:
    failure = await refused(bench, VDICalls.import_file, bench.sr(), path, "no image")
    assert failure.code in ("INVALID_VALUE", "SR_BACKEND_FAILURE_46", "OPERATION_NOT_ALLOWED")
    assert path in str(failure)


async def test_an_image_with_a_parent_of_its_own_is_refused(bench: Bench, tmp_path: Path) -> None:
    base, overlay = tmp_path / "base.raw", tmp_path / "overlay.qcow2"
    base.write_bytes(bytes(MIB))
    qemu_img("create", "-q", "-f", "qcow2", "-F", "raw", "-b", base, overlay)
    failure = await refused(bench, VDICalls.import_file, bench.sr(), str(overlay), "overlay")
    assert failure.code == "OPERATION_NOT_ALLOWED"
    assert "overlay.qcow2" in str(failure)


# A folder that cannot be opened


async def test_a_damaged_database_is_named_and_left_alone(data_dir: Path) -> None:
    async with open_bench(data_dir) as bench:
        vm = await bench.sample_vm()
        image = bench.image(vm)
    database, before = data_dir / "stillframe.db", b"this is not a database".ljust(8192, b"!")
    database.write_bytes(before)
    with pytest.raises(CannotOpen) as caught:
        async with open_bench(data_dir):
            pass
    assert str(database) in str(caught.value)
    assert caught.value.advice
    assert database.read_bytes() == before
    assert image.exists()
