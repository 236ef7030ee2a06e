"""Every command and sample of the documentation's page on snapshots, against an engine that runs as a service."""

from __future__ import annotations

import os
import re
import subprocess
import sys
from pathlib import Path

import pytest

from tests.contracts.tree import ROOT
from tests.e2e.shell import UUID, Shell

TIME = r"\d{8}T\d\d:\d\d:\d\dZ"


def test_create_a_snapshot(shell: Shell, vm: str) -> None:
    by_uuid = shell.uuid("vm-snapshot", f"vm={vm}", "new-name-label=vm_snapshot_name")
    by_name = shell.uuid("vm-snapshot", "vm=Windows Server 2016 (1)", "new-name-label=vm_snapshot_name")
    for uuid in (by_uuid, by_name):
        assert shell.said("snapshot-list", f"uuid={uuid}", "params=name-label", "--minimal") == "vm_snapshot_name\n"
        shell.said("snapshot-uninstall", f"snapshot-uuid={uuid}", "--force")


def test_create_a_snapshot_with_memory(shell: Shell, vm: str) -> None:
    uuid = shell.uuid("vm-checkpoint", f"vm={vm}", "new-name-label=example_checkpoint_1")
    assert shell.said("snapshot-param-get", f"uuid={uuid}", "param-name=power-state") == "suspended\n"
    shell.said("snapshot-uninstall", f"snapshot-uuid={uuid}", "--force")


def test_list_the_vms(shell: Shell, vm: str) -> None:
    assert shell.said("vm-list", f"uuid={vm}") == (
        f"uuid ( RO)           : {vm}\n"
        "     name-label ( RW): Windows Server 2016 (1)\n"
        "    power-state ( RO): running\n\n\n"
    )
    assert f"uuid ( RO)           : {vm}\n" in shell.said("vm-list")


def test_the_fields_that_vms_can_be_chosen_by(shell: Shell, vm: str) -> None:
    listed = shell.said("vm-list", "params=all", f"uuid={vm}")
    assert f"uuid ( RO)                                  : {vm}\n" in listed
    assert "snapshot-schedule ( RW): <not in database>\n" in listed


def test_several_vms_need_to_be_wanted(shell: Shell, vm: str) -> None:
    twins = [shell.uuid("vm-clone", "vm=Other install media", f"new-name-label={name}") for name in "ab"]
    for twin in twins:
        shell.said("template-param-set", f"uuid={twin}", "is-a-template=false")
    refused = shell.xe("vm-snapshot", "power-state=halted", "new-name-label=all")
    assert refused.stderr == "Error: Multiple matches VMs found. --multiple required to complete the operation\n"
    made = shell.said("vm-snapshot", "power-state=halted", "new-name-label=all", "--multiple").split()
    assert len(made) == len(twins)
    for twin in twins:
        shell.said("vm-uninstall", f"uuid={twin}", "--force")
    assert shell.said("snapshot-list", "name-label=all") == ""


def test_list_the_snapshots_of_a_vm(shell: Shell, vm: str, snapshot: str, checkpoint: str) -> None:
    text = shell.said("vm-param-get", f"uuid={vm}", "param-name=name-description").strip()

    def record(uuid: str, name: str) -> str:
        return (
            rf"uuid \( RO\)                : {uuid}\n"
            rf"          name-label \( RW\): {name}\n"
            rf"    name-description \( RW\): {re.escape(text)}\n"
            rf"         snapshot_of \( RO\): {vm}\n"
            rf"       snapshot_time \( RO\): {TIME}\n\n\n"
        )

    expected = record(checkpoint, "Snapshot with memory") + record(snapshot, "Regular")
    assert re.fullmatch(expected, shell.said("snapshot-list", f"snapshot-of={vm}"))
    assert re.fullmatch(expected, shell.said("snapshot-list"))


def test_restore_a_vm(shell: Shell, vm: str, checkpoint: str) -> None:
    assert shell.said("snapshot-revert", f"snapshot-uuid={checkpoint}") == ""
    assert shell.said("vm-param-get", f"uuid={vm}", "param-name=power-state") == "suspended\n"
    assert shell.said("vm-resume", f"uuid={vm}") == ""
    assert shell.said("vm-list", "power-state=running", "--minimal") == f"{vm}\n"
    assert checkpoint in shell.said("snapshot-list", "--minimal")


