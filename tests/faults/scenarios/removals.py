"""Removing VMs and snapshots."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

from app.api import VDI, VM, VMCalls
from tests.engine.vm.guests import images_of, snapshot
from tests.faults.scenarios.base import Facts, Scenario, halted, mark, message, same_content, with_snapshots
from tests.faults.world import contents
from tests.support.engine import Bench


async def with_a_base_copy(bench: Bench, folder: Path) -> Facts:
    """root > (base copy) > top, and the VM beside them on root."""
    facts = await halted(bench, folder)
    vm = facts["vm"]
    for name in ("root", "middle", "top"):
        mark(bench, vm, name)
        facts[name] = await snapshot(bench, vm, name)
        facts["frozen"][facts[name]] = contents(bench, facts[name])
    await bench.run(VMCalls.revert, facts["root"])
    await bench.run(VMCalls.uninstall, facts["middle"], False)
    del facts["frozen"][facts["middle"]]
    facts["vm_content"] = contents(bench, vm)
    return facts


async def gone_or_whole(bench: Bench, facts: Facts) -> None:
    """A snapshot is there with its disks, or nothing is left of it."""
    await same_content(bench, facts)
    for snap, expected in facts["frozen"].items():
        if bench.store.find(VM, snap) is not None:
            assert contents(bench, snap) == expected
    await bench.run(VMCalls.uninstall, facts["vm"], True)
    assert images_of(bench) == set()


async def vm_gone_or_whole(bench: Bench, facts: Facts) -> None:
    if bench.store.find(VM, facts["vm"]) is not None:
        await gone_or_whole(bench, facts)
    assert images_of(bench) == set()
    assert bench.store.all(VDI) == {}


async def destroyed_or_not(bench: Bench, facts: Facts) -> None:
    """The disks are there in any case."""
    assert len([vdi for vdi in bench.store.all(VDI).values() if vdi.managed]) == 6
    for name in ("root", "top"):
        assert contents(bench, facts[name]) == facts["frozen"][facts[name]]


SCENARIOS: Mapping[str, Scenario] = {
    "uninstall_leaf": Scenario(with_a_base_copy, message(VMCalls.uninstall, "top", False), gone_or_whole),
    "uninstall_middle": Scenario(with_snapshots, message(VMCalls.uninstall, "top", False), gone_or_whole),
    "uninstall_vm": Scenario(with_snapshots, message(VMCalls.uninstall, "vm", True), vm_gone_or_whole),
    "destroy": Scenario(with_snapshots, message(VMCalls.destroy, "vm"), destroyed_or_not),
}
