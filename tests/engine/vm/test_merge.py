"""Merging what deleted snapshots leave behind, no guest running: every byte stays, files and depth go."""

from __future__ import annotations

import asyncio
from collections.abc import Mapping
from pathlib import Path

import pytest

from app.api import SR, VDI, VM, Failure, Ref, Task, TaskStatus, VMCalls, VMPowerState
from app.ops.merge_run import SPEED_KEY
from tests.engine.vm.guests import (
    DATA,
    PATIENCE,
    assert_tidy,
    contents,
    counter,
    disks_of,
    images_of,
    in_state,
    snapshot,
    some_ticks,
    sr_folder,
)
from tests.engine.vm.test_removal import reads, three, uninstall
from tests.support.engine import Bench, open_bench
from tests.support.guest_disk import write_bytes

MIB = 1 << 20


def depth(bench: Bench, vm: str) -> int:
    """The length of the chain of a VM's or snapshot's first disk."""
    vdi = bench.store.get(VDI, disks_of(bench, vm)["0"])
    return bench.engine.context.files(vdi.SR).depth(vdi.location)


def hidden(bench: Bench) -> list[VDI]:
    """The base copies."""
    return [vdi for vdi in bench.store.all(VDI).values() if not vdi.managed]


async def pending(bench: Bench) -> Mapping[str, Mapping[str, str]]:
    return await bench.session.SR.get_pending_merges(bench.sr())


async def set_speed(bench: Bench, speed: int) -> None:
    """Bytes a second for merges; 0 takes the limit away."""
    await bench.session.set(SR, bench.sr(), other_config={SPEED_KEY: str(speed)})


async def begun(bench: Bench, progress: float = 0.0) -> Ref[Task]:
    """Wait until a merge has copied more than this, and answer its task."""
    async with asyncio.timeout(PATIENCE):
        while True:
            for ref, task in bench.store.all(Task).items():
                if task.other_config.get("vdi") and task.status is TaskStatus.pending and task.progress > progress:
                    return ref
            await asyncio.sleep(0.02)


async def none_hidden(bench: Bench) -> None:
    """Wait until all is merged and nothing is under way."""
    async with asyncio.timeout(PATIENCE):
        while hidden(bench) or bench.engine.context.merging.running:  # noqa: ASYNC110
            await asyncio.sleep(0.02)


async def slow(bench: Bench) -> tuple[Ref[VM], Ref[VM]]:
    """A Halted VM with a snapshot left, and a merge due that takes half a minute."""
    vm = await bench.sample_vm()
    write_bytes(bench.image(vm), DATA, b"one" * MIB)
    first = await snapshot(bench, vm, "first")
    write_bytes(bench.image(vm), DATA, b"two" * MIB)
    second = await snapshot(bench, vm, "second")
    write_bytes(bench.image(vm), DATA, b"three")
    await uninstall(bench, first)
    await set_speed(bench, 100_000)
    return vm, second


@pytest.mark.parametrize("which", ["root", "middle", "top"])
async def test_a_deleted_snapshot_s_image_is_merged(bench: Bench, which: str) -> None:
    vm = await bench.sample_vm()
    snaps = dict(zip(("root", "middle", "top"), await three(bench, vm), strict=True))
    await uninstall(bench, snaps.pop(which))
    assert len(images_of(bench)) == depth(bench, vm) == 4
    (waiting,) = (await pending(bench)).values()
    assert (waiting["state"], waiting["vm"]) == ("waiting", vm)
    await bench.coalesce()
    assert len(images_of(bench)) == depth(bench, vm) == 3
    assert await pending(bench) == {}
    assert hidden(bench) == []
    for name, snap in snaps.items():
        assert reads(bench, snap, name.encode())
    assert reads(bench, vm, b"current")
    left = min(snaps.values())
    await bench.run(VMCalls.revert, left)
    assert contents(bench, vm, "0") == contents(bench, left, "0")
    await bench.session.VM.start(vm)
    await some_ticks(bench, vm)


async def test_all_snapshots_deleted_leave_one_file(bench: Bench) -> None:
    vm = await bench.sample_vm(disks=2, size=2 * MIB)
    for snap in await three(bench, vm):
        await uninstall(bench, snap)
    before = contents(bench, vm, "01")
    await bench.coalesce()
    assert len(images_of(bench)) == 2
    assert contents(bench, vm, "01") == before
    assert all("vhd-parent" not in bench.store.get(VDI, vdi).sm_config for vdi in disks_of(bench, vm).values())
    write_bytes(bench.image(vm), DATA, b"writable")
    await bench.session.VM.start(vm)
    await some_ticks(bench, vm)


