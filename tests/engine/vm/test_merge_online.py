"""Merging while the guest runs: it counts on, what its snapshots show stays, and QEMU lets go of what is freed."""

from __future__ import annotations

import asyncio
import os
import signal
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

import pytest

from app import crash_points
from app.api import VDI, VM, Failure, Ref, Task, TaskStatus, VMCalls, VMPowerState
from tests.engine.vm.guests import (
    DATA,
    Tick,
    assert_tidy,
    contents,
    counter,
    disks_of,
    images_of,
    in_state,
    pid_of,
    reached,
    snapshot,
    some_ticks,
)
from tests.engine.vm.test_merge import begun, depth, hidden, none_hidden, pending, set_speed
from tests.engine.vm.test_removal import uninstall
from tests.support.engine import Bench, open_bench
from tests.support.guest_disk import write_bytes

MIB = 1 << 20
NAMES = ("root", "middle", "top")


async def chained(bench: Bench, disks: int = 1) -> tuple[Ref[VM], dict[str, Ref[VM]]]:
    """A running VM and its snapshots one after the other, with ticks in between and a megabyte in the root."""
    vm = await bench.sample_vm(disks=disks, size=2 * MIB)
    write_bytes(bench.image(vm), DATA, b"root" * (MIB // 4))
    await in_state(bench, vm, VMPowerState.Running)
    snaps = {}
    for name in NAMES:
        snaps[name] = await snapshot(bench, vm, name)
        await some_ticks(bench, vm)
    return vm, snaps


@asynccontextmanager
async def unchanged(bench: Bench, vm: Ref[VM], *snaps: Ref[VM]) -> AsyncIterator[Tick]:
    """Whatever happens, the snapshots show the same afterwards, and the guest has not missed a tick."""
    devices = sorted(disks_of(bench, vm))
    before = {snap: contents(bench, snap, devices) for snap in snaps}
    ticked = await some_ticks(bench, vm)
    yield ticked
    after = await some_ticks(bench, vm)
    assert after.since_boot - ticked.since_boot == after.counter - ticked.counter > 0
    assert {snap: contents(bench, snap, devices) for snap in snaps} == before


def held_open(bench: Bench, folder: Path, vm: str) -> set[str]:
    """The images that the guest's QEMU has open."""
    files = Path(f"/proc/{pid_of(folder, bench.vm(vm).uuid)}/fd").iterdir()
    return {link.readlink().name for link in files if ".qcow2" in str(link.readlink())}


@pytest.mark.parametrize("state", [VMPowerState.Running, VMPowerState.Paused])
@pytest.mark.parametrize("which", NAMES)
async def test_a_deleted_snapshot_s_image_is_merged(
    bench: Bench, folder: Path, which: str, state: VMPowerState
) -> None:
    vm, snaps = await chained(bench, disks=2)
    doomed = snaps.pop(which)
    async with unchanged(bench, vm, *snaps.values()):
        if state is VMPowerState.Paused:
            await bench.session.VM.pause(vm)
        await uninstall(bench, doomed)
        assert len(images_of(bench)) == 8
        await bench.coalesce()
        assert len(images_of(bench)) == 6 and depth(bench, vm) == 3
        assert hidden(bench) == [] and await pending(bench) == {}
        assert held_open(bench, folder, vm) == {f"{image}.qcow2" for image in images_of(bench)}
        if state is VMPowerState.Paused:
            await bench.session.VM.unpause(vm)
    files = bench.engine.context.files(bench.sr())
    for snap in snaps.values():
        assert all(files.is_frozen(bench.store.get(VDI, vdi).location) for vdi in disks_of(bench, snap).values())
    await bench.session.VM.clean_reboot(vm)
    await some_ticks(bench, vm)


async def test_all_snapshots_deleted_leave_one_file(bench: Bench, folder: Path) -> None:
    vm, snaps = await chained(bench)
    async with unchanged(bench, vm):
        for snap in snaps.values():
            await uninstall(bench, snap)
        await bench.coalesce()
        assert len(images_of(bench)) == depth(bench, vm) == 1
        assert len(held_open(bench, folder, vm)) == 1
        await snapshot(bench, vm, "again")
    count = counter(bench, vm)
    await bench.session.VM.hard_shutdown(vm)
    assert counter(bench, vm) >= count


async def test_a_snapshot_does_not_wait_for_a_merge(bench: Bench) -> None:
    vm, snaps = await chained(bench)
    await set_speed(bench, 1000)
    async with unchanged(bench, vm, snaps["root"], snaps["middle"]):
        await uninstall(bench, snaps["top"])
        merging = asyncio.ensure_future(bench.coalesce())
        await some_ticks(bench, vm)
        new = await snapshot(bench, vm, "new")
        await set_speed(bench, 0)
        await merging
        assert depth(bench, vm) == 4
        assert counter(bench, new) <= counter(bench, vm)


async def test_a_base_that_two_guests_use_waits_for_one_to_end(bench: Bench) -> None:
    vm = await bench.sample_vm()
    first, second = await snapshot(bench, vm, "first"), await snapshot(bench, vm, "second")
    clone = Ref[VM](await bench.run(VMCalls.clone, second, "clone"))
    await bench.session.VM.provision(clone)
    for guest in (vm, clone):
        await in_state(bench, guest, VMPowerState.Running)
    await uninstall(bench, first)
    await bench.coalesce()
    (state,) = (await pending(bench)).values()
    assert state["state"] == "blocked" and "Several running VMs" in state["reason"]
    await bench.session.VM.hard_shutdown(clone)
    before = contents(bench, clone, "0"), contents(bench, second, "0")
    await bench.coalesce()
    assert depth(bench, vm) == depth(bench, clone) == 2
    assert (contents(bench, clone, "0"), contents(bench, second, "0")) == before
    await bench.session.VM.start(clone)
    await some_ticks(bench, clone)
    await some_ticks(bench, vm)


async def test_a_revert_ends_a_merge(bench: Bench) -> None:
    vm, snaps = await chained(bench)
    before = contents(bench, snaps["root"], "0")
    await set_speed(bench, 20_000)
    await uninstall(bench, snaps["middle"])
    merging = asyncio.ensure_future(bench.coalesce())
    await some_ticks(bench, vm)
    await bench.run(VMCalls.revert, snaps["root"])
    assert contents(bench, vm, "0") == before
    await set_speed(bench, 0)
    await merging
    assert len(images_of(bench)) == 3
    assert contents(bench, snaps["root"], "0") == before


# Deaths


async def test_a_merge_goes_on_without_the_engine(folder: Path) -> None:
    async with open_bench(folder, kill_guests=False) as bench:
        vm, snaps = await chained(bench)
        before = contents(bench, snaps["root"], "0"), contents(bench, snaps["top"], "0")
        await set_speed(bench, 20_000)
        await uninstall(bench, snaps["middle"])
        merging = asyncio.ensure_future(bench.coalesce())
        await begun(bench)
    await asyncio.gather(merging, return_exceptions=True)
    async with open_bench(folder) as bench:
        await none_hidden(bench)
        assert depth(bench, vm) == 3
        assert (contents(bench, snaps["root"], "0"), contents(bench, snaps["top"], "0")) == before
        await some_ticks(bench, vm)
        assert_tidy(bench)


@pytest.mark.parametrize("which", NAMES)
async def test_a_guest_that_dies_in_a_merge_loses_nothing(bench: Bench, folder: Path, which: str) -> None:
    vm, snaps = await chained(bench)
    doomed = snaps.pop(which)
    before = {snap: contents(bench, snap, "0") for snap in snaps.values()}
    await set_speed(bench, 20_000)
    ticked = await some_ticks(bench, vm)
    await uninstall(bench, doomed)
    merging = asyncio.ensure_future(bench.coalesce())
    await begun(bench)
    os.kill(pid_of(folder, bench.vm(vm).uuid), signal.SIGKILL)
    await reached(bench, vm, VMPowerState.Halted)
    await set_speed(bench, 0)
    with_failure = await asyncio.gather(merging, return_exceptions=True)
    assert isinstance(with_failure[0], Failure | None)
    assert counter(bench, vm) >= ticked.counter
    assert {snap: contents(bench, snap, "0") for snap in snaps.values()} == before
    await bench.coalesce()
    assert depth(bench, vm) == 3
    assert {snap: contents(bench, snap, "0") for snap in snaps.values()} == before
    await bench.session.VM.start(vm)
    await some_ticks(bench, vm)


async def test_a_cancelled_merge_leaves_all_as_it_was(bench: Bench) -> None:
    vm, snaps = await chained(bench)
    await set_speed(bench, 1000)
    async with unchanged(bench, vm, snaps["root"], snaps["top"]):
        await uninstall(bench, snaps["middle"])
        merging = asyncio.ensure_future(bench.coalesce())
        task = await begun(bench, progress=-1)
        await bench.session.task.cancel(task)
        await merging
        assert bench.store.get(Task, task).status is TaskStatus.cancelled
        assert_tidy(bench)
        await set_speed(bench, 0)
        await bench.coalesce()
        assert depth(bench, vm) == 3


@pytest.mark.parametrize("point", ["merge.proven", "merge.finalized", "merge.switched", "merge.job_started"])
async def test_an_error_at_any_step_is_survived(bench: Bench, monkeypatch: pytest.MonkeyPatch, point: str) -> None:
    vm, snaps = await chained(bench)
    async with unchanged(bench, vm, snaps["root"], snaps["top"]):
        await uninstall(bench, snaps["middle"])
        crash_points.reset()
        monkeypatch.setenv("STILLFRAME_FAIL_AT", f"{point}:1:enospc")
        with pytest.raises(Failure):
            await bench.coalesce()
        assert_tidy(bench)
        await bench.coalesce()
        assert depth(bench, vm) == 3


async def test_a_guest_can_be_ended_whatever_is_unsettled(bench: Bench, monkeypatch: pytest.MonkeyPatch) -> None:
    vm, snaps = await chained(bench)
    before = contents(bench, snaps["top"], "0")
    await uninstall(bench, snaps["middle"])
    monkeypatch.setenv("STILLFRAME_FAIL_AT", "merge.recorded")
    with pytest.raises(Failure):
        await bench.coalesce()
    with pytest.raises(Failure) as caught:
        await bench.session.VM.pause(vm)
    assert "unsettled" in str(caught.value)
    await bench.session.VM.hard_shutdown(vm)
    monkeypatch.delenv("STILLFRAME_FAIL_AT")
    await bench.session.VM.start(vm)
    await some_ticks(bench, vm)
    assert depth(bench, vm) == 3 and contents(bench, snaps["top"], "0") == before
