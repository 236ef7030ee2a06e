"""Each operation with what has to be true of its VM whenever it is interrupted: it happened, or it did not.

`prepare` runs untouched and answers facts (JSON), `act` is the operation that is killed somewhere, `check` looks at
what a new engine makes of the folder.
"""

from __future__ import annotations

import os
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from app.api import NULL, VDI, VM, Ref, VDICalls, VMCalls, VMPowerState
from tests.engine.vm.guests import DATA, counter, disks_of, go_on, images_of, snapshot, some_ticks, tick
from tests.faults.world import contents
from tests.support.engine import Bench
from tests.support.guest_disk import read_counter, write_bytes

Facts = dict[str, Any]
Step = Callable[[Bench, Facts], Awaitable[None]]
MIB = 1 << 20


@dataclass(frozen=True)
class Scenario:
    """One operation to interrupt."""

    prepare: Callable[[Bench, Path], Awaitable[Facts]]
    act: Step
    check: Step


# Preparing


def mark(bench: Bench, vm: str, text: str) -> None:
    """Known bytes on every disk of a Halted VM."""
    for device in disks_of(bench, vm):
        write_bytes(bench.image(vm, device), DATA, f"{text} {device}".encode())


async def halted(bench: Bench, _folder: Path) -> Facts:
    vm = await bench.sample_vm(disks=2, size=2 * MIB, nic=True)
    mark(bench, vm, "one")
    return {"vm": vm, "vm_content": contents(bench, vm), "frozen": {}}


async def with_snapshots(bench: Bench, folder: Path) -> Facts:
    """A Halted VM with the snapshots root and top, and a content of its own."""
    facts = await halted(bench, folder)
    vm = facts["vm"]
    for name in ("root", "top"):
        mark(bench, vm, name)
        facts[name] = await snapshot(bench, vm, name)
        facts["frozen"][facts[name]] = contents(bench, facts[name])
    mark(bench, vm, "current")
    facts["vm_content"] = contents(bench, vm)
    return facts


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


async def running(bench: Bench, folder: Path) -> Facts:
    facts = await halted(bench, folder)
    await bench.session.VM.start(facts["vm"])
    ticked = await some_ticks(bench, facts["vm"])
    return {**facts, "counter": ticked.counter, "since_boot": ticked.since_boot}


async def running_with_a_snapshot(bench: Bench, folder: Path) -> Facts:
    facts = await running(bench, folder)
    facts["root"] = await snapshot(bench, facts["vm"], "root")
    facts["frozen"][facts["root"]] = contents(bench, facts["root"])
    ticked = await some_ticks(bench, facts["vm"])
    return {**facts, "counter": ticked.counter, "since_boot": ticked.since_boot}


async def suspended(bench: Bench, folder: Path) -> Facts:
    facts = await running_with_a_snapshot(bench, folder)
    await bench.session.VM.suspend(facts["vm"])
    return {**facts, "counter": counter(bench, facts["vm"])}


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


async def with_a_source(bench: Bench, folder: Path) -> Facts:
    source = folder / "source.raw"
    source.write_bytes(os.urandom(MIB))
    return {"source": str(source), "frozen": {}}


async def with_a_disk(bench: Bench, _folder: Path) -> Facts:
    vdi = await bench.session.VDI.create({"SR": bench.sr(), "virtual_size": MIB, "name_label": "disk"})
    return {"vdi": vdi, "frozen": {}}


# Acting


def message(function: Callable[..., Awaitable[Any]], fact: str, *args: Any) -> Step:
    """Send a message about the object that the facts name."""

    async def act(bench: Bench, facts: Facts) -> None:
        await bench.run(function, facts[fact], *args)

    return act


async def create_disk(bench: Bench, _facts: Facts) -> None:
    await bench.run(VDICalls.create, {"SR": bench.sr(), "virtual_size": MIB, "name_label": "new disk"})


async def import_disk(bench: Bench, facts: Facts) -> None:
    await bench.run(VDICalls.import_file, bench.sr(), facts["source"], "new disk")


# Checking


async def same_content(bench: Bench, facts: Facts) -> None:
    """The VM shows what it showed."""
    assert contents(bench, facts["vm"]) == facts["vm_content"]


