"""Commands that change something: what they send, what they print, and how refusals are told, as recorded."""

from __future__ import annotations

from typing import Any

import pytest

from app.cli.errors import ServerFailure
from tests.unit.cli.recorded import RecordedServer, records, ref_of, rows, server, xe

__all__ = ["server"]

# Refused before anything is sent.
REFUSED = [
    *(222, 225, 227, 230, 231, 239, 242, 244, 253, 254, 256, 259, 265, 275, 282, 283, 288, 294, 295, 307, 308, 309),
    *(323, 328, 329, 339, 347, 361, 364, 373, 401, 402, 409, 410, 411, 420, 421, 428, 429, 431, 440, 474, 478, 481),
    *(484, 492),
]


@pytest.mark.parametrize("number", REFUSED)
def test_a_refusal_is_told_as_recorded(number: int, server: RecordedServer) -> None:
    row = rows()[number]
    # By the time of these the recording had other objects than ours: that of the answer is what is compared.
    args = [
        arg.replace("415d68dd-89f1-3c2b-8c5b-66893d3afc83", "6c8c723a-fbbd-515a-9eef-c888a66f2edc") for arg in row.args
    ]
    printed = xe(*args, stdin=row.stdin)
    assert (printed.stdout, printed.stderr, printed.status) == (row.stdout, row.stderr, row.status)
    assert server.sent == []


def vm(name: str) -> str:
    return ref_of("VM", name)


# Number -> what is sent. The server answers with a new object that has no record.
SENT: dict[int, list[tuple[Any, ...]]] = {
    221: [("VM.set_name_description", vm("web1"), "new text")],
    224: [
        ("VM.add_to_other_config", vm("web1"), "colour", "blue"),
        ("VM.add_to_other_config", vm("web1"), "size", "10"),
    ],
    228: [],
    232: [("VM.set_name_label", vm("A"), "A renamed"), ("VM.set_name_description", vm("A"), "first")],
    235: [("VM.add_tags", vm("web1"), "newtag")],
    245: [("VM.set_tags", vm("web1"), [])],
    246: [("VM.set_name_label", vm("web1"), "")],
    298: [("VM.resume", vm("db1"), False, False)],
    423: [("VM.set_name_description", vm("Generic template"), "changed")],
    466: [("VM.set_snapshot_schedule", vm("web1"), "OpaqueRef:NULL")],
    467: [("VM.set_snapshot_schedule", vm("web1"), "OpaqueRef:NULL")],
    480: [("message.create", "N", 3, "VM", "823f3a37-83d6-6fdf-bd87-bf2a0e93eb36", "hello")],
    485: [],
    491: [("SR.scan", ref_of("SR", "Local storage"))],
}


@pytest.mark.parametrize("number", SENT)
def test_what_is_set_is_sent(number: int, server: RecordedServer) -> None:
    row = rows()[number]
    assert xe(*row.args) == (row.stdout, row.stderr, row.status)
    assert server.sent == SENT[number]