def test_delete_a_snapshot_with_its_disks(shell: Shell, vm: str) -> None:
    uuid = shell.uuid("vm-checkpoint", f"vm={vm}", "new-name-label=Snapshot with memory")
    printed = shell.said("snapshot-uninstall", f"snapshot-uuid={uuid}", stdin="yes\n")
    assert re.fullmatch(
        "The following items are about to be destroyed\n"
        rf"VM : {uuid} \(Snapshot with memory\)"
        "\n"
        rf"VDI: {UUID} \(Windows Server 2016 \(1\) 0\) "
        "\n"
        rf"VDI: {UUID} \(Suspend image\) "
        "\nType 'yes' to continue\nAll objects destroyed\n",
        printed,
    )
    assert shell.said("snapshot-list", f"uuid={uuid}", "--minimal") == "\n"


def test_delete_the_record_of_a_snapshot_alone(shell: Shell, vm: str) -> None:
    uuid = shell.uuid("vm-snapshot", f"vm={vm}", "new-name-label=Regular")
    disk = shell.said("snapshot-disk-list", f"snapshot-uuid={uuid}", "vbd-params=", "--minimal").strip("\n,")
    assert shell.said("snapshot-destroy", f"snapshot-uuid={uuid}") == ""
    assert shell.said("snapshot-list", f"uuid={uuid}", "--minimal") == "\n"
    assert shell.said("vdi-list", f"uuid={disk}", "--minimal") == f"{disk}\n"
    shell.said("vdi-destroy", f"uuid={disk}")


def test_make_a_template_of_a_snapshot(shell: Shell, vm: str, checkpoint: str) -> None:
    uuid = shell.uuid("snapshot-copy", "new-name-label=example_template_1", f"snapshot-uuid={checkpoint}")
    listed = shell.said("template-list")
    assert f"uuid ( RO)                : {uuid}\n          name-label ( RW): example_template_1\n" in listed
    assert shell.said("template-param-get", f"uuid={uuid}", "param-name=power-state") == "halted\n"
    printed = shell.said("template-uninstall", f"template-uuid={uuid}", stdin="yes\n")
    assert printed.endswith("All objects destroyed\n")


def test_export_a_snapshot_to_a_template(shell: Shell, checkpoint: str, tmp_path: Path) -> None:
    name = tmp_path / "example_template_export"
    words = ["snapshot-export-to-template", f"snapshot-uuid={checkpoint}", f"filename={name}"]
    assert shell.said(*words) == "Export succeeded\n"
    assert name.stat().st_mode & 0o077 == 0
    assert shell.xe(*words) == ("", f'Operation failed. Error: Sys_error("{name}: File exists")\n', 1)
    # The documentation's slip: with a space.
    slip = ["snapshot-export-to", "template", f"snapshot-uuid={checkpoint}", f"filename={name}.zst"]
    assert shell.said(*slip, "compress=zstd") == "Export succeeded\n"
    nowhere = shell.xe(*words[:2], "filename=/nosuchdir/w.xva")
    assert nowhere.stderr == 'Operation failed. Error: Sys_error("/nosuchdir/w.xva: No such file or directory")\n'
    uuid = shell.uuid("vm-import", f"filename={name}")
    assert shell.said("template-list", f"uuid={uuid}", "params=name-label", "--minimal") == "Snapshot with memory\n"
    shell.said("template-uninstall", f"template-uuid={uuid}", "--force")


def test_export_and_import_a_vm_with_progress(shell: Shell, vm: str, tmp_path: Path) -> None:
    name = tmp_path / "web.xva"
    running = shell.xe("vm-export", f"uuid={vm}", f"filename={name}")
    assert running.status == 1 and running.stderr.endswith("expected: halted, suspended\nactual: running\n")
    assert list(tmp_path.iterdir()) == []
    halted = shell.uuid("vm-install", "template=Sample guest", "new-name-label=halted")
    exported = shell.xe(*shell.far, "vm-export", "vm=halted", f"filename={name}", "--progress")
    assert (exported.stdout, exported.status) == ("Export succeeded\n", 0)
    assert " 100% | ####" in exported.stderr and "verifying" in exported.stderr
    made = shell.xe("vm-import", f"filename={name}", "--progress")
    assert re.fullmatch(f"{UUID}\n", made.stdout) and made.status == 0
    assert shell.said("vm-list", "name-label=halted", "--minimal").count(",") == 1
    refused = shell.xe("vm-import", f"filename={name}", "preserve=true")
    assert refused.status == 1 and refused.stderr.startswith("The VM cannot be imported unforced")
    for uuid in (halted, made.stdout.strip()):
        shell.said("vm-uninstall", f"uuid={uuid}", "--force")


