"""Every message with what it must refuse: a wrong session, a wrong count, wrong types, null and stale references.

Each is answered by a documented code, never INTERNAL_ERROR, and changes nothing.
"""

from __future__ import annotations

import inspect
from collections.abc import Sequence
from datetime import UTC, datetime
from enum import StrEnum
from pathlib import Path
from typing import Any, get_origin

import pytest

from app.api import NULL, SR, VBD, VDI, VM, Blob, Failure, Host, Message, Network, Pool, Task, classes
from app.api.types import Field, MessageSpec, Record, RefTo
from app.hypervisor.simulated import SimulatedDriver
from tests.support.engine import Bench, open_bench

STALE = "OpaqueRef:00000000-0000-0000-0000-000000000000"
GENERAL = {"HANDLE_INVALID", "FIELD_TYPE_ERROR"}
MESSAGES = {m.full_name: m for d in classes().values() for m in d.messages.values()}
SETTERS = [(name, field) for name, d in classes().items() for field in d.fields if field.spec.access == "rw"]
MAY_BE_NULL = {("VM.copy", "sr"), ("VM.set_snapshot_schedule", "value")}
OF_SESSIONS = {name for name in MESSAGES if name.startswith("session.")}


def everything(bench: Bench) -> dict[str, dict[str, Record]]:
    return {name: dict(bench.store.of_class(name)) for name in classes() if name not in ("task", "session")}


async def failure_of(bench: Bench, method: str, params: Sequence[Any], session: str | None = None) -> Failure | None:
    """The message's failure, or None if it did what it was asked."""
    try:
        await bench.engine.dispatcher.call(bench.session.ref if session is None else session, method, params)
    except Failure as failure:
        return failure
    return None


def is_ref(annotation: Any) -> str:
    """The record that a parameter refers to, "" if it is none."""
    return next((m.name for m in getattr(annotation, "__metadata__", ()) if isinstance(m, RefTo)), "")


def plausible(bench: Bench, spec: MessageSpec) -> list[Any]:
    """Parameters of the right types, for objects that exist where there are any."""
    names = {declared.record.__name__: name for name, declared in classes().items()}

    def value(annotation: Any) -> Any:
        if target := is_ref(annotation):
            return next(iter(bench.store.of_class(names[target])), STALE)
        if isinstance(annotation, type) and issubclass(annotation, StrEnum):
            return next(iter(annotation)).value
        if annotation is datetime:
            return datetime.now(UTC)
        origin = get_origin(annotation) or annotation
        if origin in (str, int, float, bool):
            return {str: "text", int: 1, float: 0.0, bool: True}[origin]
        return {} if "Mapping" in str(annotation) else []

    return [value(spec.types[p.name]) for p in spec.parameters]


def wrong_for(annotation: Any) -> list[Any]:
    """Values of other types."""
    origin = get_origin(annotation)
    target = annotation.__origin__ if hasattr(annotation, "__metadata__") else annotation
    nothing_is = [None, object(), b"bytes", [1], {1: 2}]
    if target is str:
        return [*nothing_is, 5, True, 1.5, "\ud800"]
    if target is bool:
        return [*nothing_is, 0, 1, "true"]
    if target is int:
        return [*nothing_is, "1", 1.5, True, 2**63, -(2**63) - 1]
    if target is float:
        return [*nothing_is, "1.0", float("nan"), float("inf")]
    if isinstance(target, type) and issubclass(target, StrEnum):
        return [*nothing_is, "no such member", 1]
    if target is datetime:
        return [*nothing_is, "yesterday", 1]
    assert origin is not None
    return [None, object(), 5, "text", *([[1]] if "Mapping" in str(annotation) else [{"a": 1}, [5]])]


@pytest.fixture
async def bench(data_dir: Path, driver: SimulatedDriver) -> Any:
    """With one object at least of each class that has messages."""
    async with open_bench(data_dir, driver) as bench:
        vm = await bench.sample_vm(disks=2, nic=True)
        await bench.session.VM.snapshot(vm, "snap")
        await bench.session.VBD.create({"VM": vm, "userdevice": "5", "type": "CD"})
        yield bench


async def test_every_declared_message_is_implemented(bench: Bench) -> None:
    methods = set(bench.engine.dispatcher.methods())
    assert set(MESSAGES) <= methods
    for name, field in SETTERS:
        if name != "event":
            assert f"{name}.set_{field.name}" in methods
    for name in set(classes()) - {"event", "session"}:
        assert {f"{name}.get_{what}" for what in ("record", "all", "all_records", "by_uuid")} <= methods


