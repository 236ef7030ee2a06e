"""Templates: made from VMs and snapshots, turned into VMs again, and deleted."""

from __future__ import annotations

import pytest

from app.api import NULL, VDI, VM, Failure, Ref, VMCalls, VMOperation, VMPowerState
from tests.engine.vm.guests import (
    DATA,
    SMALL,
    assert_tidy,
    content,
    contents,
    counter,
    disks_of,
    go_on,
    images_of,
    in_state,
    snapshot,
    some_ticks,
)
from tests.support.engine import Bench
from tests.support.guest_disk import read_bytes, write_bytes


async def code_of(work: object) -> str:
    with pytest.raises(Failure) as caught:
        await work  # type: ignore[misc]
    return caught.value.code


def offered(bench: Bench, vm: str) -> set[VMOperation]:
    return set(bench.vm(vm).allowed_operations)


async def test_a_vm_with_snapshots_becomes_a_template_and_a_vm_again(bench: Bench) -> None:
    """Its snapshots stay, and can be gone back to when it is a VM again; clones keep what they were made of."""
    vm = await bench.sample_vm(disks=2, size=SMALL)
    write_bytes(bench.image(vm), DATA, b"at the snapshot")
    snap = await snapshot(bench, vm)
    write_bytes(bench.image(vm), DATA, b"in the template")
    await bench.session.VM.set_is_a_template(vm, True)
    await bench.session.VM.set_is_a_template(vm, True)  # nothing to do
    assert (bench.vm(vm).is_a_template, set(bench.vm(vm).snapshots), bench.vm(vm).parent) == (True, {snap}, snap)
    assert {VMOperation.clone, VMOperation.copy, VMOperation.provision, VMOperation.destroy} <= offered(bench, vm)
    assert offered(bench, vm).isdisjoint({VMOperation.start, VMOperation.snapshot, VMOperation.make_into_template})
    for work in (
        bench.session.VM.start(vm),
        bench.session.VM.snapshot(vm, "of a template"),
        bench.session.VM.revert(snap),
    ):
        assert await code_of(work) == "VM_IS_TEMPLATE"
    fast = Ref[VM](await bench.run(VMCalls.clone, vm, "fast"))
    full = Ref[VM](await bench.run(VMCalls.copy, vm, "full", NULL))
    await bench.session.VM.set_is_a_template(vm, False)
    await bench.run(VMCalls.revert, snap)
    assert read_bytes(bench.image(vm), DATA, 15) == b"at the snapshot"
    await go_on(bench, vm)
    for made in (fast, full):
        await bench.session.VM.provision(made)
        assert read_bytes(bench.image(made), DATA, 15) == b"in the template"
        await go_on(bench, made)
    assert_tidy(bench)


@pytest.mark.parametrize("state", [VMPowerState.Running, VMPowerState.Paused, VMPowerState.Suspended])
async def test_only_a_halted_vm_becomes_a_template(bench: Bench, state: VMPowerState) -> None:
    vm = await bench.sample_vm()
    await in_state(bench, vm, state)
    assert VMOperation.make_into_template not in offered(bench, vm)
    assert await code_of(bench.session.VM.set_is_a_template(vm, True)) == "VM_BAD_POWER_STATE"
    assert not bench.vm(vm).is_a_template


async def test_a_template_is_deleted_with_its_disks_and_its_clones_stay(bench: Bench) -> None:
    vm = await bench.sample_vm(disks=2, size=SMALL)
    write_bytes(bench.image(vm, "1"), DATA, b"shared")
    await bench.session.VM.set_is_a_template(vm, True)
    clone = Ref[VM](await bench.run(VMCalls.clone, vm, "clone"))
    await bench.session.VM.provision(clone)
    before = contents(bench, clone, ["0", "1"])
    await bench.run(VMCalls.uninstall, vm, False)
    assert bench.store.find(VM, vm) is None
    assert contents(bench, clone, ["0", "1"]) == before
    assert {vdi.managed for vdi in bench.store.all(VDI).values() if not vdi.VBDs} == {False}
    await go_on(bench, clone)
    await bench.run(VMCalls.uninstall, clone, False)
    assert images_of(bench) == set()