def test_export_and_import_a_disk(shell: Shell, snapshot: str, tmp_path: Path) -> None:
    disk = shell.said("snapshot-disk-list", f"uuid={snapshot}", "vbd-params=", "--minimal").strip("\n,")
    size = int(shell.said("vdi-param-get", f"uuid={disk}", "param-name=virtual-size"))
    shell.said("vdi-export", f"uuid={disk}", f"filename={tmp_path}/disk.raw")
    assert (tmp_path / "disk.raw").stat().st_size == size
    sr = shell.said("sr-list", "type=file", "--minimal").strip()
    empty = shell.uuid("vdi-create", f"sr-uuid={sr}", "name-label=copy", f"virtual-size={size}")
    shell.said("vdi-import", f"uuid={empty}", f"filename={tmp_path}/disk.raw")
    shell.said("vdi-export", f"uuid={empty}", f"filename={tmp_path}/again.raw")
    assert (tmp_path / "again.raw").read_bytes() == (tmp_path / "disk.raw").read_bytes()
    shell.said("vdi-destroy", f"uuid={empty}")


def test_what_is_no_file_to_import(shell: Shell, tmp_path: Path) -> None:
    missing = shell.xe("vm-import", "filename=nosuch.xva")
    assert missing.stderr == "Operation failed. Error: file 'nosuch.xva' does not exist\n"
    (tmp_path / "bad.xva").write_text("no archive")
    assert shell.xe("vm-import", f"filename={tmp_path}/bad.xva").status == 1
    assert shell.xe("vm-import").stderr.startswith("Required parameter not found: filename\n")


def test_a_schedule_from_its_making_to_its_end(shell: Shell, vm: str) -> None:
    vmss = shell.uuid("vmss-create", "name-label=nightly", "type=snapshot", "frequency=daily", "schedule:hour=3")
    shell.said("vm-param-set", f"uuid={vm}", f"snapshot-schedule={vmss}")
    assert shell.said("vmss-param-get", f"uuid={vmss}", "param-name=VMs") == f"{vm}\n"
    assert "takes 'nightly" in shell.said("vmss-preview", f"uuid={vmss}", "count=1")
    shell.said("vmss-param-set", f"uuid={vmss}", "schedule:hour=4", "retained-snapshots=2")
    assert shell.said("vmss-param-get", f"uuid={vmss}", "param-name=schedule") == "min: 0; hour: 4\n"
    assert shell.said("vmss-snapshot-now", f"uuid={vmss}") == ""
    taken = shell.said("snapshot-list", "is-vmss-snapshot=true", "--minimal").strip()
    assert re.fullmatch(UUID, taken)
    assert (
        shell.said("vmss-run-list", f"vmss-uuid={vmss}", "trigger=manual", "params=status", "--minimal") == "success\n"
    )
    assert shell.xe("vmss-destroy", f"uuid={vmss}").stderr.startswith("There is at least one VM assigned")
    shell.said("vm-param-set", f"uuid={vm}", "snapshot-schedule=")
    assert shell.said("vmss-destroy", f"uuid={vmss}") == ""
    shell.said("snapshot-uninstall", f"uuid={taken}", "--force")


def test_every_list_and_field_can_be_read_from_an_engine(shell: Shell, vm: str, snapshot: str) -> None:
    for name in ("vm", "snapshot", "template", "vdi", "vbd", "sr", "pbd", "network", "host", "pool", "message"):
        uuids = shell.said(f"{name}-list", "--minimal").strip().split(",")
        assert uuids[0], name
        assert shell.said(f"{name}-param-list", f"uuid={uuids[0]}").startswith("uuid ( RO)")
        assert shell.said(f"{name}-list", "params=all", "--json").startswith("[")
    for name in ("vmss", "vmss-run", "task", "console", "vif", "pif"):
        shell.said(f"{name}-list", "params=all")