async def test_a_suspended_vm_goes_on_after_a_merge(bench: Bench) -> None:
    vm = await bench.sample_vm()
    await in_state(bench, vm, VMPowerState.Running)
    first, second = await snapshot(bench, vm, "first"), await snapshot(bench, vm, "second")
    ticked = await some_ticks(bench, vm)
    await bench.session.VM.suspend(vm)
    frozen, count = contents(bench, second, "0"), counter(bench, vm)
    await uninstall(bench, first)
    await bench.coalesce()
    assert depth(bench, vm) == 2
    assert contents(bench, second, "0") == frozen and counter(bench, vm) == count
    await bench.session.VM.resume(vm)
    assert (await some_ticks(bench, vm)).since_boot > ticked.since_boot


async def test_a_base_with_two_children_waits_until_one_is_left(bench: Bench) -> None:
    vm = await bench.sample_vm()
    clone = await bench.session.VM.clone(vm, "clone")
    write_bytes(bench.image(clone), DATA, b"clone")
    write_bytes(bench.image(vm), DATA, b"source")
    assert len(hidden(bench)) == 1
    assert await pending(bench) == {}
    await bench.coalesce()
    assert len(images_of(bench)) == 3
    await uninstall(bench, clone)
    await bench.coalesce()
    assert len(images_of(bench)) == 1
    assert reads(bench, vm, b"source")


async def test_a_child_that_clones_share_takes_them_along(bench: Bench) -> None:
    vm = await bench.sample_vm()
    root, middle, top = await three(bench, vm)
    clones = [Ref[VM](await bench.run(VMCalls.clone, middle, name)) for name in ("first", "second")]
    write_bytes(bench.image(clones[0]), DATA + 4096, b"first")
    before = {ref: contents(bench, ref, "0") for ref in (vm, middle, top, *clones)}
    await uninstall(bench, root)
    await bench.coalesce()
    assert len(images_of(bench)) == 5
    assert {ref: contents(bench, ref, "0") for ref in before} == before
    image = bench.store.get(VDI, disks_of(bench, middle)["0"]).location
    parents = {bench.store.get(VDI, disks_of(bench, ref)["0"]).sm_config["vhd-parent"] for ref in (top, *clones)}
    assert parents == {image}
    assert bench.engine.context.files(bench.sr()).is_frozen(image)


async def test_disks_without_a_vm_are_merged(bench: Bench) -> None:
    vm = await bench.sample_vm()
    snap = await snapshot(bench, vm)
    await uninstall(bench, snap)
    (disk,) = disks_of(bench, vm).values()
    await bench.run(VMCalls.destroy, vm)
    await bench.coalesce()
    assert len(images_of(bench)) == 1
    await bench.session.VDI.destroy(disk)


# Giving way, cancelling, failing


async def test_a_start_does_not_wait_for_a_merge(bench: Bench) -> None:
    vm, second = await slow(bench)
    frozen = contents(bench, second, "0")
    merging = asyncio.ensure_future(bench.coalesce())
    task = await begun(bench)
    (state,) = (await pending(bench)).values()
    assert (state["state"], state["task"]) == ("running", task)
    assert len([vdi for vdi in hidden(bench) if vdi.current_operations]) == 1
    await bench.session.VM.start(vm)
    assert bench.store.get(Task, task).status is TaskStatus.cancelled
    assert contents(bench, second, "0") == frozen
    merging.cancel()
    await asyncio.gather(merging, return_exceptions=True)
    await some_ticks(bench, vm)
    await bench.session.VM.hard_shutdown(vm)
    await set_speed(bench, 0)
    await bench.coalesce()
    assert depth(bench, vm) == 2
    assert contents(bench, second, "0") == frozen


async def test_a_merge_that_gave_way_goes_on_afterwards(bench: Bench) -> None:
    vm, second = await slow(bench)
    merging = asyncio.ensure_future(bench.coalesce())
    await begun(bench)
    await set_speed(bench, 0)
    third = await snapshot(bench, vm, "third")
    await merging
    assert depth(bench, vm) == 3
    assert reads(bench, second, b"two") and reads(bench, third, b"three") and reads(bench, vm, b"three")


