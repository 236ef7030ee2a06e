"""The rules over all the VMs there could be: lists and refusals agree, and some things never happen."""

from __future__ import annotations

from typing import Any

from hypothesis import given
from hypothesis import strategies as st

from app.api import NULL, VDI, VM, Ref, VDIOperation, VMOperation, VMPowerState
from app.ops.disk_rules import IMPLEMENTED, Holder, vdi_operations, why_not_disk
from app.ops.rules import POWER_STATES, allowed_operations, why_not

Op = VMOperation
REF = "$VM"
KINDS: list[dict[str, bool]] = [
    {},
    {"is_a_template": True},
    {"is_a_template": True, "is_default_template": True},
    {"is_a_snapshot": True, "is_a_template": True},
    {"is_a_snapshot": True},
    {"is_control_domain": True},
]
READING = {Op.clone, Op.copy, Op.export}
DECIDING = {Op.revert, Op.reverting, Op.destroy, Op.provision, Op.make_into_template, Op.start, Op.start_on}
"""What decides what a VM is: nothing else may happen to it meanwhile."""

vms = st.builds(
    lambda kind, state, running, blocked, schedule: VM(
        power_state=state,
        current_operations={f"$TASK {number}": op for number, op in enumerate(running)},
        blocked_operations={op.value: "a reason" for op in blocked},
        snapshot_schedule=Ref("$VMSS") if schedule else NULL,
        snapshot_of=Ref("$SOURCE") if kind.get("is_a_snapshot") else NULL,
        **kind,
    ),
    st.sampled_from(KINDS),
    st.sampled_from(VMPowerState),
    st.lists(st.sampled_from(VMOperation), max_size=3),
    st.sets(st.sampled_from(VMOperation), max_size=3),
    st.booleans(),
)
disks = st.lists(st.sampled_from([VDI(), VDI(sm_config={"on_boot": "reset"}), VDI(is_a_snapshot=True)]), max_size=3)


@given(vms, disks, st.booleans())
def test_what_is_offered_is_possible_and_the_other_way_round(vm: VM, held: list[VDI], agent: bool) -> None:
    offered = allowed_operations(REF, vm, held, agent=agent)
    for op in VMOperation:
        failure = why_not(REF, vm, op, held, agent=agent)
        if op in offered:
            assert failure is None
        elif failure is None:
            assert op in POWER_STATES and op in {Op.reverting, Op.shutdown, Op.power_state_reset, Op.changing_VCPUs}
        else:
            assert failure.code == failure.code.upper()
            assert failure.code != "INTERNAL_ERROR"


@given(vms, disks, st.booleans())
def test_what_never_happens(vm: VM, held: list[VDI], agent: bool) -> None:
    offered = allowed_operations(REF, vm, held, agent=agent)
    assert offered.isdisjoint(vm.blocked_operations)
    if vm.is_a_snapshot:
        assert offered <= {Op.revert, Op.clone, Op.copy, Op.export, Op.destroy, Op.hard_shutdown, Op.metadata_export}
    elif vm.is_a_template:
        assert offered.isdisjoint({Op.start, Op.snapshot, Op.checkpoint, Op.revert, Op.suspend, Op.make_into_template})
    if vm.is_default_template:
        assert Op.destroy not in offered
    if not vm.is_a_snapshot:
        assert Op.revert not in offered
    if any(disk.sm_config for disk in held):
        assert offered.isdisjoint({Op.snapshot, Op.checkpoint, Op.suspend, Op.snapshot_with_quiesce})
    if vm.power_state in (VMPowerState.Running, VMPowerState.Paused):
        assert offered.isdisjoint({Op.destroy, Op.clone, Op.copy, Op.start, Op.provision})


@given(vms, disks, st.booleans())
def test_who_is_let_in_beside_whom(vm: VM, held: list[VDI], agent: bool) -> None:
    running = set(vm.current_operations.values())
    offered = allowed_operations(REF, vm, held, agent=agent)
    if running & DECIDING or not running <= set(VMOperation):
        assert offered == frozenset()
    if running & READING:
        assert offered <= READING
    if running:
        assert offered.isdisjoint(DECIDING)


@given(vms, disks, st.sampled_from(sorted(POWER_STATES)))
def test_the_first_test_that_fails_is_the_error(vm: VM, held: list[VDI], op: VMOperation) -> None:
    """XenAPI's order: blocked, power state, another operation, the kind of object, then the rest."""
    failure = why_not(REF, vm, op, held, agent=True)
    if op in vm.blocked_operations:
        assert failure is not None and failure.description() == ["OPERATION_BLOCKED", REF, "a reason"]
        return
    states = set(POWER_STATES[op])
    if op in (Op.clone, Op.copy) and vm.is_a_snapshot:
        states.add(VMPowerState.Suspended)
    if vm.power_state not in states:
        assert failure is not None and failure.code == "VM_BAD_POWER_STATE"
        assert failure.params[2] == vm.power_state.value.lower()
    elif failure is not None and failure.code != "OTHER_OPERATION_IN_PROGRESS":
        alone = why_not(REF, VM(**{**fields(vm), "current_operations": {}}), op, held, agent=True)
        assert alone is not None and alone.description() == failure.description()


def fields(vm: VM) -> dict[str, Any]:
    return {name: getattr(vm, name) for name in vm.__struct_fields__}


holders = st.lists(
    st.builds(
        Holder,
        attached=st.booleans(),
        operations=st.dictionaries(st.just("$TASK"), st.sampled_from(VMOperation), max_size=1),
        suspended=st.booleans(),
    ),
    max_size=2,
)


@given(
    st.builds(
        VDI,
        managed=st.booleans(),
        is_a_snapshot=st.booleans(),
        current_operations=st.dictionaries(st.just("$TASK"), st.sampled_from(VDIOperation), max_size=1),
    ),
    holders,
    st.booleans(),
)
def test_no_disk_in_use_is_touched(vdi: VDI, held: list[Holder], is_iso: bool) -> None:
    offered = vdi_operations(vdi, held, is_iso=is_iso)
    assert offered == {op for op in IMPLEMENTED if why_not_disk("", vdi, op, held, is_iso=is_iso) is None}
    if is_iso or not vdi.managed or any(holder.attached for holder in held):
        assert offered == frozenset()
    if vdi.current_operations or any(holder.operations for holder in held):
        assert VDIOperation.destroy not in offered