def test_progress_and_a_failure_by_a_task(shell: Shell, vm: str) -> None:
    printed = shell.xe("vm-pause", f"uuid={vm}", "--progress")
    assert printed.status == 0 and printed.stderr.endswith(f"\r 100% | {'#' * 70}\n\n\n")
    refused = shell.xe("vm-pause", f"uuid={vm}", "--progress")
    assert refused.status == 1 and refused.stderr.endswith("expected: running\nactual: paused\n")
    shell.said("vm-unpause", f"uuid={vm}")


def test_locks_readiness_and_chains(shell: Shell, vm: str, snapshot: str) -> None:
    shell.said("snapshot-lock", f"uuid={snapshot}", "reason=audit", "owner=anna")
    refused = shell.xe("snapshot-uninstall", f"uuid={snapshot}", stdin="yes\n")
    assert refused.status == 1 and f"ref: {snapshot} (Regular)" in refused.stderr
    shell.said("snapshot-unlock", f"uuid={snapshot}")
    assert "safe ( RO): true\n" in shell.said("vm-snapshot-readiness", f"uuid={vm}", "operation=checkpoint")
    assert shell.said("vm-chain-health", f"uuid={vm}").count("depth ( RO): ") == 3
    sr = shell.said("sr-list", "type=file", "--minimal").strip()
    shell.said("sr-coalesce", f"uuid={sr}")
    assert shell.said("sr-merge-list", f"uuid={sr}") == ""


def test_the_program_itself(shell: Shell, vm: str) -> None:
    words = [sys.executable, "-m", "app.cli.main", "vm-list", "--minimal"]
    found = subprocess.run(
        words, cwd=ROOT, env={**os.environ, "STILLFRAME_DATA_DIR": str(shell.data_dir)}, capture_output=True, text=True
    )
    assert (found.stdout, found.stderr, found.returncode) == (f"{vm}\n", "", 0)


def test_over_the_network_with_a_certificate_that_is_remembered(shell: Shell, vm: str) -> None:
    assert shell.said(*shell.far, "vm-list", "--minimal") == f"{vm}\n"
    assert shell.said("vm-list", "--minimal", *shell.far) == f"{vm}\n"
    known = shell.data_dir / "known_servers.json"
    assert shell.far[3] in known.read_text() and known.stat().st_mode & 0o077 == 0
    known.write_text(re.sub(r"[0-9A-F]{2}:", "00:", known.read_text(), count=1))
    refused = shell.xe(*shell.far, "vm-list")
    assert refused.status == 1 and refused.stderr.startswith("The server cannot be trusted.")
    known.unlink()


def test_over_the_network_with_progress(shell: Shell, vm: str) -> None:
    uuid = shell.uuid(*shell.far, "vm-snapshot", f"vm={vm}", "new-name-label=from afar")
    assert shell.xe(*shell.far, "snapshot-uninstall", f"uuid={uuid}", "--force").status == 0
    assert "100% | ###" in shell.xe(*shell.far, "vm-pause", f"uuid={vm}", "--progress").stderr
    shell.said("vm-unpause", f"uuid={vm}")


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (["-pw", "wrong"], "Authentication failed\nFor usage run: 'xe help'\n"),
        (["-p", "9"], "Error: Connection refused (calling connect )\n"),
        (["-s", "nowhere.invalid"], "Unable to contact server. Please check server and port settings.\n"),
        (["-p", "many"], "Error: Failed to parse parameter 'port': expecting an integer\n"),
    ],
)
def test_a_server_that_cannot_be_reached(shell: Shell, words: list[str], said: str) -> None:
    file = {"-s": shell.far[1], "-p": shell.far[3], "-u": "root", "-pw": "not a secret", **dict([words])}
    printed = shell.xe("vm-list", *(word for pair in file.items() for word in pair))
    assert printed == ("", said, 1)


def test_nobody_is_asked_for_a_password_where_nobody_is(shell: Shell) -> None:
    assert shell.xe("vm-list", *shell.far[:4]).stderr == "Authentication failed\nFor usage run: 'xe help'\n"


def test_without_an_engine_it_says_how_to_start_one(tmp_path: Path) -> None:
    printed = Shell(tmp_path).xe("vm-list")
    assert printed.status == 1 and printed.stdout == ""
    assert printed.stderr.startswith("Error: Connection refused (calling connect )\n")
    assert "stillframe serve" in printed.stderr and not (tmp_path / "run").exists()
