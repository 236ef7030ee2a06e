"""VM.snapshot and VM.revert with real guests: what was frozen, what comes back, and that nothing else moved."""

from __future__ import annotations

import itertools
import os

import pytest

from app.api import NULL, VDI, VIF, VM, Failure, Ref, VMCalls, VMPowerState
from tests.engine.vm.guests import (
    DATA,
    SMALL,
    assert_tidy,
    content,
    contents,
    counter,
    disks_of,
    go_on,
    in_state,
    snapshot,
    some_ticks,
)
from tests.support.engine import Bench
from tests.support.guest_disk import read_bytes, read_counter, write_bytes

DEVICES = ["0", "1", "2", "3"]


def assert_recorded(bench: Bench, vm: Ref[VM], snap: Ref[VM], state: VMPowerState) -> None:
    """The snapshot is one of this VM in this state, which goes on from it."""
    record = bench.vm(snap)
    assert bench.vm(vm).power_state is state
    assert (record.is_a_snapshot, record.snapshot_of, record.power_state) == (True, vm, VMPowerState.Halted)
    assert record.snapshot_info["power-state-at-snapshot"] == state.value
    assert bench.vm(vm).parent == snap
    assert bench.vm(vm).snapshots == {snap}


@pytest.mark.parametrize("state", list(VMPowerState))
async def test_four_disks_come_back_from_every_power_state(bench: Bench, state: VMPowerState) -> None:
    vm = await bench.sample_vm(disks=4, size=SMALL)
    known = {device: os.urandom(4096) for device in DEVICES}
    for device in DEVICES:
        write_bytes(bench.image(vm, device), DATA, known[device])
    await in_state(bench, vm, state)
    disks = disks_of(bench, vm)

    snap = await snapshot(bench, vm, "before")

    assert_recorded(bench, vm, snap, state)
    assert disks_of(bench, vm) == disks
    before = contents(bench, snap, DEVICES)
    if state is not VMPowerState.Halted:
        counters = [counter(bench, snap, device) for device in DEVICES]
        assert counters[0] > 0
        assert all(0 <= first - later <= 1 for first, later in itertools.pairwise(counters)), counters

    await go_on(bench, vm)
    await bench.session.VM.hard_shutdown(vm)
    for device in DEVICES:
        write_bytes(bench.image(vm, device), DATA, os.urandom(4096))
        write_bytes(bench.image(vm, device), DATA + (1 << 18), b"later")
    assert contents(bench, snap, DEVICES) == before
    assert all(content(bench.image(vm, device)) != before[device] for device in DEVICES)

    await bench.run(VMCalls.revert, snap)

    assert bench.vm(vm).power_state is VMPowerState.Halted
    assert bench.vm(vm).parent == snap
    assert disks_of(bench, vm) == disks
    assert contents(bench, vm, DEVICES) == before
    assert {device: read_bytes(bench.image(vm, device), DATA, 4096) for device in DEVICES} == known
    assert_tidy(bench)

    frozen = counter(bench, snap) if state is not VMPowerState.Halted else 0
    await bench.session.VM.start(vm)
    assert (await some_ticks(bench, vm)).counter > frozen
    assert contents(bench, snap, DEVICES) == before


async def test_a_running_guest_goes_on_while_it_is_snapshotted(bench: Bench) -> None:
    vm = await bench.sample_vm()
    await in_state(bench, vm, VMPowerState.Running)
    before = await some_ticks(bench, vm)
    snap = await snapshot(bench, vm)
    after = await some_ticks(bench, vm)
    assert after.since_boot > before.since_boot
    assert before.counter <= counter(bench, snap) < after.counter
    await some_ticks(bench, vm)
    assert counter(bench, vm) > counter(bench, snap)


async def test_all_disks_are_frozen_at_one_instant(bench: Bench) -> None:
    vm = await bench.sample_vm(disks=2, size=SMALL)
    await in_state(bench, vm, VMPowerState.Running)
    last = 0
    for number in range(20):
        ticked = await some_ticks(bench, vm, 1)
        snap = await snapshot(bench, vm, f"snap {number}")
        first, second = counter(bench, snap, "0"), counter(bench, snap, "1")
        assert first - second in (0, 1)
        assert ticked.counter <= first
        assert first > last
        last = first


async def test_revert_of_a_running_vm_ends_its_guest(bench: Bench) -> None:
    vm = await bench.sample_vm()
    await in_state(bench, vm, VMPowerState.Running)
    snap = await snapshot(bench, vm)
    frozen = content(bench.image(snap))
    late = await some_ticks(bench, vm, 10)
    await bench.run(VMCalls.revert, snap)
    assert bench.vm(vm).power_state is VMPowerState.Halted
    assert bench.engine.context.driver.state(bench.vm(vm).uuid) == "absent"
    assert content(bench.image(vm)) == frozen
    sector = read_counter(bench.image(vm))
    assert sector.counter < late.counter
    await bench.session.VM.start(vm)
    again = await some_ticks(bench, vm)
    assert read_counter(bench.image(vm)).boot == sector.boot + 1
    assert again.since_boot < late.counter