async def goes_on(bench: Bench, facts: Facts) -> None:
    """The guest still runs, or can go on where it was: it was not restarted, and no tick is lost."""
    vm = facts["vm"]
    assert counter(bench, vm) >= facts["counter"]
    ticked = await go_on(bench, vm)
    assert ticked.counter > facts["counter"]
    assert ticked.since_boot > facts["since_boot"]
    assert read_counter(bench.image(vm)).boot == 1


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


async def suspended_or_not(bench: Bench, facts: Facts) -> None:
    assert bench.vm(facts["vm"]).power_state in (VMPowerState.Running, VMPowerState.Suspended)
    await goes_on(bench, facts)


async def resumed_or_not(bench: Bench, facts: Facts) -> None:
    assert bench.vm(facts["vm"]).power_state is not VMPowerState.Halted
    await goes_on(bench, facts)


async def started_or_not(bench: Bench, facts: Facts) -> None:
    vm = facts["vm"]
    assert bench.vm(vm).power_state in (VMPowerState.Halted, VMPowerState.Running)
    await go_on(bench, vm)
    assert read_counter(bench.image(vm)).boot == 1


async def memory_dropped_or_not(bench: Bench, facts: Facts) -> None:
    vm = facts["vm"]
    if bench.vm(vm).power_state is VMPowerState.Suspended:
        await goes_on(bench, facts)
    else:
        assert (bench.vm(vm).power_state, bench.vm(vm).suspend_VDI) == (VMPowerState.Halted, NULL)
        assert counter(bench, vm) == facts["counter"]


async def template_or_vm(bench: Bench, facts: Facts) -> None:
    vm: Ref[VM] = facts["vm"]
    await same_content(bench, facts)
    if bench.vm(vm).is_a_template:
        await bench.session.VM.set_is_a_template(vm, False)
    mark(bench, vm, "changed")
    assert contents(bench, facts["clone"]) == facts["vm_content"]


async def made_or_not(bench: Bench, facts: Facts) -> None:
    for ref, vdi in list(bench.store.all(VDI).items()):
        assert vdi.name_label == "new disk"
        await bench.session.VDI.destroy(ref)
    assert images_of(bench) == set()


async def deleted_or_not(bench: Bench, facts: Facts) -> None:
    assert len(images_of(bench)) == len(bench.store.all(VDI))


SCENARIOS: Mapping[str, Scenario] = {
    "snapshot_halted": Scenario(halted, message(VMCalls.snapshot, "vm", "new", []), snapshot_of_halted),
    "snapshot_running": Scenario(running, message(VMCalls.snapshot, "vm", "new", []), snapshot_of_running),
    "snapshot_suspended": Scenario(suspended, message(VMCalls.snapshot, "vm", "new", []), snapshot_of_suspended),
    "revert_halted": Scenario(with_snapshots, message(VMCalls.revert, "root"), reverted_or_not),
    "revert_running": Scenario(running_with_a_snapshot, message(VMCalls.revert, "root"), running_reverted_or_not),
    "uninstall_leaf": Scenario(with_a_base_copy, message(VMCalls.uninstall, "top", False), gone_or_whole),
    "uninstall_middle": Scenario(with_snapshots, message(VMCalls.uninstall, "top", False), gone_or_whole),
    "uninstall_vm": Scenario(with_snapshots, message(VMCalls.uninstall, "vm", True), vm_gone_or_whole),
    "destroy": Scenario(with_snapshots, message(VMCalls.destroy, "vm"), destroyed_or_not),
    "clone_vm": Scenario(halted, message(VMCalls.clone, "vm", "clone"), cloned_or_not),
    "clone_snapshot": Scenario(with_snapshots, message(VMCalls.clone, "root", "clone"), cloned_or_not),
    "provision": Scenario(unprovisioned, message(VMCalls.provision, "vm"), provisioned_or_not),
    "template_to_vm": Scenario(template, message(VMCalls.set_is_a_template, "vm", False), template_or_vm),
    "start": Scenario(halted, message(VMCalls.start, "vm"), started_or_not),
    "suspend": Scenario(running, message(VMCalls.suspend, "vm"), suspended_or_not),
    "resume": Scenario(suspended, message(VMCalls.resume, "vm"), resumed_or_not),
    "drop_memory": Scenario(suspended, message(VMCalls.hard_shutdown, "vm"), memory_dropped_or_not),
    "create_disk": Scenario(with_a_source, create_disk, made_or_not),
    "import_disk": Scenario(with_a_source, import_disk, made_or_not),
    "delete_disk": Scenario(with_a_disk, message(VDICalls.destroy, "vdi"), deleted_or_not),
}
