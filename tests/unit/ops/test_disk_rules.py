"""What is possible on disks, repositories and devices, against what a XenServer toolstack (API 2.23) answered.

tests/data/disk_operations.json has the lists of allowed_operations for each kind of object.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any, Final

import pytest

from app.api import VBD, VDI, Failure, VBDType, VDIOperation, VDIType, VMOperation, VMPowerState
from app.api.enums import SROperation, VBDOperation
from app.ops.disk_rules import (
    IMPLEMENTED,
    Holder,
    raw_refused,
    sr_operations,
    vbd_operations,
    vdi_operations,
    vif_operations,
    why_not_disk,
)

RECORDED: dict[str, list[dict[str, Any]]] = json.loads(
    (Path(__file__).parents[2] / "data" / "disk_operations.json").read_text()
)
REF = "$VDI"
ATTACHED: Final = Holder(attached=True)

KINDS: Mapping[str, tuple[VDI, Holder | None, bool]] = {
    "disk of halted VM": (VDI(), Holder(), False),
    "disk of running VM": (VDI(), ATTACHED, False),
    "disk of paused VM": (VDI(), ATTACHED, False),
    "disk of suspended VM": (VDI(), Holder(suspended=True), False),
    "suspend image of suspended VM": (VDI(type=VDIType.suspend), None, False),
    "snapshot disk": (VDI(is_a_snapshot=True), Holder(), False),
    "checkpoint suspend image": (VDI(type=VDIType.suspend, is_a_snapshot=True), None, False),
    "iso": (VDI(read_only=True), None, True),
    "base copy": (VDI(managed=False), None, False),
    "free disk": (VDI(), None, False),
}
ALONE = "a guest's disk is cloned with its VM's snapshot"
MEMORY = "a memory image goes with its VM or snapshot"
DIFFERENT: Mapping[str, tuple[set[str], str]] = {
    "disk of running VM": ({"clone"}, ALONE),
    "disk of paused VM": ({"clone"}, ALONE),
    "disk of suspended VM": ({"clone", "copy"}, "its guest may be resumed at any time"),
    "suspend image of suspended VM": ({"clone", "copy", "destroy"}, MEMORY),
    "checkpoint suspend image": ({"clone", "copy", "destroy"}, MEMORY),
    "iso": ({"copy", "destroy"}, "ISO files are the user's own"),
    "base copy": ({"clone", "copy", "destroy"}, "others build on it, and nobody else may hold it"),
}
"""What we leave out of the recorded lists on purpose, and why."""


@pytest.mark.parametrize("recorded", RECORDED["VDI"], ids=lambda recorded: recorded["kind"])
def test_a_disks_list_is_the_recorded_one(recorded: dict[str, Any]) -> None:
    vdi, holder, is_iso = KINDS[recorded["kind"]]
    ours = {op.value for op in vdi_operations(vdi, [holder] if holder else [], is_iso=is_iso)}
    theirs = set(recorded["allowed"]) & {op.value for op in IMPLEMENTED}
    assert theirs - ours == DIFFERENT.get(recorded["kind"], (set(), ""))[0]
    assert ours <= theirs


@pytest.mark.parametrize("recorded", RECORDED["SR"], ids=lambda recorded: recorded["type"])
def test_a_repositorys_list_is_within_the_recorded_one(recorded: dict[str, Any]) -> None:
    ours = {op.value for op in sr_operations(recorded["type"] == "iso")}
    assert ours <= set(recorded["allowed"])
    assert SROperation.scan.value in ours


@pytest.mark.parametrize("recorded", RECORDED["VBD"], ids=lambda r: f"{r['type']} of {r['vm']}, empty: {r['empty']}")
def test_a_devices_list_is_the_recorded_one(recorded: dict[str, Any]) -> None:
    state = VMPowerState.Halted if "snapshot" in recorded["vm"] else VMPowerState(recorded["vm"])
    vbd = VBD(type=VBDType(recorded["type"]), empty=recorded.get("empty", True))
    ours = {op.value for op in vbd_operations(vbd, state, of_snapshot="snapshot" in recorded["vm"])}
    theirs = set(recorded["allowed"]) & {"insert", "eject"}
    if "snapshot" in recorded["vm"]:
        theirs = set()  # a snapshot's drives stay as they were
    assert ours == theirs


def test_networks_cannot_be_changed_yet() -> None:
    assert len(RECORDED["VIF"]) == 4
    assert vif_operations() == frozenset()


def refusal(vdi: VDI, op: VDIOperation, *holders: Holder, is_iso: bool = False) -> list[str]:
    failure = why_not_disk(REF, vdi, op, holders, is_iso=is_iso)
    return failure.description() if failure else []


@pytest.mark.parametrize("op", IMPLEMENTED)
def test_each_refusal_has_its_code(op: VDIOperation) -> None:
    free = VDI(SR="$SR", name_label="disk")  # type: ignore[arg-type]
    assert refusal(free, op) == refusal(free, op, Holder()) == []
    assert refusal(free, op, is_iso=True) == ["SR_OPERATION_NOT_SUPPORTED", "$SR"]
    assert refusal(VDI(managed=False), op) == ["VDI_NOT_MANAGED", REF]
    assert refusal(free, op, Holder(), ATTACHED) == ["VDI_IN_USE", REF, op.value]
    assert refusal(VDI(type=VDIType.suspend), op)[0] == "OPERATION_NOT_ALLOWED"
    busy = VDI(current_operations={"$TASK": VDIOperation.mirror})
    assert refusal(busy, op) == ["OTHER_OPERATION_IN_PROGRESS", "VDI", REF, "mirror", "$TASK"]
    at_work = Holder(operations={"$TASK": VMOperation.start})
    assert refusal(free, op, at_work) == ["OTHER_OPERATION_IN_PROGRESS", "VDI", REF, "start", "$TASK"]
    raw = refusal(VDI(sm_config={"type": "raw"}), op)
    assert (raw[:1] == ["SR_BACKEND_FAILURE_38"]) == (op is not VDIOperation.destroy)


@pytest.mark.parametrize("op", sorted(set(VDIOperation) - set(IMPLEMENTED)))
def test_what_is_not_implemented_is_refused(op: VDIOperation) -> None:
    assert refusal(VDI(), op) == ["OPERATION_NOT_ALLOWED", f"{op.value} is not implemented by this engine"]


@pytest.mark.parametrize("running", [VDIOperation.clone, VDIOperation.copy])
def test_readers_of_a_disk_let_each_other_in_and_nobody_else(running: VDIOperation) -> None:
    busy = VDI(current_operations={"$TASK": running})
    assert vdi_operations(busy) == {VDIOperation.clone, VDIOperation.copy}
    for at_work in (VMOperation.clone, VMOperation.copy, VMOperation.export):
        assert vdi_operations(VDI(), [Holder(operations={"$TASK": at_work})]) == {
            VDIOperation.clone,
            VDIOperation.copy,
        }


def test_only_raw_disks_are_raw() -> None:
    assert raw_refused(VDI(sm_config={"type": "qcow2"})) is None
    failure = raw_refused(VDI(name_label="lv", sm_config={"type": "raw"}))
    assert isinstance(failure, Failure)
    assert "lv" in failure.params[1]


def test_drives_take_and_give_media_unless_memory_remembers_them() -> None:
    empty, full, disk = VBD(type=VBDType.CD, empty=True), VBD(type=VBDType.CD), VBD(type=VBDType.Disk)
    for state in VMPowerState:
        if state is VMPowerState.Suspended:
            assert vbd_operations(empty, state) == vbd_operations(full, state) == set()
        else:
            assert vbd_operations(empty, state) == {VBDOperation.insert}
            assert vbd_operations(full, state) == {VBDOperation.eject}
        assert vbd_operations(disk, state) == set()
