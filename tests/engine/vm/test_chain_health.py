"""The figures of chain health, on real files: what deleting a snapshot frees is what was said before."""

from __future__ import annotations

import os
import random
from pathlib import Path

import pytest

from app.api import NULL, VM, Ref, VMCalls
from app.hypervisor.simulated import SimulatedDriver
from app.ops.health_ops import look
from tests.engine.vm.guests import DATA, assert_tidy, images_of, snapshot, sr_folder
from tests.support.engine import Bench, open_bench
from tests.support.guest_disk import write_bytes

PIECE = 128 << 10


def used(bench: Bench) -> int:
    """What the repository's files take, bytes; a file of several names once."""
    found = [path.stat() for path in sr_folder(bench).rglob("*") if path.is_file()]
    return sum({status.st_ino: status.st_blocks * 512 for status in found}.values())


def write(bench: Bench, vm: Ref[VM], chance: random.Random) -> None:
    for device in ("0", "1"):
        place = DATA + PIECE * chance.randrange(16)
        write_bytes(bench.image(vm, device), place, os.urandom(PIECE * chance.randrange(1, 4)))


async def grow(bench: Bench, chance: random.Random) -> list[Ref[VM]]:
    """A VM with a tree of snapshots, some deleted, and clones beside it; answers the snapshots that are left."""
    vm = await bench.sample_vm(disks=2)
    snaps: list[Ref[VM]] = []
    for number in range(10):
        write(bench, vm, chance)
        step = chance.random()
        if step < 0.5 or not snaps:
            snaps.append(await snapshot(bench, vm, f"snap {number}"))
        elif step < 0.7:
            await bench.run(VMCalls.revert, chance.choice(snaps))
        elif step < 0.85:
            await bench.run(VMCalls.clone, chance.choice(snaps), f"clone {number}")
        else:
            await bench.run(VMCalls.uninstall, snaps.pop(chance.randrange(len(snaps))), False)
    return snaps


@pytest.mark.parametrize("seed", range(8))
async def test_what_a_deletion_frees_was_foretold(data_dir: Path, seed: int) -> None:
    chance = random.Random(seed)
    async with open_bench(data_dir, SimulatedDriver()) as bench:
        snaps = await grow(bench, chance)
        vm = bench.vm(snaps[0]).snapshot_of if snaps else NULL
        while snaps:
            snap = snaps.pop(chance.randrange(len(snaps)))
            foretold = int((await bench.session.VM.get_chain_health(vm))[snap]["exclusive"])
            before = used(bench)
            await bench.run(VMCalls.uninstall, snap, False)
            assert before - used(bench) == foretold
        assert_tidy(bench)


@pytest.mark.parametrize("seed", range(3))
async def test_what_deleting_all_frees_was_foretold(data_dir: Path, seed: int) -> None:
    async with open_bench(data_dir, SimulatedDriver()) as bench:
        snaps = await grow(bench, random.Random(seed))
        vm = bench.vm(snaps[0]).snapshot_of
        found = (await bench.session.SR.get_chain_health(bench.sr()))[vm]
        assert int(found["snapshots"]) == len(snaps)
        before = used(bench)
        await bench.run(VMCalls.uninstall, vm, True)
        assert before - used(bench) == int(found["exclusive"])


async def test_a_vm_and_its_snapshots(bench: Bench) -> None:
    vm = await bench.sample_vm(disks=2)
    write_bytes(bench.image(vm), DATA, os.urandom(1 << 20))
    one, two, three = [await snapshot(bench, vm, name) for name in ("one", "two", "three")]
    found = await bench.session.VM.get_chain_health(vm)
    assert found.keys() == {vm, one, two, three}
    assert [found[ref]["depth"] for ref in (one, two, three, vm)] == ["1", "2", "3", "4"]
    assert all(found[ref]["depth-limit"] == "30" and found[ref]["missing"] == "0" for ref in found)
    # What the guest wrote before the first is below all that follow.
    assert found[one]["exclusive"] == "0" and int(found[one]["shared"]) > 1 << 20
    assert int(found[one]["merge"]) == int(found[one]["shared"])
    assert found[vm]["head-room"] == "26" and found[vm]["blocked"] == "" and found[vm]["pending-merges"] == "0"
    assert int(found[vm]["space-free"]) > 0
    await bench.run(VMCalls.uninstall, two, False)
    found = await bench.session.VM.get_chain_health(vm)
    assert (found[vm]["pending-merges"], found[vm]["depth"]) == ("2", "4")
    assert two not in found