async def test_revert_of_a_suspended_vm_drops_its_memory(bench: Bench) -> None:
    vm = await bench.sample_vm()
    await in_state(bench, vm, VMPowerState.Running)
    snap = await snapshot(bench, vm)
    await some_ticks(bench, vm)
    await bench.session.VM.suspend(vm)
    assert bench.vm(vm).suspend_VDI != NULL
    await bench.run(VMCalls.revert, snap)
    assert (bench.vm(vm).power_state, bench.vm(vm).suspend_VDI) == (VMPowerState.Halted, NULL)
    assert_tidy(bench)


async def test_a_suspended_vm_resumes_after_its_snapshot(bench: Bench) -> None:
    vm = await bench.sample_vm()
    await bench.session.VM.start(vm)
    ticked = await some_ticks(bench, vm)
    await bench.session.VM.suspend(vm)
    snap = await snapshot(bench, vm)
    stopped = counter(bench, snap)
    await bench.session.VM.resume(vm)
    resumed = await some_ticks(bench, vm)
    assert resumed.since_boot > ticked.since_boot
    assert resumed.counter > stopped
    assert read_counter(bench.image(vm)).boot == 1


async def test_reverts_may_go_to_and_fro(bench: Bench) -> None:
    """Snapshots survive each other's reverts, and the tree grows where it was cut."""
    vm = await bench.sample_vm()
    image = bench.image(vm)
    write_bytes(image, DATA, b"one")
    one = await snapshot(bench, vm, "one")
    write_bytes(bench.image(vm), DATA, b"two")
    two = await snapshot(bench, vm, "two")
    write_bytes(bench.image(vm), DATA, b"three")
    for snap, expected in ((one, b"one"), (two, b"two"), (one, b"one"), (one, b"one"), (two, b"two")):
        await bench.run(VMCalls.revert, snap)
        assert read_bytes(bench.image(vm), DATA, len(expected)) == expected
        assert bench.vm(vm).parent == snap
        write_bytes(bench.image(vm), DATA, b"after the revert")
    assert bench.vm(two).parent == one
    assert bench.vm(one).children == {two}
    assert bench.vm(vm).snapshots == {one, two}
    assert read_bytes(bench.image(one), DATA, 3) == b"one"
    assert_tidy(bench)


async def test_fields_go_back_with_the_disks(bench: Bench) -> None:
    vm = await bench.sample_vm(nic=True)
    macs = {bench.store.get(VIF, ref).MAC for ref in bench.vm(vm).VIFs}
    snap = await snapshot(bench, vm)
    await bench.session.set(VM, vm, name_label="renamed", tags=["kept"], other_config={"a": "b"})
    await bench.session.VM.set_VCPUs_max(vm, 2)
    await bench.run(VMCalls.revert, snap)
    record = bench.vm(vm)
    assert (record.name_label, record.VCPUs_max, set(record.tags)) == ("sample", 1, {"kept"})
    assert "a" not in record.other_config
    assert {bench.store.get(VIF, ref).MAC for ref in record.VIFs} == macs


@pytest.mark.parametrize("ignored", [[], ["1"], ["0", "2"], ["0", "1", "2"]])
async def test_ignored_disks_are_left_out(bench: Bench, ignored: list[str]) -> None:
    vm = await bench.sample_vm(disks=3, size=SMALL)
    disks = disks_of(bench, vm)
    files = {device: bench.image(vm, device) for device in disks}
    snap = await snapshot(bench, vm, "some", [disks[device] for device in ignored])
    kept = sorted(set(disks) - set(ignored))
    assert sorted(disks_of(bench, snap)) == kept
    for device in disks:
        assert (bench.image(vm, device) == files[device]) == (device in ignored)
    await bench.run(VMCalls.revert, snap)
    assert sorted(disks_of(bench, vm)) == kept
    assert all(bench.store.find(VDI, disks[device]) is not None for device in ignored)


async def test_a_disk_deleted_since_the_snapshot_comes_back(bench: Bench) -> None:
    vm = await bench.sample_vm(disks=2, size=SMALL)
    write_bytes(bench.image(vm, "1"), DATA, b"precious")
    first = await snapshot(bench, vm, "first")
    second = await snapshot(bench, vm, "second")
    await bench.session.VDI.destroy(disks_of(bench, vm)["1"])
    assert sorted(disks_of(bench, vm)) == ["0"]
    await bench.run(VMCalls.revert, first)
    assert read_bytes(bench.image(vm, "1"), DATA, 8) == b"precious"
    back = disks_of(bench, vm)["1"]
    assert bench.store.get(VDI, back).snapshots == {disks_of(bench, first)["1"], disks_of(bench, second)["1"]}
    await bench.run(VMCalls.revert, second)
    assert disks_of(bench, vm)["1"] == back


async def test_the_thirtieth_image_is_the_last(bench: Bench) -> None:
    vm = await bench.sample_vm()
    for number in range(29):
        await snapshot(bench, vm, f"snap {number}")
    before = bench.vm(vm)
    with pytest.raises(Failure) as caught:
        await snapshot(bench, vm, "one too many")
    assert caught.value.code == "SR_BACKEND_FAILURE_109"
    assert "30" in caught.value.params[2]
    assert bench.vm(vm) == before
    await bench.session.VM.start(vm)
    await some_ticks(bench, vm)


async def test_only_snapshots_can_be_reverted_to(bench: Bench) -> None:
    vm = await bench.sample_vm()
    with pytest.raises(Failure) as caught:
        await bench.run(VMCalls.revert, vm)
    assert caught.value.description() == ["VM_REVERT_FAILED", vm, NULL]
