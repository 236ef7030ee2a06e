"""What is possible on a VM, against what a XenServer toolstack (API 2.23) answered for objects of the same kind.

tests/data/vm_operations.json has one line for each kind of object and power state: the flags, the list of
allowed_operations, and what VM.assert_operation_valid said of each operation ([]: it is possible).
"""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from app.api import VDI, VM, Ref, VMOperation, VMPowerState
from app.ops.rules import POWER_STATES, allowed_operations, why_not

RECORDED: list[dict[str, Any]] = json.loads((Path(__file__).parents[2] / "data" / "vm_operations.json").read_text())
REF = "$VM"
IMPLEMENTED = {op.value for op in POWER_STATES}

AGENT = "no agent is needed: the power button is ACPI's, and memory is saved by QEMU"
RUNNING_RANGE = "memory of a running guest cannot be changed yet"
RUNNING_KINDS = (
    "VM", "VM (PV domain)", "VM without guest agent", "VM with an on_boot=reset disk", "control domain",
)  # fmt: skip

DIFFERENT: dict[tuple[str, str, str], str] = {
    **{
        ("VM without guest agent", "Running", op): AGENT
        for op in ("suspend", "checkpoint", "clean_shutdown", "clean_reboot")
    },
    **{(kind, "Paused", "checkpoint"): AGENT for kind in ("VM", "VM without guest agent")},
    **{
        (kind, "Running", "changing_dynamic_range"): RUNNING_RANGE
        for kind in (
            "VM",
            "VM (PV domain)",
            "VM without guest agent",
            "VM with an on_boot=reset disk",
            "control domain",
        )
    },
    ("control domain", "Running", "changing_static_range"): "the control domain is not ours to change",
}
"""(kind, power state, operation): why our list is another on purpose."""

OTHER_WORDS: dict[str, str] = {
    "changing_dynamic_range": "of the states expected, “running” is left out: " + RUNNING_RANGE,
    "changing_VCPUs": "on snapshots theirs says “(unknown operation)”, on the control domain “dom0” before the state",
}
"""Operations that are refused like theirs, with an error of other words."""

DEFAULT_TEMPLATE = "default template (other_config default_template)"


def the_vm(recorded: dict[str, Any]) -> VM:
    """A record of the recorded kind."""
    fields: dict[str, Any] = dict.fromkeys(recorded["flags"], True)
    kind = recorded["kind"]
    if "snapshot" in kind.split(" ")[0] or "checkpoint" in kind.split(" ")[0]:
        fields |= {"is_a_snapshot": True, "is_a_template": "set false" not in kind, "snapshot_of": Ref("$SOURCE")}
    if "blocked_operations" in kind:
        fields["blocked_operations"] = {"snapshot": "why not", "revert": "x", "checkpoint": ""}
    if "snapshot schedule" in kind:
        fields["snapshot_schedule"] = Ref("$VMSS")
    operations = {task: VMOperation(op) for task, op in recorded["current_operations"].items()}
    return VM(power_state=VMPowerState(recorded["power_state"]), current_operations=operations, **fields)


def cases() -> Iterator[Any]:
    for recorded in RECORDED:
        yield pytest.param(recorded, id=f"{recorded['kind']}, {recorded['power_state']}")


def deliberate(recorded: dict[str, Any]) -> set[str]:
    return {op for kind, state, op in DIFFERENT if (kind, state) == (recorded["kind"], recorded["power_state"])}


@pytest.mark.parametrize("recorded", list(cases()))
def test_the_list_is_the_recorded_one(recorded: dict[str, Any]) -> None:
    ours = {op.value for op in allowed_operations(REF, the_vm(recorded))}
    theirs = set(recorded["allowed"]) & IMPLEMENTED
    assert ours ^ theirs == deliberate(recorded) & (ours ^ theirs)
    assert deliberate(recorded) <= ours ^ theirs, "no longer different: take it from the list"