async def test_memory_counts_with_the_last_that_needs_it(data_dir: Path) -> None:
    """The image of a suspended VM is its checkpoints' too: one file of several names."""
    async with open_bench(data_dir, SimulatedDriver()) as bench:
        vm = await bench.sample_vm(disks=2)
        await bench.session.VM.start(vm)
        snaps = [Ref[VM](await bench.run(VMCalls.checkpoint, vm, "running"))]
        await bench.session.VM.suspend(vm)
        snaps += [Ref[VM](await bench.run(VMCalls.checkpoint, vm, f"suspended {number}")) for number in range(2)]
        await bench.run(VMCalls.revert, snaps[0])
        for snap in snaps:
            foretold = int((await bench.session.VM.get_chain_health(vm))[snap]["exclusive"])
            before = used(bench)
            await bench.run(VMCalls.uninstall, snap, False)
            assert before - used(bench) == foretold
        assert_tidy(bench)


@pytest.mark.parametrize("seed", range(4))
async def test_what_waits_is_what_the_merges_are(data_dir: Path, seed: int) -> None:
    """The repository, its VMs and "safe to snapshot?" tell of as many merges as there will be."""
    async with open_bench(data_dir, SimulatedDriver()) as bench:
        snaps = await grow(bench, random.Random(seed))
        for snap in snaps[::2]:
            await bench.run(VMCalls.uninstall, snap, False)
        due = await bench.session.SR.get_pending_merges(bench.sr())
        found = await bench.session.SR.get_chain_health(bench.sr())
        assert found[bench.sr()]["pending-merges"] == str(len(due))
        for vm in {merge["vm"] for merge in due.values()}:
            mine = [merge for merge in due.values() if merge["vm"] == vm]
            assert int((await bench.session.VM.get_chain_health(Ref(vm)))[vm]["pending-merges"]) >= len(mine)


async def test_a_missing_image_and_what_it_blocks(bench: Bench) -> None:
    vm = await bench.sample_vm()
    snap = await snapshot(bench, vm)
    base = bench.image(snap)
    base.rename(base.with_suffix(".away"))
    found = await bench.session.VM.get_chain_health(vm)
    assert (found[snap]["missing"], found[vm]["missing"]) == ("1", "1")
    assert "cannot be read" in found[vm]["blocked"]
    assert (await bench.session.SR.get_chain_health(bench.sr()))[bench.sr()]["missing"] == "1"
    base.with_suffix(".away").rename(base)


async def test_a_repository(bench: Bench) -> None:
    vm, gone = await bench.sample_vm(disks=2), await bench.sample_vm("gone")
    snap = await snapshot(bench, vm)
    left = await snapshot(bench, gone)
    clone = await bench.session.VM.clone(snap, "clone")
    await bench.run(VMCalls.uninstall, gone, False)
    found = await bench.session.SR.get_chain_health(bench.sr())
    assert found.keys() == {bench.sr(), vm, gone, clone}
    assert (found[vm]["snapshots"], found[vm]["images"], found[vm]["depth"]) == ("1", "4", "2")
    assert (found[gone]["snapshots"], found[gone]["images"]) == ("1", "1")
    # The clone needs what the snapshot froze.
    assert int(found[vm]["snapshots-size"]) == 0 and int(found[clone]["exclusive"]) > 0
    whole = found[bench.sr()]
    assert (whole["images"], whole["snapshots"]) == (str(len(images_of(bench))), "2")
    assert int(whole["exclusive"]) == used(bench)
    assert int(found[gone]["snapshots-size"]) == int(found[gone]["exclusive"]) > 0
    assert bench.vm(left).snapshot_of == gone
    chains = await look(bench.engine.context, bench.sr())
    assert whole["base-copies"] == str(len(chains.hidden))
