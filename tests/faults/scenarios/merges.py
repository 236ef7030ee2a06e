"""Merging what deleted snapshots have left behind."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Mapping
from pathlib import Path

from app.api import VMCalls
from tests.engine.vm.guests import disks_of, go_on, images_of, snapshot, some_ticks
from tests.faults.scenarios.base import Facts, Scenario, goes_on, halted, mark, running, same_content
from tests.faults.world import contents
from tests.support.engine import Bench


def without(*names: str) -> Callable[[Bench, Path], Awaitable[Facts]]:
    """A Halted VM with the snapshots root, middle and top, of which the named ones are deleted again."""

    async def prepare(bench: Bench, folder: Path) -> Facts:
        facts = await halted(bench, folder)
        vm, frozen = facts["vm"], {}
        for name in ("root", "middle", "top"):
            mark(bench, vm, name)
            facts[name] = await snapshot(bench, vm, name)
            frozen[name] = contents(bench, facts[name])
        mark(bench, vm, "current")
        for name in names:
            await bench.run(VMCalls.uninstall, facts[name], False)
        facts["frozen"] = {facts[name]: digests for name, digests in frozen.items() if name not in names}
        facts["vm_content"] = contents(bench, vm)
        return facts

    return prepare


async def with_clones(bench: Bench, folder: Path) -> Facts:
    """The root is deleted, and beside the VM a clone builds on the snapshot above it."""
    facts = await without()(bench, folder)
    facts["clone"] = await bench.run(VMCalls.clone, facts["middle"], "clone")
    mark(bench, facts["clone"], "clone")
    await bench.run(VMCalls.uninstall, facts["root"], False)
    del facts["frozen"][facts["root"]]
    facts["frozen"][facts["clone"]] = contents(bench, facts["clone"])
    return facts


def running_without(name: str) -> Callable[[Bench, Path], Awaitable[Facts]]:
    """A running VM with the snapshots root, middle and top, of which one is deleted again."""

    async def prepare(bench: Bench, folder: Path) -> Facts:
        facts = await running(bench, folder)
        vm = facts["vm"]
        for snap in ("root", "middle", "top"):
            facts[snap] = await snapshot(bench, vm, snap)
            await some_ticks(bench, vm)
        await bench.run(VMCalls.uninstall, facts[name], False)
        kept = [facts[snap] for snap in ("root", "middle", "top") if snap != name]
        ticked = await some_ticks(bench, vm)
        frozen = {ref: contents(bench, ref) for ref in kept}
        return {**facts, "frozen": frozen, "counter": ticked.counter, "since_boot": ticked.since_boot}

    return prepare


async def merge(bench: Bench, _facts: Facts) -> None:
    await bench.coalesce()


async def merged_or_not(bench: Bench, facts: Facts) -> None:
    """Merged at the second attempt at the latest; nothing that was shown has changed, and the VM starts."""
    await same_content(bench, facts)
    await bench.coalesce()
    await same_content(bench, facts)
    for ref, expected in facts["frozen"].items():
        assert contents(bench, ref) == expected
    held = {facts["vm"], *facts["frozen"]}
    assert len(images_of(bench)) == sum(len(disks_of(bench, ref)) for ref in held)
    await go_on(bench, facts["vm"])
    for ref, expected in facts["frozen"].items():
        assert contents(bench, ref) == expected


async def merged_while_running(bench: Bench, facts: Facts) -> None:
    """The guest has counted on all the time; merged at the second attempt at the latest."""
    await goes_on(bench, facts)
    await bench.coalesce()
    assert len(images_of(bench)) == 6
    await goes_on(bench, facts)


SCENARIOS: Mapping[str, Scenario] = {
    "merge_halted_middle": Scenario(without("middle"), merge, merged_or_not),
    "merge_halted_root": Scenario(without("root"), merge, merged_or_not),
    "merge_halted_top": Scenario(without("top"), merge, merged_or_not),
    "merge_halted_all": Scenario(without("root", "middle", "top"), merge, merged_or_not),
    "merge_running_middle": Scenario(running_without("middle"), merge, merged_while_running),
    "merge_running_root": Scenario(running_without("root"), merge, merged_while_running),
    "merge_running_active": Scenario(running_without("top"), merge, merged_while_running),
    "merge_with_clones": Scenario(with_clones, merge, merged_or_not),
}
