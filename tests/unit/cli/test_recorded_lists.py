"""Lists, single fields, help and refusals are printed as XenServer's own xe prints them, to the column.

The order of objects, and of what is in sets and maps, is the server's and means nothing; it is sorted on both sides.
"""

from __future__ import annotations

import pytest

from app.cli.errors import ServerFailure
from tests.unit.cli.recorded import RecordedServer, records, ref_of, rows, server, xe

__all__ = ["server"]

# Rows that only read, of kinds that we have.
LISTS = [
    *(58, 61, 62, 63, 64, 65, 66, 67, 68, 69, 70, 71, 72, 73, 74, 75, 76, 77, 78, 79, 80, 81, 82, 83, 84, 85, 86, 87),
    *(88, 89, 118, 133, 134, 136, 137, 139, 140, 142, 143, 145, 146, 148, 149, 151, 152, 154, 155, 157, 158, 160, 161),
    *(163, 164, 167, 168, 170, 171, 173, 176, 177, 178, 179, 181, 182, 183, 184, 185, 186, 187),
]
FIELDS = [
    *(188, 189, 190, 191, 192, 194, 195, 197, 198, 199, 200, 201, 202, 203, 204, 206, 207, 209, 210, 212, 213, 215),
    *(216, 218, 219),
]
# What the simulated host of the recording said, or tells of parts that we do not have.
NOT_COMPARED = (
    "memory-target",
    "allowed-VBD-devices",
    "memory-free-computed",
    "supported-sr-types",
    "VCPUs-utilisation",
)


def comparable(text: str) -> list[list[str]]:
    return sorted(sorted(map(_sorted_line, page.split("\n"))) for page in text.split("\n\n\n"))


def _sorted_line(line: str) -> str:
    label, colon, value = line.partition(": ")
    if any(label.strip().startswith(name) for name in NOT_COMPARED):
        return label
    if not colon or (not label.endswith((")", "]")) and ")" not in label):
        return ",".join(sorted(line.split(",")))
    return f"{label}: {'; '.join(sorted(value.split('; ')))}"


@pytest.mark.parametrize("number", LISTS + FIELDS)
def test_what_is_read_is_printed_as_recorded(number: int, server: RecordedServer) -> None:
    row = rows()[number]
    printed = xe(*row.args)
    if row.args[0].endswith("-param-get"):
        assert sorted(printed.stdout.strip().split("; ")) == sorted(row.stdout.strip().split("; "))
    else:
        assert comparable(printed.stdout) == comparable(row.stdout)
    assert (printed.stderr, printed.status) == (row.stderr, row.status)
    assert server.sent == []


@pytest.mark.parametrize("number", [60, 165, 174])
def test_a_list_of_snapshots_with_the_columns_of_the_recording(number: int, server: RecordedServer) -> None:
    row = rows()[number]
    printed = xe(*row.args, "params=uuid,name-label,name-description,is-vmss-snapshot")
    assert comparable(printed.stdout) == comparable(row.stdout)


def test_a_list_of_snapshots_shows_what_the_documentation_shows(server: RecordedServer) -> None:
    row = rows()[60]
    vm, snapshot = ref_of("VM", "tree1"), ref_of("VM", "A1b")
    printed = xe("snapshot-list", "name-label=A1b")
    assert printed.stdout == (
        f"uuid ( RO)                : {records()['VM'][snapshot]['uuid']}\n"
        "          name-label ( RW): A1b\n"
        "    name-description ( RW): tree root\n"
        f"         snapshot_of ( RO): {records()['VM'][vm]['uuid']}\n"
        "       snapshot_time ( RO): 20261123T02:14:28Z\n\n\n"
    )
    assert xe("snapshot-list").stdout.count("snapshot_of") == row.stdout.count("is-vmss-snapshot")


def test_the_columns_of_the_documentation_are_not_in_a_list_of_all(server: RecordedServer) -> None:
    printed = xe("snapshot-list", "name-label=A1b", "params=all").stdout
    assert "snapshot-of ( RO)" in printed and "snapshot_of" not in printed
    assert xe("snapshot-list", "params=snapshot_of", "name-label=A1b").stdout.startswith("snapshot_of ( RO)    : ")


# Help that differs: 3 lists the commands we have, 29 leaves out a map that nobody may set.
@pytest.mark.parametrize("number", [1, 5, 6, 8, 9, 11, 12, 14, 15, 20, 21, 23, 24, 26, 30, 32, 33, 35, 36, 38, 39, 41])
def test_help_is_printed_as_recorded(number: int) -> None:
    row = rows()[number]
    assert xe(*row.args) == (row.stdout, row.stderr, row.status)


@pytest.mark.parametrize("number", [45, 46, 47, 48, 49])
def test_a_wrong_command_line_is_refused_as_recorded(number: int, server: RecordedServer) -> None:
    row = rows()[number]
    assert xe(*row.args) == (row.stdout, row.stderr, row.status)


def test_one_object_is_fetched_alone(server: RecordedServer) -> None:
    uuid = records()["VM"][ref_of("VM", "web1")]["uuid"]
    assert xe("vm-list", f"uuid={uuid}", "params=name-label", "--minimal").stdout == "web1\n"
    assert xe("vm-start", "vm=web1").status == xe("vm-start", f"vm={uuid}").status == 0
    assert "VM.get_all_records" not in server.asked
    assert xe("vm-list", "uuid=nosuch", "--minimal").stdout == "\n"
    assert xe("snapshot-list", f"uuid={uuid}") == ("", "", 0)


def test_vms_are_fetched_without_their_snapshots(server: RecordedServer) -> None:
    assert xe("vm-list", "--minimal").stdout.count(",") == 6
    assert xe("template-list", "params=name-label", "--minimal").stdout.count(",") == 2
    assert xe("vm-shutdown", "power-state=running").status == 0
    assert "VM.get_all_records" not in server.asked


def test_a_server_that_knows_no_expressions_is_asked_for_all(server: RecordedServer) -> None:
    server.answers["VM_get_all_records_where"] = ServerFailure("MESSAGE_METHOD_UNKNOWN", ["VM.get_all_records_where"])
    assert xe("vm-list", "--minimal").stdout.count(",") == 6
    assert "VM.get_all_records" in server.asked