@pytest.mark.parametrize("prefix", ["", "Async."])
async def test_without_a_session_nothing_is_answered(bench: Bench, prefix: str) -> None:
    before = everything(bench)
    for method in bench.engine.dispatcher.methods():
        for session in (STALE, NULL, ""):
            failure = await failure_of(bench, prefix + method, [], session)
            assert failure is not None and failure.description() == ["SESSION_INVALID", session], method
    assert everything(bench) == before


async def test_a_wrong_count_is_told_with_the_right_one(bench: Bench) -> None:
    before = everything(bench)
    for name, spec in MESSAGES.items():
        if name in OF_SESSIONS:
            continue
        counts = [spec.required - 1, len(spec.parameters) + 1]
        for count in counts:
            if count < 0:
                continue
            for prefix in ("", "Async."):
                failure = await failure_of(bench, prefix + name, ["text"] * count)
                expected = ["MESSAGE_PARAMETER_COUNT_MISMATCH", name, str(spec.required), str(count)]
                assert failure is not None and failure.description() == expected
    for method in set(bench.engine.dispatcher.methods()) - set(MESSAGES):
        failure = await failure_of(bench, method, ["text"] * 4)
        assert failure is not None and failure.code == "MESSAGE_PARAMETER_COUNT_MISMATCH", method
    failure = await failure_of(bench, "session.logout", ["more"])
    assert failure is not None and failure.code == "MESSAGE_PARAMETER_COUNT_MISMATCH"
    assert everything(bench) == before


async def test_unknown_messages_are_named(bench: Bench) -> None:
    for method in ("VM.explode", "vm.start", "VM", "", "VM.get_nothing", "event.get_all", "Async.VM.explode", "Async."):
        failure = await failure_of(bench, method, [])
        expected = ["MESSAGE_METHOD_UNKNOWN", method.removeprefix("Async.")]
        assert failure is not None and failure.description() == expected


async def test_wrong_types_are_refused(bench: Bench) -> None:
    before = everything(bench)
    for name in sorted(set(MESSAGES) - OF_SESSIONS):
        spec = MESSAGES[name]
        right = plausible(bench, spec)
        for place, parameter in enumerate(spec.parameters):
            for wrong in wrong_for(spec.types[parameter.name]):
                failure = await failure_of(bench, name, [*right[:place], wrong, *right[place + 1 :]])
                assert failure is not None, (name, parameter.name, wrong)
                expected = ("FIELD_TYPE_ERROR", "EVENT_SUBSCRIPTION_PARSE_FAILURE")
                assert failure.code in expected, (name, parameter.name, wrong, failure)
    assert everything(bench) == before


async def test_references_to_nothing_are_refused(bench: Bench) -> None:
    before = everything(bench)
    for name in sorted(set(MESSAGES) - OF_SESSIONS):
        spec = MESSAGES[name]
        right = plausible(bench, spec)
        for place, parameter in enumerate(spec.parameters):
            nothing = () if (name, parameter.name) in MAY_BE_NULL else (NULL, "")
            for bad in (*nothing, STALE, "not a reference") if is_ref(spec.types[parameter.name]) else ():
                failure = await failure_of(bench, name, [*right[:place], bad, *right[place + 1 :]])
                assert failure is not None, (name, parameter.name)
                expected = {"VM.set_snapshot_schedule value": "INVALID_VALUE"}.get(
                    f"{name} {parameter.name}", "HANDLE_INVALID"
                )
                assert failure.code == expected and failure.params[-1] == bad, (name, parameter.name, failure)
    assert everything(bench) == before


async def test_references_to_objects_of_another_class_are_refused(bench: Bench) -> None:
    before = everything(bench)
    others = {name: next(iter(bench.store.of_class(name)), STALE) for name in ("VM", "host")}
    for name, spec in MESSAGES.items():
        if name in OF_SESSIONS or not spec.parameters or not is_ref(spec.types[spec.parameters[0].name]):
            continue
        target = is_ref(spec.types[spec.parameters[0].name])
        wrong = others["host" if target != "Host" else "VM"]
        failure = await failure_of(bench, name, [wrong, *plausible(bench, spec)[1:]])
        assert failure is not None and failure.code == "HANDLE_INVALID", name
        assert classes()[failure.params[0]].record.__name__ == target and failure.params[1] == wrong, name
    assert everything(bench) == before


