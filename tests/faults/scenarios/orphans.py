"""What a removed VM or snapshot leaves behind: snapshots without a VM, disks without a snapshot."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

from app.api import NULL, VDI, VM, Ref, VDICalls, VMCalls, VMPowerState
from tests.engine.vm.guests import counter, disks_of, go_on, images_of
from tests.faults.scenarios.base import Facts, Scenario, halted, mark, message, running, same_content, with_snapshots
from tests.faults.world import contents, shown
from tests.support.engine import Bench


async def without_their_vm(bench: Bench, folder: Path) -> Facts:
    """The snapshots root and top of a VM that is gone."""
    facts = await with_snapshots(bench, folder)
    facts["uuid"] = bench.vm(facts["vm"]).uuid
    await bench.run(VMCalls.uninstall, facts["vm"], False)
    return facts


async def checkpoint_without_its_vm(bench: Bench, folder: Path) -> Facts:
    """A checkpoint of a guest that ran; the VM is gone."""
    facts = await running(bench, folder)
    facts["root"] = await bench.run(VMCalls.checkpoint, facts["vm"], "root")
    facts["frozen"][facts["root"]] = contents(bench, facts["root"])
    facts["kept"] = counter(bench, facts["root"])
    facts["uuid"] = bench.vm(facts["vm"]).uuid
    await bench.run(VMCalls.uninstall, facts["vm"], False)
    return facts


async def without_their_snapshot(bench: Bench, folder: Path) -> Facts:
    """The disks that the snapshot root left when it was destroyed; top builds on them."""
    facts = await with_snapshots(bench, folder)
    facts["orphans"] = disks_of(bench, facts["root"])
    facts["vdi"] = facts["orphans"]["0"]
    await bench.run(VMCalls.destroy, facts["root"])
    return facts


async def halted_with_disks(bench: Bench, folder: Path) -> Facts:
    facts = await halted(bench, folder)
    return {**facts, "vdi": disks_of(bench, facts["vm"])["1"]}


async def template_lost(bench: Bench, folder: Path) -> Facts:
    """A VM with the disk that a destroyed template has left, on which a clone builds."""
    facts = await halted(bench, folder)
    await bench.session.VM.set_is_a_template(facts["vm"], True)
    facts["clone"] = await bench.session.VM.clone(facts["vm"], "clone")
    facts["frozen"][facts["clone"]] = facts["vm_content"]
    left = disks_of(bench, facts["vm"])
    await bench.run(VMCalls.destroy, facts["vm"])
    facts["vm"] = await bench.sample_vm("other")
    await bench.run(VDICalls.destroy, disks_of(bench, facts["vm"])["0"])
    for device, vdi in left.items():
        await bench.session.VBD.create(
            {"VM": facts["vm"], "VDI": vdi, "userdevice": device, "type": "Disk", "bootable": device == "0"}
        )
    return facts


async def copy_disk(bench: Bench, facts: Facts) -> None:
    await bench.run(VDICalls.copy, facts["vdi"], bench.sr())


async def disk_made_or_not(bench: Bench, facts: Facts) -> None:
    """The disk shows what it showed; so does its copy if there is one, whatever is written to the disk."""
    await same_content(bench, facts)
    before = facts["vm_content"]["1"]
    mark(bench, facts["vm"], "changed")
    files = bench.engine.context.files(bench.sr())
    made = [ref for ref, vdi in bench.store.all(VDI).items() if vdi.managed and not vdi.VBDs]
    assert len(made) <= 1
    for vdi in made:
        assert shown(files.image_path(bench.store.get(VDI, vdi).location)) == before
        await bench.session.VDI.destroy(vdi)
    await bench.run(VMCalls.uninstall, facts["vm"], True)
    assert images_of(bench) == set()


async def started_without_harm(bench: Bench, facts: Facts) -> None:
    """The VM can start; what builds on its old images is looked at afterwards."""
    await go_on(bench, facts["vm"])
    await bench.session.VM.hard_shutdown(facts["vm"])


async def recreated_or_not(bench: Bench, facts: Facts) -> None:
    """The VM is back whole and has all snapshots, or nothing of it is there; and then it can still be brought back."""
    found = [ref for ref, vm in bench.store.all(VM).items() if vm.uuid == facts["uuid"]]
    if not found:
        assert {bench.vm(facts[name]).snapshot_of for name in ("root", "top")} == {facts["vm"]}
        await bench.run(VMCalls.revert, facts["root"])
    vm: Ref[VM] = bench.store.by_uuid(VM, facts["uuid"])
    assert contents(bench, vm) == facts["frozen"][facts["root"]]
    assert bench.vm(vm).snapshots == {facts["root"], facts["top"]}
    assert len(bench.vm(vm).VIFs) == 1
    await go_on(bench, vm)
    await bench.session.VM.hard_shutdown(vm)
    await bench.run(VMCalls.uninstall, vm, True)
    assert images_of(bench) == set()


async def recreated_with_memory_or_not(bench: Bench, facts: Facts) -> None:
    """The VM is back, Suspended, and its guest goes on where the checkpoint stands; or it can still be brought back."""
    if not any(vm.uuid == facts["uuid"] for vm in bench.store.all(VM).values()):
        await bench.run(VMCalls.revert, facts["root"])
    vm: Ref[VM] = bench.store.by_uuid(VM, facts["uuid"])
    assert bench.vm(vm).power_state is VMPowerState.Suspended
    assert contents(bench, vm) == facts["frozen"][facts["root"]]
    ticked = await go_on(bench, vm)
    assert ticked.counter == ticked.since_boot > facts["kept"]
    await bench.session.VM.hard_shutdown(vm)
    await bench.run(VMCalls.uninstall, vm, True)
    assert images_of(bench) == set()


async def snapshot_destroyed_or_not(bench: Bench, facts: Facts) -> None:
    """Its disks are listed in any case, and show what they showed."""
    await same_content(bench, facts)
    expected = facts["frozen"][facts["root"]]
    known = [vdi for vdi in bench.store.all(VDI).values() if vdi.is_a_snapshot]
    files = bench.engine.context.files(bench.sr())
    assert len(known) == 4
    assert set(expected.values()) <= {shown(files.image_path(vdi.location)) for vdi in known}


async def copied_or_not(bench: Bench, facts: Facts) -> None:
    """A copy shows what the checkpoint shows, without its memory."""
    copies = [ref for ref, vm in bench.store.all(VM).items() if vm.name_label == "clone"]
    for made in copies:
        assert contents(bench, made) == facts["frozen"][facts["root"]]
        assert (bench.vm(made).power_state, bench.vm(made).suspend_VDI) == (VMPowerState.Halted, NULL)
        await bench.run(VMCalls.uninstall, made, False)
    await recreated_with_memory_or_not(bench, facts)


async def left_its_disks_or_not(bench: Bench, facts: Facts) -> None:
    """The checkpoint is whole, or its disks alone are left; they can be deleted."""
    if bench.store.find(VM, facts["root"]) is not None:
        await recreated_with_memory_or_not(bench, facts)
        return
    left = {ref: vdi for ref, vdi in bench.store.all(VDI).items() if vdi.managed}
    files = bench.engine.context.files(bench.sr())
    expected = facts["frozen"][facts["root"]]
    assert {shown(files.image_path(vdi.location)) for vdi in left.values()} == set(expected.values())
    for vdi in left:
        await bench.session.VDI.destroy(vdi)
    assert images_of(bench) == set()


async def orphan_deleted_or_not(bench: Bench, facts: Facts) -> None:
    """What builds on the disk is whole; nothing is left when all is deleted."""
    await same_content(bench, facts)
    for vdi, record in list(bench.store.all(VDI).items()):
        if record.managed and not record.VBDs:
            await bench.session.VDI.destroy(vdi)
    await same_content(bench, facts)
    assert contents(bench, facts["top"]) == facts["frozen"][facts["top"]]
    await bench.run(VMCalls.uninstall, facts["vm"], True)
    assert images_of(bench) == set()


SCENARIOS: Mapping[str, Scenario] = {
    "recreate_vm": Scenario(without_their_vm, message(VMCalls.revert, "root"), recreated_or_not),
    "recreate_with_memory": Scenario(
        checkpoint_without_its_vm, message(VMCalls.revert, "root"), recreated_with_memory_or_not
    ),
    "copy_checkpoint": Scenario(checkpoint_without_its_vm, message(VMCalls.copy, "root", "clone", NULL), copied_or_not),
    "destroy_checkpoint": Scenario(checkpoint_without_its_vm, message(VMCalls.destroy, "root"), left_its_disks_or_not),
    "destroy_snapshot": Scenario(with_snapshots, message(VMCalls.destroy, "root"), snapshot_destroyed_or_not),
    "clone_disk": Scenario(halted_with_disks, message(VDICalls.clone, "vdi"), disk_made_or_not),
    "clone_orphan": Scenario(without_their_snapshot, message(VDICalls.clone, "vdi"), orphan_deleted_or_not),
    "copy_disk": Scenario(halted_with_disks, copy_disk, disk_made_or_not),
    "start_on_a_base": Scenario(template_lost, message(VMCalls.start, "vm"), started_without_harm),
    "delete_orphan": Scenario(without_their_snapshot, message(VDICalls.destroy, "vdi"), orphan_deleted_or_not),
}
