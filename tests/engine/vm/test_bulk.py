"""Many real guests snapshotted, and many snapshots deleted, at once: each has its result, and every guest runs on."""

from __future__ import annotations

import asyncio

from app.api import EPOCH, Failure, Ref, VMCalls, VMPowerState
from tests.engine.vm.guests import SMALL, assert_tidy, counter, snapshot, some_ticks
from tests.support.engine import Bench

COUNT = 8


async def test_eight_guests_at_once(bench: Bench) -> None:
    vms = [await bench.sample_vm(f"vm {number}", disks=2, size=SMALL) for number in range(COUNT)]
    for vm in vms:
        await bench.session.VM.start(vm)
    ticked = {vm: await some_ticks(bench, vm) for vm in vms}
    for number in range(3):
        snaps = await asyncio.gather(*(snapshot(bench, vm, f"round {number}") for vm in vms))
        for vm, snap in zip(vms, snaps, strict=True):
            assert bench.vm(snap).snapshot_of == vm
            first, second = counter(bench, snap, "0"), counter(bench, snap, "1")
            assert first - second in (0, 1) and first >= ticked[vm].counter
    doomed = [snap for vm in vms for snap in bench.vm(vm).snapshots if bench.vm(snap).name_label != "round 1"]
    await bench.session.VM.lock_snapshot(doomed[0], "kept", "", EPOCH)
    works = [bench.run(VMCalls.uninstall, Ref(snap), False) for snap in doomed]
    outcomes = await asyncio.gather(*works, return_exceptions=True)
    assert [isinstance(outcome, Failure) for outcome in outcomes] == [True] + [False] * (len(doomed) - 1)
    for vm in vms:
        assert (await some_ticks(bench, vm)).since_boot > ticked[vm].since_boot
        assert bench.vm(vm).power_state is VMPowerState.Running
    assert_tidy(bench)
