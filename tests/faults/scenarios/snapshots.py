"""Taking snapshots of a VM."""

from __future__ import annotations

from collections.abc import Mapping

from app.api import VMCalls, VMPowerState
from tests.engine.vm.guests import counter, tick
from tests.faults.scenarios.base import Facts, Scenario, goes_on, halted, message, running, same_content, suspended
from tests.faults.world import contents
from tests.support.engine import Bench


async def snapshot_of_halted(bench: Bench, facts: Facts) -> None:
    await same_content(bench, facts)
    for snap in bench.vm(facts["vm"]).snapshots:
        assert contents(bench, snap) == facts["vm_content"]


async def snapshot_of_running(bench: Bench, facts: Facts) -> None:
    vm = facts["vm"]
    assert bench.vm(vm).power_state is VMPowerState.Running
    for snap in bench.vm(vm).snapshots:
        before = contents(bench, snap)
        first, second = counter(bench, snap, "0"), counter(bench, snap, "1")
        assert first - second in (0, 1)
        assert facts["counter"] <= first <= counter(bench, vm)
        await tick(bench, vm, beyond=first)
        assert contents(bench, snap) == before
    await goes_on(bench, facts)


async def snapshot_of_suspended(bench: Bench, facts: Facts) -> None:
    assert bench.vm(facts["vm"]).power_state is VMPowerState.Suspended
    for snap in bench.vm(facts["vm"]).snapshots - {facts["root"]}:
        assert counter(bench, snap) == facts["counter"]
    await goes_on(bench, facts)


SCENARIOS: Mapping[str, Scenario] = {
    "snapshot_halted": Scenario(halted, message(VMCalls.snapshot, "vm", "new", []), snapshot_of_halted),
    "snapshot_running": Scenario(running, message(VMCalls.snapshot, "vm", "new", []), snapshot_of_running),
    "snapshot_suspended": Scenario(suspended, message(VMCalls.snapshot, "vm", "new", []), snapshot_of_suspended),
}