async def test_getters_answer_the_fields_of_the_record(bench: Bench) -> None:
    call = bench.session.call
    for name, declared in classes().items():
        for ref, record in list(bench.store.of_class(name).items())[:2]:
            if name in ("task", "session"):
                continue
            assert await call(f"{name}.get_record", ref) == record
            assert await call(f"{name}.get_by_uuid", record.uuid) == ref
            assert ref in await call(f"{name}.get_all")
            assert (await call(f"{name}.get_all_records"))[ref] == record
            for field in declared.fields:
                assert await call(f"{name}.get_{field.name}", ref) == getattr(record, field.name)


async def test_getters_refuse_what_is_not_there(bench: Bench) -> None:
    for name, declared in classes().items():
        if name == "event":
            continue
        nothing: list[Any] = [NULL, STALE, "", 5, None, [], {}]
        for bad in nothing:
            for method in ("get_record", *(f"get_{field.name}" for field in declared.fields)):
                failure = await failure_of(bench, f"{name}.{method}", [bad])
                assert failure is not None and failure.code == "HANDLE_INVALID", (name, method, bad)
        no_uuids: list[Any] = ["", "x", 5, None]
        for bad in no_uuids:
            failure = await failure_of(bench, f"{name}.get_by_uuid", [bad])
            assert failure is not None and failure.code in ("UUID_INVALID", "FIELD_TYPE_ERROR"), (name, bad)


def wrong_values(field: Field) -> Sequence[Any]:
    if field.container == "map":
        return [None, 5, "text", [1], {1: 2}, {"a": 5}, {"\ud800": ""}]
    if field.container:
        return [None, 5, "text", [5], [[]], {"a": "b"}, ["\ud800"]]
    wrong: dict[str, Sequence[Any]] = {
        "string": [None, 5, True, [], "\ud800"],
        "ref": [None, 5, True, [], STALE, "not a reference"],
        "bool": [None, 0, 1, "true", []],
        "int": [None, "1", 1.5, True, 2**63],
        "float": [None, "1", float("nan")],
        "enum": [None, 5, "no such member"],
        "datetime": [None, 5, "yesterday"],
    }
    return wrong[field.value.scalar]


async def test_setters_refuse_what_does_not_fit(bench: Bench) -> None:
    before = everything(bench)
    tried = 0
    for name, field in SETTERS:
        ref = next(iter(bench.store.of_class(name)), None)
        if ref is None or name == "task":
            continue
        for wrong in wrong_values(field):
            failure = await failure_of(bench, f"{name}.set_{field.name}", [ref, wrong])
            assert failure is not None, (name, field.name, wrong)
            assert failure.code in GENERAL, (name, field.name, wrong, failure)
            tried += 1
        failure = await failure_of(bench, f"{name}.set_{field.name}", [STALE, field.default])
        assert failure is not None and failure.code == "HANDLE_INVALID"
    assert everything(bench) == before
    assert tried > 150


async def test_setters_of_maps_and_sets(bench: Bench) -> None:
    vm, call = next(ref for ref, vm in bench.store.all(VM).items() if vm.name_label == "sample"), bench.session.call
    before = everything(bench)
    for method, params, code in (
        ("VM.add_to_other_config", [vm, 5, "x"], "FIELD_TYPE_ERROR"),
        ("VM.add_to_other_config", [vm, [], "x"], "FIELD_TYPE_ERROR"),
        ("VM.add_to_other_config", [vm, "a", 5], "FIELD_TYPE_ERROR"),
        ("VM.remove_from_other_config", [vm, []], "FIELD_TYPE_ERROR"),
        ("VM.add_tags", [vm, 5], "FIELD_TYPE_ERROR"),
        ("VM.add_tags", [vm, []], "FIELD_TYPE_ERROR"),
        ("VM.remove_tags", [vm, 5], "FIELD_TYPE_ERROR"),
        ("VM.add_to_other_config", [STALE, "a", "b"], "HANDLE_INVALID"),
        ("VM.remove_from_other_config", [STALE, "a"], "HANDLE_INVALID"),
        ("VM.add_tags", [STALE, "a"], "HANDLE_INVALID"),
    ):
        failure = await failure_of(bench, method, params)
        assert failure is not None and failure.code == code, (method, params, failure)
    assert everything(bench) == before
    await call("VM.add_to_other_config", vm, "a", "b")
    with pytest.raises(Failure) as caught:
        await call("VM.add_to_other_config", vm, "a", "b")
    assert caught.value.description() == ["MAP_DUPLICATE_KEY", "VM", "other_config", vm, "a"]
    await call("VM.add_tags", vm, "t")
    await call("VM.add_tags", vm, "t")
    assert (bench.vm(vm).other_config["a"], set(bench.vm(vm).tags)) == ("b", {"t"})
    for _ in range(2):
        await call("VM.remove_from_other_config", vm, "a")
        await call("VM.remove_tags", vm, "t")
    assert "a" not in bench.vm(vm).other_config
    assert bench.vm(vm).tags == frozenset()


