"""VM.snapshot_group and VM.revert_group with real guests: one instant, all or none, and everyone goes on."""

from __future__ import annotations

import os
import re
from collections.abc import Sequence

import pytest

from app.api import VM, Failure, Ref, VMCalls, VMPowerState
from app.hypervisor.driver import DriverError
from app.hypervisor.guest import Guest
from app.ops.vm_group import GROUP_KEY, SPREAD_KEY
from app.ops.vm_snapshot import STALL_KEY
from tests.engine.vm.guests import (
    DATA,
    SMALL,
    assert_tidy,
    contents,
    counter,
    go_on,
    in_state,
    messages,
    pictured,
    some_ticks,
    tick,
)
from tests.support.engine import Bench
from tests.support.guest_disk import read_bytes, write_bytes

DEVICES = ["0", "1"]


async def snapshot_group(bench: Bench, vms: Sequence[Ref[VM]], name: str = "together") -> list[Ref[VM]]:
    """As a task, as clients do."""
    result = await bench.run(VMCalls.snapshot_group, vms, name)
    return [Ref(found) for found in re.findall(r"OpaqueRef:[0-9a-f-]{36}", result)]


async def one_in_each_state(bench: Bench) -> dict[VMPowerState, Ref[VM]]:
    found = {}
    for state in VMPowerState:
        found[state] = vm = await bench.sample_vm(state.value, disks=2, size=SMALL)
        for device in DEVICES:
            write_bytes(bench.image(vm, device), DATA, f"{state} {device}".encode())
        await in_state(bench, vm, state)
    return found


async def test_vms_in_all_states_are_frozen_and_come_back_together(bench: Bench) -> None:
    vms = await one_in_each_state(bench)
    snaps = await snapshot_group(bench, list(vms.values()))
    groups = {bench.vm(snap).other_config[GROUP_KEY] for snap in snaps}
    assert len(groups) == 1
    before = {}
    for (state, vm), snap in zip(vms.items(), snaps, strict=True):
        record = bench.vm(snap)
        assert (bench.vm(vm).power_state, record.snapshot_of, bench.vm(vm).parent) == (state, vm, snap)
        assert record.snapshot_info["power-state-at-snapshot"] == state.value
        assert float(record.other_config[SPREAD_KEY]) == 0.0, "only one guest ran"
        assert messages(bench, vm).count("VM_SNAPSHOTTED") == 1
        assert GROUP_KEY not in bench.vm(vm).other_config
        before[snap] = contents(bench, snap, DEVICES)
        await go_on(bench, vm)
        await bench.session.VM.hard_shutdown(vm)
        write_bytes(bench.image(vm), DATA, os.urandom(4096))
        assert contents(bench, snap, DEVICES) == before[snap]
    await bench.run(VMCalls.revert_group, snaps)
    for (state, vm), snap in zip(vms.items(), snaps, strict=True):
        assert (bench.vm(vm).power_state, bench.vm(vm).parent) == (VMPowerState.Halted, snap)
        assert contents(bench, vm, DEVICES) == before[snap]
        assert read_bytes(bench.image(vm), DATA, len(state)) == state.value.encode()[: len(state)]


async def test_guests_that_run_are_frozen_within_the_spread_and_run_on(bench: Bench) -> None:
    vms = [await bench.sample_vm(name, disks=2, size=SMALL) for name in ("a", "b", "c")]
    for vm in vms:
        await in_state(bench, vm, VMPowerState.Running)
    for number in range(4):
        ticked = {vm: await tick(bench, vm) for vm in vms}
        snaps = await snapshot_group(bench, vms, f"group {number}")
        spreads = {bench.vm(snap).other_config[SPREAD_KEY] for snap in snaps}
        assert len(spreads) == 1 and 0 < float(spreads.pop()) < 5000
        for vm, snap in zip(vms, snaps, strict=True):
            first, second = counter(bench, snap, "0"), counter(bench, snap, "1")
            assert first - second in (0, 1)
            assert first >= ticked[vm].counter
            assert float(bench.vm(snap).other_config[STALL_KEY]) > 0
            later = await some_ticks(bench, vm)
            assert later.since_boot > ticked[vm].since_boot and later.counter > first
            assert counter(bench, snap, "0") == first
            assert bench.vm(vm).power_state is VMPowerState.Running
        await pictured(bench, snaps[0])
    assert_tidy(bench)


async def test_none_is_taken_when_one_guest_refuses(bench: Bench, monkeypatch: pytest.MonkeyPatch) -> None:
    vms = [await bench.sample_vm(name) for name in ("switches", "refuses", "halted")]
    for vm in vms[:2]:
        await in_state(bench, vm, VMPowerState.Running)
    images = [bench.image(vm) for vm in vms]
    refusing, real = bench.vm(vms[1]).uuid, Guest.execute

    async def execute(self: Guest, command: str, *args: object, **more: object) -> object:
        if command == "transaction" and self.uuid == refusing:
            raise DriverError("QEMU refused: a test", cause="qmp")
        return await real(self, command, *args, **more)  # type: ignore[arg-type]

    monkeypatch.setattr(Guest, "execute", execute)
    with pytest.raises(Failure) as caught:
        await snapshot_group(bench, vms)
    monkeypatch.undo()
    assert caught.value.code == "VM_HYPERVISOR_FAILURE" and "a test" in caught.value.params[1]
    assert all(bench.vm(vm).snapshots == frozenset() for vm in vms)
    # The one that had switched goes on in its overlay, on a base copy; the others never moved.
    assert [bench.image(vm) == image for vm, image in zip(vms, images, strict=True)] == [False, True, True]
    chain = bench.engine.context.files(bench.sr()).chain(bench.image(vms[0]).stem)
    assert chain == (bench.image(vms[0]).stem, images[0].stem)
    for vm in vms[:2]:
        ticked = await some_ticks(bench, vm)
        await bench.session.VM.hard_shutdown(vm)
        assert counter(bench, vm) >= ticked.counter
    assert_tidy(bench)
    before = contents(bench, vms[0], ["0"])
    await bench.session.SR.coalesce(bench.sr())
    assert bench.engine.context.files(bench.sr()).depth(bench.image(vms[0]).stem) == 1
    assert contents(bench, vms[0], ["0"]) == before
    snaps = await snapshot_group(bench, vms)
    assert len(snaps) == 3


async def test_ten_guests_with_two_disks_each(bench: Bench) -> None:
    vms = [await bench.sample_vm(f"vm {number}", disks=2, size=SMALL) for number in range(10)]
    for vm in vms:
        await bench.session.VM.start(vm)
    for vm in vms:
        await some_ticks(bench, vm)
    snaps = await snapshot_group(bench, vms)
    assert all(counter(bench, snap, "0") - counter(bench, snap, "1") in (0, 1) for snap in snaps)
    for vm in vms:
        await some_ticks(bench, vm)
    await bench.run(VMCalls.revert_group, snaps)
    assert {bench.vm(vm).power_state for vm in vms} == {VMPowerState.Halted}
    assert [counter(bench, vm) for vm in vms] == [counter(bench, snap) for snap in snaps]
