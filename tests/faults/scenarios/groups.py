"""Taking snapshots of several VMs together, and going back to them."""

from __future__ import annotations

import re
from collections.abc import Mapping
from pathlib import Path

from app.api import VMCalls, VMPowerState
from app.ops.vm_group import GROUP_KEY
from tests.engine.vm.guests import counter, go_on, messages, some_ticks
from tests.faults.scenarios.base import Facts, Scenario, goes_on, halted, mark, running
from tests.faults.scenarios.snapshots import snapshot_of_halted, snapshot_of_running
from tests.faults.world import contents
from tests.support.engine import Bench


async def a_group(bench: Bench, folder: Path) -> Facts:
    """Two VMs that run and one that does not."""
    first, second = await running(bench, folder), await running(bench, folder)
    return {**first, "second": second, "third": await halted(bench, folder)}


async def with_snapshots_of_a_group(bench: Bench, folder: Path) -> Facts:
    facts = await a_group(bench, folder)
    vms = [member["vm"] for member in members(facts)]
    snaps = re.findall(r"OpaqueRef:[0-9a-f-]{36}", await bench.run(VMCalls.snapshot_group, vms, "before"))
    for member, snap in zip(members(facts), snaps, strict=True):
        member["root"] = snap
        facts["frozen"][snap] = contents(bench, snap)
    for member in members(facts)[:2]:
        ticked = await some_ticks(bench, member["vm"])
        member |= {"counter": ticked.counter, "since_boot": ticked.since_boot}
    mark(bench, facts["third"]["vm"], "later")
    facts["third"]["vm_content"] = contents(bench, facts["third"]["vm"])
    return facts


def members(facts: Facts) -> list[Facts]:
    return [facts, facts["second"], facts["third"]]


async def snapshot_group(bench: Bench, facts: Facts) -> None:
    await bench.run(VMCalls.snapshot_group, [member["vm"] for member in members(facts)], "new")


async def revert_group(bench: Bench, facts: Facts) -> None:
    await bench.run(VMCalls.revert_group, [member["root"] for member in members(facts)])


async def all_or_none(bench: Bench, facts: Facts) -> None:
    taken = [list(bench.vm(member["vm"]).snapshots) for member in members(facts)]
    assert [len(snaps) for snaps in taken] in ([0, 0, 0], [1, 1, 1])
    assert len({bench.vm(snap).other_config[GROUP_KEY] for snaps in taken for snap in snaps}) <= 1
    await snapshot_of_halted(bench, facts["third"])
    await snapshot_of_running(bench, facts)
    await snapshot_of_running(bench, facts["second"])


async def each_reverted_or_not(bench: Bench, facts: Facts) -> None:
    first, second, third = members(facts)
    frozen = facts["frozen"]
    for member in (first, second):
        vm = member["vm"]
        if "VM_SNAPSHOT_REVERTED" in messages(bench, vm):
            assert bench.vm(vm).power_state is VMPowerState.Halted
            assert contents(bench, vm) == frozen[member["root"]]
        elif bench.vm(vm).power_state is VMPowerState.Running:
            await goes_on(bench, member)
        else:
            assert bench.vm(vm).power_state is VMPowerState.Halted
            assert counter(bench, vm) >= member["counter"]
        await go_on(bench, vm)
    reverted = "VM_SNAPSHOT_REVERTED" in messages(bench, third["vm"])
    assert contents(bench, third["vm"]) == (frozen[third["root"]] if reverted else third["vm_content"])


SCENARIOS: Mapping[str, Scenario] = {
    "snapshot_group": Scenario(a_group, snapshot_group, all_or_none),
    "revert_group": Scenario(with_snapshots_of_a_group, revert_group, each_reverted_or_not),
}
