"""Destroying with disks: what is shown, what is asked, what is sent."""

from __future__ import annotations

import pytest

from app.cli.errors import ServerFailure
from tests.unit.cli.recorded import RecordedServer, records, ref_of, rows, server, xe

__all__ = ["server"]

SNAPSHOT = ref_of("VM", "before upgrade")
UUID = records()["VM"][SNAPSHOT]["uuid"]


def test_a_forced_one_is_shown_and_not_asked(server: RecordedServer) -> None:
    row = rows()[340]
    assert xe(*row.args) == (row.stdout, row.stderr, row.status)
    assert server.sent == [("VM.uninstall", ref_of("VM", "orphan snapshot"), False)]


def test_the_memory_image_is_shown_last(server: RecordedServer) -> None:
    lines = xe("snapshot-uninstall", f"snapshot-uuid={UUID}", stdin="no\n").stdout.splitlines()
    assert lines[:2] == ["The following items are about to be destroyed", f"VM : {UUID} (before upgrade)"]
    assert lines[-3].startswith("VDI: ") and lines[-3].endswith(" (Suspend image) ")
    assert lines[-2:] == ["Type 'yes' to continue", "Aborted (you typed: 'no')"]


@pytest.mark.parametrize(
    ("typed", "last", "status"),
    [
        ("yes\n", "All objects destroyed", 0),
        ("YES\n", "All objects destroyed", 0),
        ("y\n", "Aborted (you typed: 'y')", 0),
        ("\n", "Aborted (you typed: '')", 0),
        ("", "Type 'yes' to continue", 1),
    ],
)
def test_only_the_word_yes_goes_on(typed: str, last: str, status: int, server: RecordedServer) -> None:
    printed = xe("snapshot-uninstall", f"uuid={UUID}", stdin=typed)
    assert printed.stdout.splitlines()[-1] == last and printed.status == status
    assert server.sent == ([("VM.uninstall", SNAPSHOT, False)] if last.startswith("All") else [])
    assert printed.stderr == ("" if typed else "Lost connection to the server.\n")


def test_a_vm_goes_with_its_snapshots(server: RecordedServer) -> None:
    tree = ref_of("VM", "tree1")
    printed = xe("vm-uninstall", "vm=tree1", stdin="yes\n")
    assert printed.stdout.count("VM : ") == 1 + len(records()["VM"][tree]["snapshots"])
    assert server.sent == [("VM.uninstall", tree, True)]


def test_a_server_without_the_message_is_sent_one_by_one(server: RecordedServer) -> None:
    server.answers["VM_uninstall"] = ServerFailure("MESSAGE_METHOD_UNKNOWN", ["VM.uninstall"])
    assert xe("snapshot-uninstall", f"uuid={UUID}", "--force").status == 0
    assert [method for method, *_ in server.sent] == [
        "VM.uninstall",
        "VM.hard_shutdown",
        "VM.destroy",
        "VDI.destroy",
        "VDI.destroy",
    ]


def test_another_refusal_is_no_reason_to_try_otherwise(server: RecordedServer) -> None:
    server.answers["VM_uninstall"] = ServerFailure("OPERATION_BLOCKED", [SNAPSHOT, "audit"])
    printed = xe("snapshot-uninstall", f"uuid={UUID}", "--force")
    assert printed.status == 1 and printed.stderr.endswith(f"ref: {UUID} (before upgrade)\ncode: audit\n")
    assert len(server.sent) == 1


def test_a_disk_that_another_vm_holds_is_pointed_out(server: RecordedServer, monkeypatch: pytest.MonkeyPatch) -> None:
    vdis = records()["VDI"]
    disk = next(ref for ref in vdis if records()["VM"][ref_of("VM", "A1")]["VBDs"][0] in vdis[ref]["VBDs"])
    other = records()["VM"][ref_of("VM", "web1")]["VBDs"][0]
    monkeypatch.setitem(vdis[disk], "VBDs", [*vdis[disk]["VBDs"], other])
    uuid = records()["VM"][ref_of("VM", "A1")]["uuid"]
    printed = xe("snapshot-uninstall", f"uuid={uuid}", "--dry-run")
    assert [line.endswith("shared by other VMs") for line in printed.stdout.splitlines()].count(True) == 1


def test_with_dry_run_nothing_is_asked_or_sent(server: RecordedServer) -> None:
    printed = xe("snapshot-uninstall", f"uuid={UUID}", "--dry-run")
    assert printed.stdout.splitlines()[-1] == f"Would call VM.uninstall({UUID} (before upgrade), False)"
    assert (server.sent, printed.status) == ([], 0)


def test_a_template_of_the_product_stays(server: RecordedServer, monkeypatch: pytest.MonkeyPatch) -> None:
    template = records()["VM"][ref_of("VM", "Generic template")]
    monkeypatch.setitem(template, "is_default_template", True)
    printed = xe("template-uninstall", f"template-uuid={template['uuid']}", stdin="yes\n")
    assert printed.status == 1 and "comes with the product" in printed.stderr
    assert server.sent == []