async def test_a_cancelled_merge_waits_to_be_asked_for(bench: Bench) -> None:
    vm, second = await slow(bench)
    merging = asyncio.ensure_future(bench.coalesce())
    await bench.session.task.cancel(await begun(bench))
    await merging
    assert_tidy(bench)
    (state,) = (await pending(bench)).values()
    assert (state["state"], state["reason"]) == ("waiting", "It was cancelled.")
    assert reads(bench, second, b"two") and reads(bench, vm, b"three")
    await set_speed(bench, 0)
    await bench.coalesce()
    assert depth(bench, vm) == 2


async def test_what_does_not_fit_waits_and_nothing_is_lost(bench: Bench, monkeypatch: pytest.MonkeyPatch) -> None:
    vm, second = await slow(bench)
    await set_speed(bench, 0)
    before = contents(bench, second, "0")
    monkeypatch.setenv("STILLFRAME_FAIL_AT", "storage.merge_copied:enospc")
    with pytest.raises(Failure) as caught:
        await bench.coalesce()
    assert caught.value.code == "SR_BACKEND_FAILURE_44"
    (state,) = (await pending(bench)).values()
    assert state["state"] == "waiting" and "insufficient space" in state["reason"]
    assert contents(bench, second, "0") == before
    assert_tidy(bench)
    monkeypatch.delenv("STILLFRAME_FAIL_AT")
    await bench.coalesce()
    assert contents(bench, second, "0") == before and depth(bench, vm) == 2


@pytest.mark.parametrize("point", ["merge.parents_set", "merge.recorded"])
async def test_an_error_after_the_switch_is_settled_before_the_next_operation(
    bench: Bench, monkeypatch: pytest.MonkeyPatch, point: str
) -> None:
    vm, second = await slow(bench)
    await set_speed(bench, 0)
    before = contents(bench, second, "0")
    monkeypatch.setenv("STILLFRAME_FAIL_AT", point)
    with pytest.raises(Failure):
        await bench.coalesce()
    assert contents(bench, second, "0") == before
    with pytest.raises(Failure) as caught:
        await bench.session.VM.start(vm)
    assert "unsettled" in str(caught.value)
    monkeypatch.delenv("STILLFRAME_FAIL_AT")
    await bench.session.VM.start(vm)
    await some_ticks(bench, vm)
    assert contents(bench, second, "0") == before and depth(bench, vm) == 2


async def test_merging_begins_by_itself_and_again_after_a_restart(folder: Path) -> None:
    async with open_bench(folder) as bench:
        vm = await bench.sample_vm()
        root, _middle, _top = await three(bench, vm)
        await uninstall(bench, root)
    async with open_bench(folder, merge_delay=0.1) as bench:
        await none_hidden(bench)
        await uninstall(bench, next(iter(bench.vm(vm).snapshots)))
        await none_hidden(bench)
        assert depth(bench, vm) == 2
        assert reads(bench, vm, b"current")
        assert_tidy(bench)


async def test_the_limit_says_what_to_do(bench: Bench) -> None:
    vm = await bench.sample_vm()
    snaps = [await snapshot(bench, vm, str(number)) for number in range(29)]
    with pytest.raises(Failure) as caught:
        await snapshot(bench, vm, "too many")
    assert caught.value.code == "SR_BACKEND_FAILURE_109" and "Delete snapshots" in caught.value.params[2]
    await uninstall(bench, snaps[3])
    await uninstall(bench, snaps[20])
    with pytest.raises(Failure) as caught:
        await snapshot(bench, vm, "too many")
    assert "2 merges are pending" in caught.value.params[2]
    await bench.coalesce()
    assert depth(bench, vm) == 28
    await snapshot(bench, vm, "fits")


async def test_the_folder_holds_nothing_else(bench: Bench) -> None:
    vm, _second = await slow(bench)
    await set_speed(bench, 0)
    before = sum(path.stat().st_blocks for path in (sr_folder(bench) / "img").iterdir())
    await bench.coalesce()
    after = sum(path.stat().st_blocks for path in (sr_folder(bench) / "img").iterdir())
    assert before - after > 2 * MIB // 512
    assert bench.store.get(VDI, disks_of(bench, vm)["0"]).VBDs