async def test_every_setter_sets(bench: Bench) -> None:
    special = {("VBD", "userdevice"), ("VBD", "type")}
    for name, field in SETTERS:
        ref = next(iter(bench.store.of_class(name)), None)
        if ref is None or name == "task" or (name, field.name) in special:
            continue
        value: Any = {"map": {"k": "v"}, "set": frozenset({"s"})}.get(field.container)
        if value is None:
            value = {"string": "text", "bool": True, "int": 7, "float": 0.5, "ref": NULL}.get(field.value.scalar)
        if value is None:
            assert field.value.enum is not None
            value = list(field.value.enum)[-1]
        await bench.session.call(f"{name}.set_{field.name}", ref, value)
        assert await bench.session.call(f"{name}.get_{field.name}", ref) == value, (name, field.name)


NONSENSE: list[tuple[str, dict[str, Any], str]] = [
    ("VM.create", {}, "INVALID_VALUE"),
    ("VM.create", {"name_label": "x"}, "INVALID_VALUE"),  # no memory
    ("VM.create", {"name_label": 5}, "FIELD_TYPE_ERROR"),
    ("VM.create", {"name_label": "x", "nonsense": 1}, "INVALID_VALUE"),
    ("VM.create", {"name_label": "x\n"}, "INVALID_VALUE"),
    ("VM.create", {"name_label": "x" * 2000}, "INVALID_VALUE"),
    ("VM.create", {"name_label": "x", "memory_static_max": 2**63}, "FIELD_TYPE_ERROR"),
    ("VM.create", {"name_label": "x", "memory_static_min": 5}, "MEMORY_CONSTRAINT_VIOLATION_ORDER"),
    ("VM.create", {"name_label": "x", "HVM_shadow_multiplier": float("nan")}, "FIELD_TYPE_ERROR"),
    ("VM.create", {"name_label": "x", "affinity": STALE}, "HANDLE_INVALID"),
    ("VM.create", {"name_label": "x", "power_state": "Running", "tags": ["a"]}, "INVALID_VALUE"),
    ("VM.create", {"name_label": "x", "power_state": "Nowhere"}, "FIELD_TYPE_ERROR"),
    ("VDI.create", {}, "INVALID_VALUE"),
    ("VDI.create", {"SR": NULL, "virtual_size": 1 << 20}, "HANDLE_INVALID"),
    ("VDI.create", {"SR": STALE, "virtual_size": 1 << 20}, "HANDLE_INVALID"),
    ("VDI.create", {"SR": "$SR", "virtual_size": 0}, "SR_BACKEND_FAILURE_79"),
    ("VDI.create", {"SR": "$SR", "virtual_size": -5}, "SR_BACKEND_FAILURE_79"),
    ("VDI.create", {"SR": "$SR", "virtual_size": 1 << 62}, "SR_BACKEND_FAILURE_79"),
    ("VDI.create", {"SR": "$SR", "virtual_size": "1048576"}, "FIELD_TYPE_ERROR"),
    ("VDI.create", {"SR": "$SR", "virtual_size": 1 << 20, "type": "suspend"}, "INVALID_VALUE"),
    ("VDI.create", {"SR": "$ISO", "virtual_size": 1 << 20}, "SR_OPERATION_NOT_SUPPORTED"),
    ("VBD.create", {}, "INVALID_VALUE"),
    ("VBD.create", {"VM": STALE, "userdevice": "1", "type": "CD"}, "HANDLE_INVALID"),
    ("VBD.create", {"VM": "$VM", "userdevice": "0", "type": "CD"}, "DEVICE_ALREADY_EXISTS"),
    ("VBD.create", {"VM": "$VM", "userdevice": "99", "type": "CD"}, "INVALID_VALUE"),
    ("VBD.create", {"VM": "$VM", "userdevice": "-1", "type": "CD"}, "INVALID_VALUE"),
    ("VBD.create", {"VM": "$VM", "userdevice": "٣", "type": "CD"}, "INVALID_VALUE"),
    ("VBD.create", {"VM": "$VM", "userdevice": "1" * 5000, "type": "CD"}, "INVALID_VALUE"),
    ("VBD.create", {"VM": "$VM", "userdevice": "7", "type": "Disk"}, "INVALID_VALUE"),
    ("VBD.create", {"VM": "$VM", "userdevice": "7", "type": "Floppy"}, "OPERATION_NOT_ALLOWED"),
    ("VBD.create", {"VM": "$VM", "userdevice": "7", "type": "Disk", "VDI": STALE}, "HANDLE_INVALID"),
    ("VBD.create", {"VM": "$SNAP", "userdevice": "7", "type": "CD"}, "VM_IS_SNAPSHOT"),
    ("VIF.create", {"VM": "$VM", "network": STALE, "device": "1"}, "HANDLE_INVALID"),
    ("VIF.create", {"VM": "$VM", "network": "$NET", "device": "0"}, "DEVICE_ALREADY_EXISTS"),
    ("VIF.create", {"VM": "$VM", "network": "$NET", "device": "x"}, "INVALID_VALUE"),
    ("VIF.create", {"VM": "$VM", "network": "$NET", "device": "1", "MAC": "01:00:00:00:00:00"}, "MAC_INVALID"),
    ("VIF.create", {"VM": "$VM", "network": "$NET", "device": "1", "MAC": "zz"}, "MAC_INVALID"),
]
"""Records that make no sense, and the code that says so."""


