"""What a XenServer says, understood: recorded records and answers, and versions that are newer or older."""

from __future__ import annotations

import json
import logging
from datetime import UTC, datetime
from typing import Any

import msgspec
import pytest

from app.api import NULL, VDI, VM, EventBatch, EventOperation, Failure, VMPowerState, classes
from app.api.wire import plain, result_type
from app.client import reading
from app.client.dialects import Dialect, JsonRpc, NotUnderstood, XmlRpc
from app.client.reading import read
from tests.support.recordings import body_of, exchanges, records, response


@pytest.fixture(autouse=True)
def _nothing_told_yet(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(reading, "_told", set())


def dialect_of(name: str) -> Dialect:
    return XmlRpc() if "xmlrpc" in name else JsonRpc()


def as_text(value: Any) -> Any:
    """A plain value as the recordings have it: whole numbers are text, the order of sets counts for nothing."""
    if isinstance(value, bool):
        return value
    if isinstance(value, int | float):
        return str(float(value))
    if isinstance(value, dict):
        return {key: as_text(item) for key, item in value.items()}
    if isinstance(value, list):
        return sorted((as_text(item) for item in value), key=str)
    return str(float(value)) if value.removeprefix("-").isdecimal() else value


@pytest.mark.parametrize("name", sorted(records()))
def test_every_recorded_record_is_understood_whole(name: str) -> None:
    record = classes()[name].record
    for ref, recorded in records()[name].items():
        found = read(recorded, record)
        assert type(found) is record
        again = plain(found)
        ours = {field: again[field] for field in recorded if field in again}
        assert as_text(ours) == as_text({field: recorded[field] for field in ours}), ref
        # Of some classes we have no objects, and declare no more than a uuid.
        assert set(again) == {"uuid"} or not set(recorded) - set(again), "a field that we do not declare"
    assert not reading._told


@pytest.mark.parametrize(
    ("name", "method"),
    [
        ("010-xmlrpc-vm-get-record", "VM.get_record"),
        ("011-xmlrpc-vm-get-record-running", "VM.get_record"),
        ("012-xmlrpc-vm-get-record-template", "VM.get_record"),
        ("013-xmlrpc-vm-metrics", "VM_metrics.get_record"),
        ("014-xmlrpc-vm-guest-metrics", "VM_guest_metrics.get_record"),
        ("038-xmlrpc-vm-snapshot-record", "VM.get_record"),
        ("041-xmlrpc-task-record-success", "task.get_record"),
        ("046-xmlrpc-task-record-failure", "task.get_record"),
        ("053-xmlrpc-task-record-cancelled", "task.get_record"),
        ("143-json1-vm-record", "VM.get_record"),
        ("155-json1-task-record", "task.get_record"),
        ("159-json1-vdi-record", "VDI.get_record"),
        ("161-json1-vmss", "VMSS.get_all_records"),
        ("166-json2-vm-record", "VM.get_record"),
        ("178-json2-task-record", "task.get_record"),
        ("182-json2-vdi-record", "VDI.get_record"),
        ("184-json2-vmss", "VMSS.get_all_records"),
    ],
)
def test_recorded_answers_are_understood(name: str, method: str) -> None:
    found = read(dialect_of(name).result(body_of(exchanges()[name][1])), result_type(method))
    (record,) = list(found.values())[:1] if isinstance(found, dict) else [found]
    assert type(record) is classes()[method.partition(".")[0]].record
    assert len(record.uuid) == 36 and not reading._told


def test_both_languages_tell_the_same_of_one_object() -> None:
    one, other = (
        read(dialect_of(name).result(body_of(exchanges()[name][1])), VM)
        for name in ("143-json1-vm-record", "166-json2-vm-record")
    )
    # A snapshot was taken in between.
    assert one == msgspec.structs.replace(other, snapshots=one.snapshots, parent=one.parent)
    assert one.name_label == "web1" and one.memory_static_max == 512 << 20
    assert one.power_state is VMPowerState.Halted and one.snapshot_time == datetime(1970, 1, 1, tzinfo=UTC)


@pytest.mark.parametrize("name", ["057", "058", "060", "061", "062", "156", "157", "179", "180"])
def test_recorded_events_are_understood(name: str) -> None:
    dialect: Dialect = XmlRpc() if int(name) < 139 else JsonRpc()
    batch = read(dialect.result(body_of(response(name))), EventBatch)
    assert len(batch.token) == 41 and batch.valid_ref_counts["pool"] == 1
    for event in batch.events:
        assert event.ref.startswith("OpaqueRef:")
        assert (event.snapshot is None) == (event.operation is EventOperation.delete)
        assert event.snapshot is None or type(event.snapshot) is classes()[event.cls].record
    assert bool(batch.events) == (name not in ("062", "157", "180"))
    assert not reading._told


ERRORS = {
    name: json.loads(body_of(answer))["error"]
    for name, (_, answer) in exchanges().items()
    if "-json1-" in name and b'"error":[' in answer
}


@pytest.mark.parametrize("name", sorted(ERRORS))
def test_errors_keep_their_parameters(name: str) -> None:
    with pytest.raises(Failure) as caught:
        JsonRpc().result(body_of(exchanges()[name][1]))
    assert caught.value.description() == ERRORS[name]
    for other in (n for n in exchanges() if n.partition("-")[2] == name.partition("-")[2].replace("json1", "json2")):
        with pytest.raises(Failure) as of_2:
            JsonRpc().result(body_of(exchanges()[other][1]))
        assert of_2.value.code == caught.value.code and len(of_2.value.params) == len(caught.value.params)


def test_every_recorded_error_over_xml_rpc_is_a_failure() -> None:
    seen = set()
    for name, (_, answer) in exchanges().items():
        if "-xmlrpc-error-" in name and b"ErrorDescription" in answer:
            with pytest.raises(Failure) as caught:
                XmlRpc().result(body_of(answer))
            seen.add(caught.value.code)
            assert all(isinstance(param, str) for param in caught.value.params)
    assert {"HANDLE_INVALID", "VM_BAD_POWER_STATE", "MAP_DUPLICATE_KEY", "SR_BACKEND_FAILURE_109"} <= seen


@pytest.mark.parametrize("name", ["021", "022", "023", "189", "190", "191", "194"])
def test_pages_are_no_answers(name: str) -> None:
    for dialect in (JsonRpc(), XmlRpc()):
        with pytest.raises(NotUnderstood):
            dialect.result(body_of(response(name)))


def a_vm(**other: Any) -> dict[str, Any]:
    return {**next(iter(records()["VM"].values())), **other}


def test_a_newer_server(caplog: pytest.LogCaptureFixture) -> None:
    said = a_vm(
        brand_new="field",
        allowed_operations=["start", "teleport"],
        current_operations={"OpaqueRef:a": "teleport", "OpaqueRef:b": "snapshot"},
        power_state="Dreaming",
        memory_target=["no", "number"],
        snapshot_time="2026-11-23T02:15:38Z",
        name_label="kept",
    )
    with caplog.at_level(logging.WARNING):
        found = read(said, VM)
        read(said, VM)
    assert found.allowed_operations == {"start"} and found.current_operations == {"OpaqueRef:b": "snapshot"}
    assert found.power_state is VMPowerState.Halted and found.memory_target == 0
    assert found.snapshot_time == datetime(2026, 11, 23, 2, 15, 38, tzinfo=UTC) and found.name_label == "kept"
    told = [line for line in caplog.messages if "do not understand" in line]
    assert len(told) == 2 and "VM.power_state" in told[0] + told[1] and "VM.memory_target" in told[0] + told[1]


def test_an_older_server() -> None:
    found = read({"uuid": "u", "virtual_size": "8388608", "read_only": "0"}, VDI)
    assert (found.virtual_size, found.read_only, found.SR) == (8 << 20, False, NULL)


def test_events_of_unknown_classes_are_passed_over() -> None:
    event = {"id": "1", "timestamp": "0.0", "operation": "add", "ref": "OpaqueRef:x", "snapshot": {"uuid": "u"}}
    said = {"events": [{**event, "class": "warp_core"}, {**event, "class": "vm"}], "valid_ref_counts": {"warp_core": 1}}
    batch = read({**said, "token": "1,0"}, EventBatch)
    assert [found.cls for found in batch.events] == ["VM"]


@pytest.mark.parametrize("value", [None, 5, "text", [1], {"events": 5, "token": "", "valid_ref_counts": {}}])
def test_nonsense_is_a_failure(value: Any) -> None:
    for wanted in (EventBatch, datetime) if isinstance(value, dict) else (VM, EventBatch, datetime):
        with pytest.raises(Failure, match="FIELD_TYPE_ERROR"):
            read(value, wanted)
