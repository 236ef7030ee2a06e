"""The vocabulary: complete against recordings of a XenServer toolstack, consistent, pinned, and typed for the checker.

tests/data/fields.json holds the fields of each class with the kind of value in a record (whole numbers are text there).
"""

from __future__ import annotations

import hashlib
import json
import subprocess
import sys
from datetime import datetime
from enum import StrEnum
from pathlib import Path

import msgspec
import pytest

from app.api import NULL, VM, Failure, Ref, class_of, classes, is_null
from app.api.types import Field, new_ref, new_uuid

ROOT = Path(__file__).parents[3]
RECORDED: dict[str, dict[str, str]] = json.loads((ROOT / "tests" / "data" / "fields.json").read_text())

PINNED = "64d839482ccb6f1d"
"""Changes with every declared class, field and message. A change is right if it is meant: then pin the new one."""


def kind(field: Field) -> str:
    """How a record over XML-RPC shows the field."""
    if field.container:
        return {"set": "list", "list": "list", "map": "map"}[field.container]
    return {"bool": "bool", "float": "float"}.get(field.value.scalar, "text")


def outline() -> str:
    """The whole vocabulary in a form that changes when it does."""
    lines = []
    for name, declared in sorted(classes().items()):
        lines.append(f"class {name} persistent={declared.persistent}")
        for field in declared.fields:
            value = (field.container, field.key, field.value.scalar, field.value.target, _members(field.value.enum))
            lines.append(f"  {field.name} {field.spec.access} {field.spec.reverse_of} {field.spec.volatile} {value}")
        for message in declared.messages.values():
            parameters = [(p.name, str(p.annotation), str(p.default)) for p in message.parameters]
            lines.append(f"  {message.name} {parameters} {sorted(message.errors)} {message.extension}")
    return "\n".join(lines)


def _members(enum: type[StrEnum] | None) -> list[str]:
    return [member.value for member in enum] if enum else []


def test_the_vocabulary_is_pinned() -> None:
    assert hashlib.sha256(outline().encode()).hexdigest()[:16] == PINNED


@pytest.mark.parametrize("name", sorted(RECORDED))
def test_every_recorded_field_is_declared(name: str) -> None:
    declared = classes()[name].by_name
    assert set(RECORDED[name]) <= set(declared)
    assert {f: kind(declared[f]) for f in RECORDED[name]} == RECORDED[name]


def test_the_classes_of_the_recordings_are_ours() -> None:
    listed = {name.partition(".")[0] for name in json.loads((ROOT / "tests/data/list_methods.json").read_text())}
    assert set(classes()) - listed == {"VMSS_run"}


def test_what_is_no_extension_is_a_message_of_the_recordings() -> None:
    listed = set(json.loads((ROOT / "tests/data/list_methods.json").read_text()))
    ours = {m.full_name for d in classes().values() for m in d.messages.values() if not m.extension}
    assert ours <= listed


@pytest.mark.parametrize("name", sorted(classes()))
def test_defaults_are_what_is_declared(name: str) -> None:
    declared = classes()[name]
    record = declared.record()
    assert msgspec.convert(msgspec.structs.asdict(record), declared.record, strict=True) == record
    for field in declared.fields:
        assert getattr(record, field.name) == field.default
        assert field.spec.doc
        if field.spec.access == "rw":
            assert not field.spec.volatile
    assert declared.doc
    assert hash(record.uuid) is not None


@pytest.mark.parametrize("name", sorted(classes()))
def test_references_name_classes(name: str) -> None:
    records = {declared.record.__name__ for declared in classes().values()}
    for field in classes()[name].fields:
        if field.value.scalar == "ref":
            assert field.value.target in records, field.name


def test_messages_are_documented_and_their_errors_are_codes() -> None:
    for declared in classes().values():
        for message in declared.messages.values():
            assert message.doc.endswith("."), message.full_name
            assert all(code == code.upper() and code for code in message.errors), message.full_name
            assert list(message.types) == [p.name for p in message.parameters]


def test_records_do_not_change() -> None:
    vm = VM(name_label="one")
    with pytest.raises(AttributeError):
        vm.name_label = "two"  # type: ignore[misc]


def test_references_and_uuids() -> None:
    assert new_ref() != new_ref()
    assert new_ref().startswith("OpaqueRef:")
    assert type(Ref("x")) is str
    assert is_null(NULL) and is_null("") and not is_null(new_ref())
    uuid = new_uuid()
    assert uuid == uuid.lower() != new_uuid()
    assert len(uuid) == 36
    assert class_of(VM).name == "VM"


def test_a_failure_is_all_text() -> None:
    failure = Failure("SR_FULL", 5, None)
    assert failure.description() == ["SR_FULL", "5", "None"]
    assert str(failure) == "SR_FULL(5, None)"
    assert str(Failure("MESSAGE_REMOVED")) == "MESSAGE_REMOVED"


def test_times_know_their_zone() -> None:
    for declared in classes().values():
        for field in declared.fields:
            if isinstance(field.default, datetime):
                assert field.default.tzinfo is not None


WRONG = {
    "another class's reference": "await session.VM.snapshot(vdi, 'name')",
    "a plain text": "await session.VM.snapshot('OpaqueRef:1', 'name')",
    "a missing argument": "await session.VM.snapshot(vm)",
    "one too many": "await session.VM.start(vm, False, False, False)",
    "a wrong type": "await session.VM.set_VCPUs_max(vm, 'two')",
    "an unknown message": "await session.VM.explode(vm)",
    "another class's message": "await session.start(VMCalls.snapshot, vdi, 'name')",
    "a result of another class": "other: Ref[VDI] = await session.VM.clone(vm, 'name')",
    "references in a list": "await session.VM.snapshot(vm, 'name', [vm])",
}
RIGHT = (
    "await session.VM.snapshot(vm, 'name')",
    "await session.VM.snapshot(vm, 'name', [vdi])",
    "await session.start(VMCalls.snapshot, vm, 'name', [vdi])",
    "other: Ref[VM] = await session.VM.clone(vm, 'name')",
    "record: VM = await session.get_record(VM, vm)",
)


def test_the_checker_refuses_what_would_fail(tmp_path: Path) -> None:
    """One run of mypy over right and wrong calls: each wrong line has an error, and no right one."""
    lines = [
        "from app.api import VDI, VM, Ref, VMCalls",
        "from app.client import Session",
        "",
        "async def calls(session: Session, vm: Ref[VM], vdi: Ref[VDI]) -> None:",
    ]
    lines += [f"    if {number}:\n        {call}" for number, call in enumerate((*RIGHT, *WRONG.values()), 1)]
    snippet = tmp_path / "snippet.py"
    snippet.write_text("\n".join(lines) + "\n")
    command = [sys.executable, "-m", "mypy", "--strict", "--cache-dir", str(ROOT / ".mypy_cache"), "--no-color-output"]
    command += ["--no-error-summary", "--config-file", str(ROOT / "pyproject.toml"), str(snippet)]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=False)
    found = {
        int(line.split(":")[1]) for line in done.stdout.splitlines() if "snippet.py:" in line and ": error:" in line
    }
    first = 6
    places = {call: first + 2 * number for number, call in enumerate((*RIGHT, *WRONG.values()))}
    assert {call for call in RIGHT if places[call] in found} == set(), done.stdout
    assert {why for why, call in WRONG.items() if places[call] not in found} == set(), done.stdout