@pytest.mark.parametrize("recorded", list(cases()))
def test_each_error_is_the_recorded_one(recorded: dict[str, Any]) -> None:
    vm = the_vm(recorded)
    found = {}
    for name, expected in recorded["valid"].items():
        if name in IMPLEMENTED and name not in deliberate(recorded):
            failure = why_not(REF, vm, VMOperation(name))
            ours = failure.description() if failure else []
            expected = [_symbol(part) for part in expected]
            if name in OTHER_WORDS and expected:
                expected, ours = ["refused"], ["refused"] if ours else []
            elif (recorded["kind"], name) == (DEFAULT_TEMPLATE, "destroy"):
                expected = ["VM_CANNOT_DELETE_DEFAULT_TEMPLATE", REF]  # what VM.destroy answers there too
            if ours != expected:
                found[name] = (ours, expected)
    assert found == {}


def _symbol(part: str) -> str:
    """Snapshots have a name of their own in the recording, and the schedule its real reference."""
    if part in ("$SNAP", "$TEMPLATE"):
        return REF
    return "$VMSS" if part.startswith("OpaqueRef:") else part


def test_only_what_is_implemented_is_offered() -> None:
    for state in VMPowerState:
        for op in set(VMOperation) - set(POWER_STATES):
            failure = why_not(REF, VM(power_state=state), op)
            assert failure is not None
            assert failure.code == "OPERATION_NOT_ALLOWED"
            assert op.value in failure.params[0]


@pytest.mark.parametrize("running", sorted(POWER_STATES))
def test_nothing_gets_in_the_way_of_a_change_of_disks(running: VMOperation) -> None:
    """Whatever runs, only harmless company is let in; and cutting the power is possible where nothing can be lost."""
    readers = {VMOperation.clone, VMOperation.copy, VMOperation.export}
    makers = {VMOperation.snapshot, VMOperation.checkpoint}
    power = {VMOperation.hard_shutdown}
    company = {
        VMOperation.snapshot: makers | power,
        VMOperation.checkpoint: makers | power,
        VMOperation.snapshot_with_quiesce: {VMOperation.snapshot} | power,
        VMOperation.clone: readers,
        VMOperation.copy: readers,
        VMOperation.export: readers,
        VMOperation.clean_shutdown: power | {VMOperation.hard_reboot},
        VMOperation.clean_reboot: power | {VMOperation.hard_reboot},
        VMOperation.hard_reboot: power,
        VMOperation.pause: power,
        VMOperation.unpause: power,
        VMOperation.suspend: power,
        VMOperation.resume: power,
    }
    let_in = set()
    for state in VMPowerState:
        for flags in ({}, {"is_a_snapshot": True, "is_a_template": True}, {"is_a_template": True}):
            vm = VM(power_state=state, current_operations={"$TASK": running}, **flags)  # type: ignore[arg-type]
            let_in |= {op for op in POWER_STATES if why_not(REF, vm, op, agent=True) is None}
    assert let_in <= company.get(running, set())


def test_file_systems_are_held_where_an_agent_is() -> None:
    op = VMOperation.snapshot_with_quiesce
    for state in VMPowerState:
        vm = VM(power_state=state)
        assert (op in allowed_operations(REF, vm, agent=True)) == (state is VMPowerState.Running)
        assert op not in allowed_operations(REF, vm)
    failure = why_not(REF, VM(power_state=VMPowerState.Running), op)
    assert failure is not None and failure.description() == ["VM_SNAPSHOT_WITH_QUIESCE_NOT_SUPPORTED", REF]
    failure = why_not(REF, VM(power_state=VMPowerState.Paused), op)
    assert failure is not None and failure.description() == ["VM_BAD_POWER_STATE", REF, "running", "paused"]


@pytest.mark.parametrize("op", sorted(POWER_STATES))
def test_disks_that_forget_cannot_be_kept(op: VMOperation) -> None:
    """As recorded, the field VDI.on_boot alone does nothing: a XenServer looks at sm_config."""
    forgets, keeps = VDI(sm_config={"on_boot": "reset"}), VDI(sm_config={"on_boot": "persist"})
    keeping = {"snapshot", "checkpoint", "suspend", "snapshot_with_quiesce"}
    for state in VMPowerState:
        vm = VM(power_state=state)
        if why_not(REF, vm, op, [keeps], agent=True) is None:
            failure = why_not(REF, vm, op, [keeps, forgets], agent=True)
            assert (failure is not None) == (op.value in keeping)
            assert failure is None or failure.description() == ["VDI_ON_BOOT_MODE_INCOMPATIBLE_WITH_OPERATION"]
