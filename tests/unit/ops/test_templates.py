"""Templates and schedules, and what a clone, copy or revert makes of a VM's schedule."""

from __future__ import annotations

import pytest

from app.api import NULL, VM, Failure, Ref, VMCalls, VMOperation
from tests.engine.vm.guests import assert_tidy
from tests.support.engine import Bench


async def scheduled(bench: Bench) -> tuple[Ref[VM], str]:
    """A VM that a schedule protects, and the schedule."""
    vm = await bench.sample_vm()
    record = {"name_label": "nightly", "type": "snapshot", "frequency": "daily"}
    vmss = await bench.session.call("VMSS.create", record)
    await bench.session.call("VM.set_snapshot_schedule", vm, vmss)
    assert bench.vm(vm).snapshot_schedule == vmss
    return vm, vmss


async def test_a_scheduled_vm_is_no_template(bench: Bench) -> None:
    vm, vmss = await scheduled(bench)
    await bench.session.VM.update_allowed_operations(vm)
    assert VMOperation.make_into_template not in bench.vm(vm).allowed_operations
    with pytest.raises(Failure) as caught:
        await bench.session.VM.set_is_a_template(vm, True)
    assert caught.value.description() == ["VM_ASSIGNED_TO_SNAPSHOT_SCHEDULE", vm, vmss]
    await bench.session.call("VM.set_snapshot_schedule", vm, NULL)
    await bench.session.VM.set_is_a_template(vm, True)
    assert bench.vm(vm).is_a_template


async def test_a_schedule_stays_with_its_vm_alone(bench: Bench) -> None:
    vm, vmss = await scheduled(bench)
    snap = await bench.session.VM.snapshot(vm, "snap")
    made = [snap, await bench.session.VM.clone(vm, "clone"), Ref[VM](await bench.run(VMCalls.copy, vm, "copy", NULL))]
    assert {bench.vm(ref).snapshot_schedule for ref in made} == {NULL}
    await bench.session.call("VM.set_snapshot_schedule", vm, NULL)
    await bench.session.VM.revert(snap)
    assert bench.vm(vm).snapshot_schedule == NULL
    await bench.session.call("VM.set_snapshot_schedule", vm, vmss)
    await bench.session.VM.revert(snap)
    assert bench.vm(vm).snapshot_schedule == vmss
    await bench.run(VMCalls.uninstall, vm, False)
    await bench.session.VM.revert(snap)
    back = bench.vm(snap).snapshot_of
    assert back != vm
    assert bench.vm(back).snapshot_schedule == NULL
    assert_tidy(bench)


async def test_what_is_provisioned_must_be_a_template(bench: Bench) -> None:
    vm = await bench.sample_vm()
    with pytest.raises(Failure) as caught:
        await bench.session.VM.provision(vm)
    assert caught.value.description() == ["PROVISION_ONLY_ALLOWED_ON_TEMPLATE"]


@pytest.mark.parametrize(
    "disks",
    [
        "<provision><disk",
        '<provision><disk device="x" size="16777216" sr=""/></provision>',
        '<provision><disk device="0" size="huge" sr=""/></provision>',
        '<provision><disk device="0" size="16777216" sr="no such uuid"/></provision>',
        '<provision><disk device="0" size="0" sr=""/></provision>',
        '<!DOCTYPE p [<!ENTITY e SYSTEM "file:///etc/passwd">]><provision><disk device="&e;" size="1"/></provision>',
    ],
)
async def test_a_template_whose_disks_make_no_sense(bench: Bench, disks: str) -> None:
    template = await bench.session.VM.clone(await bench.session.by_name(VM, "Sample guest"), "new")
    await bench.session.set(VM, template, other_config={"disks": disks})
    before = bench.vm(template)
    with pytest.raises(Failure) as caught:
        await bench.session.VM.provision(template)
    assert caught.value.code in ("INVALID_VALUE", "UUID_INVALID", "OPERATION_NOT_ALLOWED", "SR_BACKEND_FAILURE_79")
    assert bench.vm(template) == before
    assert_tidy(bench)
