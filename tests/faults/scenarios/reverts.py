"""Going back to a snapshot."""

from __future__ import annotations

from collections.abc import Mapping

from app.api import VMCalls, VMPowerState
from tests.engine.vm.guests import counter, go_on
from tests.faults.scenarios.base import Facts, Scenario, goes_on, message, running_with_a_snapshot, with_snapshots
from tests.faults.world import contents
from tests.support.engine import Bench


async def reverted_or_not(bench: Bench, facts: Facts) -> None:
    record = bench.vm(facts["vm"])
    now = contents(bench, facts["vm"])
    expected = facts["frozen"][facts["root"]] if record.parent == facts["root"] else facts["vm_content"]
    assert now == expected
    assert record.parent in (facts["root"], facts["top"])


async def running_reverted_or_not(bench: Bench, facts: Facts) -> None:
    """Until the revert is recorded the guest runs or was switched off; no tick is lost without a revert."""
    vm = facts["vm"]
    reverted = "VM_SNAPSHOT_REVERTED" in {getattr(m, "name", "") for m in bench.store.of_class("message").values()}
    if reverted:
        assert bench.vm(vm).power_state is VMPowerState.Halted
        assert contents(bench, vm) == facts["frozen"][facts["root"]]
    elif bench.vm(vm).power_state is VMPowerState.Running:
        await goes_on(bench, facts)
    else:
        assert bench.vm(vm).power_state is VMPowerState.Halted
        assert counter(bench, vm) >= facts["counter"]
    await go_on(bench, vm)


SCENARIOS: Mapping[str, Scenario] = {
    "revert_halted": Scenario(with_snapshots, message(VMCalls.revert, "root"), reverted_or_not),
    "revert_running": Scenario(running_with_a_snapshot, message(VMCalls.revert, "root"), running_reverted_or_not),
}