async def test_records_that_make_no_sense(bench: Bench) -> None:
    sample = next(ref for ref, vm in bench.store.all(VM).items() if vm.name_label == "sample")
    known = {
        "$VM": sample,
        "$SNAP": next(iter(bench.vm(sample).snapshots)),
        "$SR": bench.sr(),
        "$ISO": next(ref for ref, sr in bench.store.all(SR).items() if sr.type == "iso"),
        "$NET": next(iter(bench.store.all(Network))),
    }
    before = everything(bench)
    for method, record, code in NONSENSE:
        values = {key: known.get(value, value) if isinstance(value, str) else value for key, value in record.items()}
        failure = await failure_of(bench, method, [values])
        assert failure is not None and failure.code == code, (method, record, failure)
    assert everything(bench) == before


async def test_devices_move_only_to_free_places_of_their_kind(bench: Bench) -> None:
    vm = next(ref for ref, vm in bench.store.all(VM).items() if vm.name_label == "sample")
    vbds = {bench.store.get(VBD, ref).userdevice: ref for ref in bench.vm(vm).VBDs}
    before = everything(bench)
    for method, vbd, value, code in (
        ("set_userdevice", vbds["1"], "0", "DEVICE_ALREADY_EXISTS"),
        ("set_userdevice", vbds["1"], "x", "INVALID_VALUE"),
        ("set_userdevice", vbds["1"], "", "INVALID_VALUE"),
        ("set_type", vbds["1"], "CD", "OPERATION_NOT_ALLOWED"),
        ("set_type", vbds["5"], "Disk", "INVALID_VALUE"),
        ("set_type", vbds["5"], "Floppy", "OPERATION_NOT_ALLOWED"),
    ):
        failure = await failure_of(bench, f"VBD.{method}", [vbd, value])
        assert failure is not None and failure.code == code, (method, value)
    assert everything(bench) == before
    await bench.session.VBD.set_userdevice(vbds["1"], "2")
    await bench.session.VBD.set_userdevice(vbds["1"], "2")
    assert bench.store.get(VBD, vbds["1"]).userdevice == "2"
    await bench.session.VM.start(vm)
    failure = await failure_of(bench, "VBD.set_userdevice", [vbds["1"], "3"])
    assert failure is not None and failure.code == "VM_BAD_POWER_STATE"


async def test_a_mistake_of_ours_is_told_and_logged(bench: Bench, monkeypatch: pytest.MonkeyPatch) -> None:
    def fail(*_: object) -> None:
        raise ZeroDivisionError("a test's mistake")

    monkeypatch.setattr(bench.engine.context, "now", fail)
    host = next(iter(bench.store.all(Host)))
    failure = await failure_of(bench, "host.get_servertime", [host])
    assert failure is not None and failure.code == "INTERNAL_ERROR"
    assert "a test's mistake" in failure.params[0]


def test_the_messages_of_the_tests_cover_the_vocabulary() -> None:
    assert len(MESSAGES) > 40
    assert all(inspect.iscoroutinefunction(getattr(classes()["VM"].calls, n)) for n in classes()["VM"].messages)
    assert {"Blob", "Message", "Pool", "Task", "VDI"} == {c.__name__ for c in (Blob, Message, Pool, Task, VDI)}
