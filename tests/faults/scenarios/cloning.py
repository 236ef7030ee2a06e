"""Clones, copies and templates."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

from app.api import NULL, VM, Ref, VMCalls
from tests.engine.vm.guests import disks_of, go_on
from tests.faults.scenarios.base import Facts, Scenario, halted, mark, message, same_content, with_snapshots
from tests.faults.world import contents
from tests.support.engine import Bench


async def template(bench: Bench, folder: Path) -> Facts:
    """A template that a clone builds on."""
    facts = await halted(bench, folder)
    await bench.session.VM.set_is_a_template(facts["vm"], True)
    facts["clone"] = await bench.session.VM.clone(facts["vm"], "clone")
    facts["frozen"][facts["clone"]] = facts["vm_content"]
    return facts


async def unprovisioned(bench: Bench, _folder: Path) -> Facts:
    source = await bench.session.by_name(VM, "Sample guest")
    return {"vm": await bench.session.VM.clone(source, "new"), "frozen": {}}


async def cloned_or_not(bench: Bench, facts: Facts) -> None:
    await same_content(bench, facts)
    found = {ref for ref, vm in bench.store.all(VM).items() if vm.name_label == "clone"}
    for clone in found:
        assert contents(bench, clone) in (facts["vm_content"], facts["frozen"].get(facts.get("root")))
    mark(bench, facts["vm"], "changed")
    for clone in found:
        assert contents(bench, clone) != contents(bench, facts["vm"])
        await bench.run(VMCalls.uninstall, clone, False)


async def provisioned_or_not(bench: Bench, facts: Facts) -> None:
    vm = facts["vm"]
    if bench.vm(vm).is_a_template:
        assert disks_of(bench, vm) == {}
        await bench.session.VM.provision(vm)
    await go_on(bench, vm)


async def template_or_vm(bench: Bench, facts: Facts) -> None:
    vm: Ref[VM] = facts["vm"]
    await same_content(bench, facts)
    if bench.vm(vm).is_a_template:
        await bench.session.VM.set_is_a_template(vm, False)
    mark(bench, vm, "changed")
    assert contents(bench, facts["clone"]) == facts["vm_content"]


SCENARIOS: Mapping[str, Scenario] = {
    "clone_vm": Scenario(halted, message(VMCalls.clone, "vm", "clone"), cloned_or_not),
    "clone_snapshot": Scenario(with_snapshots, message(VMCalls.clone, "root", "clone"), cloned_or_not),
    "copy_vm": Scenario(halted, message(VMCalls.copy, "vm", "clone", NULL), cloned_or_not),
    "copy_snapshot": Scenario(with_snapshots, message(VMCalls.copy, "root", "clone", NULL), cloned_or_not),
    "provision": Scenario(unprovisioned, message(VMCalls.provision, "vm"), provisioned_or_not),
    "template_to_vm": Scenario(template, message(VMCalls.set_is_a_template, "vm", False), template_or_vm),
}