MADE = [
    (["vm-snapshot", "vm=web1", "new-name-label=cli1"], ("VM.snapshot", vm("web1"), "cli1")),
    (["vm-snapshot", "vm=web1", "new-name-label="], ("VM.snapshot", vm("web1"), "")),
    (["vm-checkpoint", "vm=db1", "new-name-label=c"], ("VM.checkpoint", vm("db1"), "c")),
    (["vm-snapshot-with-quiesce", "vm=db1", "new-name-label=q"], ("VM.snapshot_with_quiesce", vm("db1"), "q")),
    (["vm-clone", "vm=Generic template", "new-name-label=t"], ("VM.clone", vm("Generic template"), "t")),
    (["vm-copy", "vm=web1", "new-name-label=f"], ("VM.copy", vm("web1"), "f", "OpaqueRef:NULL")),
    (["vm-start", "vm=web1", "--paused"], ("VM.start", vm("web1"), True, False)),
    (["vm-start", "vm=web1", "on=host1"], ("VM.start_on", vm("web1"), ref_of("host", "host1"), False, False)),
    (["vm-shutdown", "vm=db1"], ("VM.clean_shutdown", vm("db1"))),
    (["vm-shutdown", "vm=db1", "--force"], ("VM.hard_shutdown", vm("db1"))),
    (["vm-reboot", "vm=db1", "force=true"], ("VM.hard_reboot", vm("db1"))),
    (["vm-suspend", "vm=db1"], ("VM.suspend", vm("db1"))),
    (["vm-pause", "vm=db1"], ("VM.pause", vm("db1"))),
    (["vm-memory-set", "vm=web1", "memory=64MiB"], ("VM.set_memory", vm("web1"), 64 << 20)),
    (
        ["vm-memory-dynamic-range-set", "vm=web1", "min=32MiB", "max=64MiB"],
        ("VM.set_memory_dynamic_range", vm("web1"), 32 << 20, 64 << 20),
    ),
    (["sr-update", rows()[491].args[1]], ("SR.update", ref_of("SR", "Local storage"))),
    (["pool-sync-database"], ("pool.sync_database",)),
    (["vm-unpause", "vm=app1"], ("VM.unpause", vm("app1"))),
    (["vm-reset-powerstate", "vm=mail1", "--force"], ("VM.power_state_reset", vm("mail1"))),
    (
        [
            "vm-memory-limits-set",
            "vm=web1",
            "static-min=16MiB",
            "static-max=1GiB",
            "dynamic-min=1GiB",
            "dynamic-max=1GiB",
        ],
        ("VM.set_memory_limits", vm("web1"), 16 << 20, 1 << 30, 1 << 30, 1 << 30),
    ),
]


@pytest.mark.parametrize(("args", "sent"), MADE)
def test_an_operation_is_sent(args: list[str], sent: tuple[Any, ...], server: RecordedServer) -> None:
    assert xe(*args) == ("", "", 0)
    assert server.sent == [sent]


def test_a_snapshot_without_some_disks(server: RecordedServer) -> None:
    uuid = rows()[263].args[3].partition("=")[2]
    vdi = next(ref for ref, record in records()["VDI"].items() if record["uuid"] == uuid)
    assert xe(*rows()[263].args).status == 0
    assert server.sent == [("VM.snapshot", vm("web1"), "ign", [vdi])]


def test_what_is_made_is_printed_by_its_uuid(server: RecordedServer) -> None:
    server.answers["VM_snapshot"] = vm("A1")
    printed = xe("vm-snapshot", "vm=web1", "new-name-label=x", "new-name-description=why")
    assert printed == (f"{records()['VM'][vm('A1')]['uuid']}\n", "", 0)
    assert server.sent[1] == ("VM.set_name_description", vm("A1"), "why")


def test_several_with_multiple(server: RecordedServer) -> None:
    server.answers["VM_snapshot"] = vm("A1")
    printed = xe("vm-snapshot", "power-state=halted", "new-name-label=multi", "--multiple")
    assert printed.stdout.splitlines() == [records()["VM"][vm("A1")]["uuid"]] * 3
    assert sorted(sent[1] for sent in server.sent) == sorted(map(vm, ("web1", "web1 copy", "tree1")))


FULL = ServerFailure("SR_BACKEND_FAILURE_44", ["", "There is insufficient space", ""])


def power(name: str, expected: str, actual: str) -> ServerFailure:
    return ServerFailure("VM_BAD_POWER_STATE", [vm(name), expected, actual])


# Number -> the message and how the server refuses it.
FAILURES: dict[int, tuple[str, ServerFailure]] = {
    238: (
        "VM_add_to_other_config",
        ServerFailure("MAP_DUPLICATE_KEY", ["VM", "other_config", vm("web1"), "k1"]),
    ),
    268: ("VM_snapshot", FULL),
    270: ("VM_snapshot_with_quiesce", ServerFailure("MESSAGE_REMOVED", [])),
    271: ("VM_checkpoint", power("web1", "paused, suspended, running", "halted")),
    342: ("VM_clone", power("db1", "halted", "running")),
    369: ("VM_suspend", power("web1", "running", "halted")),
    399: ("VM_destroy", power("db1", "halted, suspended", "running")),
    432: ("VMSS_create", ServerFailure("INVALID_VALUE", ["retained_snapshots", "0"])),
    434: ("VMSS_create", ServerFailure("INVALID_VALUE", ["schedule:hour", "24"])),
    489: (
        "VDI_create",
        ServerFailure(
            "SR_BACKEND_FAILURE_79",
            ["", "VDI Invalid size [opterr=VDI size must be between 1 MB and 2093051 MB]", ""],
        ),
    ),
}