async def test_a_snapshot_whose_template_flag_is_taken_away(bench: Bench) -> None:
    """Xen Orchestra does that to each snapshot: it stays one, and what is made of it is a VM at once."""
    vm = await bench.sample_vm()
    write_bytes(bench.image(vm), DATA, b"frozen")
    snap = await snapshot(bench, vm)
    write_bytes(bench.image(vm), DATA, b"later ")
    before = content(bench.image(snap))
    await bench.session.VM.set_is_a_template(snap, False)
    await bench.session.VM.update_allowed_operations(snap)
    record = bench.vm(snap)
    assert (record.is_a_snapshot, record.is_a_template, record.snapshot_of) == (True, False, vm)
    assert {VMOperation.revert, VMOperation.clone, VMOperation.copy, VMOperation.destroy} <= offered(bench, snap)
    for work in (
        bench.session.VM.start(snap),
        bench.session.VM.snapshot(snap, "of a snapshot"),
        bench.session.VM.provision(snap),
        bench.session.VM.set_is_a_template(snap, True),
    ):
        assert await code_of(work) == "VM_IS_SNAPSHOT"
    made = [
        Ref[VM](await bench.run(VMCalls.clone, snap, "clone")),
        Ref[VM](await bench.run(VMCalls.copy, snap, "copy", NULL)),
    ]
    for ref in made:
        assert (bench.vm(ref).is_a_template, bench.vm(ref).is_a_snapshot) == (False, False)
        assert read_bytes(bench.image(ref), DATA, 6) == b"frozen"
        await go_on(bench, ref)
        await bench.session.VM.hard_shutdown(ref)
    assert content(bench.image(snap)) == before
    await bench.run(VMCalls.revert, snap)
    assert read_bytes(bench.image(vm), DATA, 6) == b"frozen"
    await bench.run(VMCalls.uninstall, snap, False)
    await go_on(bench, vm)
    assert_tidy(bench)


@pytest.mark.parametrize("message", ["clone", "copy"])
async def test_a_template_of_a_checkpoint_has_no_memory(bench: Bench, message: str) -> None:
    vm = await bench.sample_vm()
    await in_state(bench, vm, VMPowerState.Running)
    point = Ref[VM](await bench.run(VMCalls.checkpoint, vm, "point"))
    frozen, before = counter(bench, point), content(bench.image(point))
    await some_ticks(bench, vm)
    if message == "clone":
        made = Ref[VM](await bench.run(VMCalls.clone, point, "made"))
    else:
        made = Ref[VM](await bench.run(VMCalls.copy, point, "made", NULL))
    record = bench.vm(made)
    assert (record.power_state, record.suspend_VDI, record.is_a_template) == (VMPowerState.Halted, NULL, True)
    assert content(bench.image(made)) == before
    await bench.session.VM.provision(made)
    assert (await go_on(bench, made)).counter > frozen
    assert bench.vm(point).power_state is VMPowerState.Suspended
    assert bench.store.find(VDI, bench.vm(point).suspend_VDI) is not None
    assert_tidy(bench)


async def test_a_destroyed_checkpoint_leaves_its_disks_but_not_its_memory(bench: Bench) -> None:
    vm = await bench.sample_vm()
    await in_state(bench, vm, VMPowerState.Running)
    point = Ref[VM](await bench.run(VMCalls.checkpoint, vm, "point"))
    memory, disks = bench.vm(point).suspend_VDI, disks_of(bench, point)
    before = content(bench.image(point))
    await bench.run(VMCalls.destroy, point)
    assert bench.store.find(VDI, memory) is None
    (left,) = disks.values()
    record = bench.store.get(VDI, left)
    assert (record.managed, record.VBDs) == (True, frozenset())
    assert content(bench.engine.context.files(record.SR).image_path(record.location)) == before
    assert_tidy(bench)
    await bench.session.VDI.destroy(left)
    await some_ticks(bench, vm)
