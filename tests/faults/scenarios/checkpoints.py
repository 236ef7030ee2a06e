"""Snapshots with memory, and going back to them."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

from app.api import VM, Ref, VMCalls, VMPowerState
from tests.engine.vm.guests import counter, go_on, some_ticks
from tests.faults.scenarios.base import (
    MIB,
    Facts,
    Scenario,
    goes_on,
    halted,
    message,
    running,
    suspended,
)
from tests.faults.world import contents
from tests.support.engine import Bench
from tests.support.guest_disk import read_counter


async def running_large(bench: Bench, folder: Path) -> Facts:
    """A Running VM with so much memory that it is written while the guest goes on."""
    facts = await halted(bench, folder)
    size = 128 * MIB
    await bench.session.VM.set_memory_limits(facts["vm"], size, size, size, size)
    await bench.session.VM.start(facts["vm"])
    ticked = await some_ticks(bench, facts["vm"])
    return {**facts, "counter": ticked.counter, "since_boot": ticked.since_boot}


async def with_a_checkpoint(bench: Bench, folder: Path) -> Facts:
    """A Running VM that has gone on from a checkpoint."""
    facts = await running(bench, folder)
    vm = facts["vm"]
    facts["root"] = await bench.run(VMCalls.checkpoint, vm, "root")
    facts["frozen"][facts["root"]] = contents(bench, facts["root"])
    facts["kept"] = counter(bench, facts["root"])
    ticked = await some_ticks(bench, vm, 20)
    return {**facts, "counter": ticked.counter, "since_boot": ticked.since_boot}


async def checkpoint_of_running(bench: Bench, facts: Facts) -> None:
    """The guest never noticed; and a checkpoint that is there can be gone back to."""
    vm = facts["vm"]
    assert bench.vm(vm).power_state is VMPowerState.Running
    await goes_on(bench, facts)
    for snap in bench.vm(vm).snapshots:
        await _goes_back(bench, facts, snap, facts["counter"])


async def checkpoint_of_suspended(bench: Bench, facts: Facts) -> None:
    vm = facts["vm"]
    assert bench.vm(vm).power_state is VMPowerState.Suspended
    await goes_on(bench, facts)
    for snap in bench.vm(vm).snapshots - {facts["root"]}:
        await _goes_back(bench, facts, snap, facts["counter"])


async def _goes_back(bench: Bench, facts: Facts, snap: Ref[VM], known: int) -> None:
    vm, frozen = facts["vm"], counter(bench, snap)
    before = contents(bench, snap)
    assert bench.vm(snap).power_state is VMPowerState.Suspended
    assert counter(bench, snap, "0") - counter(bench, snap, "1") in (0, 1)
    assert frozen >= known
    await bench.run(VMCalls.revert, snap)
    assert bench.vm(vm).power_state is VMPowerState.Suspended
    ticked = await go_on(bench, vm)
    assert ticked.counter == ticked.since_boot > frozen
    assert read_counter(bench.image(vm)).boot == 1
    assert contents(bench, snap) == before


async def reverted_to_memory_or_not(bench: Bench, facts: Facts) -> None:
    """Until the revert is recorded the guest runs or was switched off; from then on it is Suspended with its memory."""
    vm = facts["vm"]
    reverted = "VM_SNAPSHOT_REVERTED" in {getattr(m, "name", "") for m in bench.store.of_class("message").values()}
    if reverted:
        assert bench.vm(vm).power_state is VMPowerState.Suspended
        ticked = await go_on(bench, vm)
        assert facts["kept"] < ticked.counter == ticked.since_boot
        assert read_counter(bench.image(vm)).boot == 1
    elif bench.vm(vm).power_state is VMPowerState.Running:
        await goes_on(bench, facts)
    else:
        assert bench.vm(vm).power_state is VMPowerState.Halted
        assert counter(bench, vm) >= facts["counter"]
    await _goes_back(bench, facts, facts["root"], facts["kept"])


SCENARIOS: Mapping[str, Scenario] = {
    "checkpoint_running": Scenario(running, message(VMCalls.checkpoint, "vm", "new"), checkpoint_of_running),
    "checkpoint_background": Scenario(running_large, message(VMCalls.checkpoint, "vm", "new"), checkpoint_of_running),
    "checkpoint_suspended": Scenario(suspended, message(VMCalls.checkpoint, "vm", "new"), checkpoint_of_suspended),
    "revert_to_checkpoint": Scenario(with_a_checkpoint, message(VMCalls.revert, "root"), reverted_to_memory_or_not),
}