@pytest.mark.parametrize("number", FAILURES)
def test_the_servers_refusal_is_told_as_recorded(number: int, server: RecordedServer) -> None:
    message, failure = FAILURES[number]
    server.answers[message] = failure
    row = rows()[number]
    assert xe(*row.args) == (row.stdout, row.stderr, row.status)


def test_each_failure_of_several_is_told_on_the_standard_output(server: RecordedServer) -> None:
    server.answers["VM_snapshot"] = FULL
    row = rows()[269]
    printed = xe(*row.args)
    assert sorted(printed.stdout.splitlines()) == sorted(row.stdout.splitlines())
    assert (printed.stderr, printed.status) == ("", 1)


def test_a_failed_revert_is_told_with_its_parameters_as_they_come(server: RecordedServer) -> None:
    server.answers["VM_revert"] = ServerFailure("VM_REVERT_FAILED", [vm("A1"), vm("tree1")])
    uuids = [records()["VM"][vm(name)]["uuid"] for name in ("A1", "tree1")]
    assert xe("snapshot-revert", f"snapshot-uuid={uuids[0]}").stderr.splitlines() == [
        rows()[300].stderr.splitlines()[0],
        f"vm: {uuids[0]} (A1)",
        f"snapshot: {uuids[1]} (tree1)",
    ]


def test_a_schedule_is_made_of_its_words(server: RecordedServer) -> None:
    assert xe(*rows()[425].args).status == 0
    method, record = server.sent[0]
    assert method == "VMSS.create"
    assert record == {
        "name_label": "cli sched",
        "name_description": "",
        "type": "snapshot",
        "frequency": "daily",
        "schedule": {"hour": "3", "min": "30"},
        "enabled": True,
        "retained_snapshots": 4,
    }


NIGHTLY = ref_of("VMSS", "nightly")


@pytest.mark.parametrize(
    ("args", "sent"),
    [
        (["vmss-param-set", "schedule:hour=5"], [("remove_from_schedule", "hour"), ("add_to_schedule", "hour", "5")]),
        (["vmss-param-set", "schedule:days=Monday"], [("add_to_schedule", "days", "Monday")]),
        (["vmss-param-remove", "param-name=schedule", "param-key=hour"], [("remove_from_schedule", "hour")]),
        (["vmss-param-add", "param-name=schedule", "days=Monday"], [("add_to_schedule", "days", "Monday")]),
        (
            ["vmss-param-clear", "param-name=schedule"],
            [("remove_from_schedule", "hour"), ("remove_from_schedule", "min")],
        ),
        (["vmss-param-set", "retained-snapshots=10"], [("set_retained_snapshots", 10)]),
        (["vmss-param-set", "type=checkpoint", "enabled=no"], [("set_type", "checkpoint"), ("set_enabled", False)]),
    ],
)
def test_a_schedule_is_changed(args: list[str], sent: list[tuple[Any, ...]], server: RecordedServer) -> None:
    assert xe(*args, f"uuid={records()['VMSS'][NIGHTLY]['uuid']}") == ("", "", 0)
    assert server.sent == [(f"VMSS.{message}", NIGHTLY, *params) for message, *params in sent]


@pytest.mark.parametrize(
    ("number", "field", "value"), [(453, "frequency", "nope"), (459, "last-run-time", ""), (460, "VMs", "x")]
)
def test_a_schedule_is_not_changed(number: int, field: str, value: str, server: RecordedServer) -> None:
    printed = xe("vmss-param-set", f"uuid={records()['VMSS'][NIGHTLY]['uuid']}", f"{field}={value}")
    assert (printed.stderr, printed.status) == (rows()[number].stderr, 1)
    assert server.sent == []
