"""What xe does beside the documentation's samples, against the same engine: disks, drives, groups, messages, events."""

from __future__ import annotations

import json
import re
import subprocess
import sys
import threading
from pathlib import Path

import pytest

from tests.contracts.tree import ROOT
from tests.e2e.shell import UUID, Shell


@pytest.fixture
def halted(shell: Shell) -> str:
    return shell.uuid("vm-install", "template=Sample guest", "new-name-label=halted")


def test_disks_and_drives_of_a_vm(shell: Shell, halted: str) -> None:
    disk = shell.uuid("vm-disk-add", f"uuid={halted}", "device=1", "disk-size=8MiB")
    assert shell.said("vdi-param-get", f"uuid={disk}", "param-name=virtual-size") == f"{8 << 20}\n"
    listed = shell.said("vm-disk-list", f"uuid={halted}")
    assert listed.count("VBD:") == 2 and f"uuid ( RO)             : {disk}\n" in listed
    clone = shell.uuid("vdi-clone", f"uuid={disk}", "new-name-label=twin")
    full = shell.uuid("vdi-copy", f"uuid={disk}", f"sr-uuid={shell.said('sr-list', 'type=file', '--minimal').strip()}")
    vbd = shell.uuid("vbd-create", f"vm-uuid={halted}", f"vdi-uuid={clone}", "device=2")
    assert shell.said("vbd-list", f"vm-uuid={halted}", "params=userdevice", "--minimal").count(",") == 2
    shell.said("vbd-destroy", f"uuid={vbd}")
    for vdi in (clone, full):
        shell.said("vdi-destroy", f"uuid={vdi}")
    drive = shell.uuid("vbd-create", f"vm-uuid={halted}", "device=3", "type=CD", "mode=RO")
    assert shell.said("vbd-list", f"uuid={drive}", "params=vdi-name-label", "--minimal") == "<EMPTY>\n"
    assert "CD 0 VBD:" in shell.said("vm-cd-list", f"uuid={halted}")
    assert shell.xe("vbd-eject", f"uuid={drive}").stderr.startswith("The drive is empty.\n")
    shown = shell.said("vm-uninstall", f"uuid={halted}", "--force")
    assert shown.count("VDI: ") == 2


def test_discs_and_interfaces_of_a_vm(shell: Shell, halted: str) -> None:
    (shell.data_dir / "iso" / "tools.iso").write_bytes(bytes(1 << 20))
    library = shell.said("sr-list", "content-type=iso", "--minimal").strip()
    shell.said("sr-scan", f"uuid={library}")
    assert shell.said("cd-list", "params=name-label", "--minimal") == "tools.iso\n"
    shell.said("vm-cd-add", f"uuid={halted}", "cd-name=tools.iso", "device=3")
    shell.said("vm-cd-eject", f"uuid={halted}")
    assert "no CD drive with a CD" in shell.xe("vm-cd-eject", f"uuid={halted}").stderr
    shell.said("vm-cd-insert", f"uuid={halted}", "cd-name=tools.iso")
    assert "CD 0 VDI:" in shell.said("vm-cd-list", f"uuid={halted}")
    assert shell.xe("vm-cd-insert", f"uuid={halted}", "cd-name=none").stderr == "Error: No CD is called none\n"
    shell.said("vm-cd-remove", f"uuid={halted}", "cd-name=tools.iso")
    assert shell.said("vm-cd-list", f"uuid={halted}") == ""
    network = shell.said("network-list", "--minimal").strip().split(",")[0]
    vif = shell.uuid("vif-create", f"vm-uuid={halted}", f"network-uuid={network}", "device=0", "mac=random")
    assert f"uuid ( RO)                  : {vif}\n" in shell.said("vm-vif-list", f"uuid={halted}")
    shell.said("vif-destroy", f"uuid={vif}")
    assert shell.said("vm-vif-list", f"uuid={halted}", "--minimal") == "\n"
    shell.said("vm-disk-remove", f"uuid={halted}", "device=0")
    assert shell.said("vm-disk-list", f"uuid={halted}") == ""
    shell.said("vm-destroy", f"uuid={halted}")
    (shell.data_dir / "iso" / "tools.iso").unlink()
    shell.said("sr-scan", f"uuid={library}")


def test_memory_and_what_else_can_be_set(shell: Shell, halted: str) -> None:
    shell.said("vm-param-set", f"uuid={halted}", "memory-static-max=64MiB", "memory-dynamic-max=64MiB")
    shell.said("vm-param-set", f"uuid={halted}", "VCPUs-max=2", "VCPUs-at-startup=2", "actions-after-crash=Destroy")
    shown = shell.said("vm-param-list", f"uuid={halted}")
    assert f"memory-static-max ( RW): {64 << 20}\n" in shown and "VCPUs-at-startup ( RW): 2\n" in shown
    assert "actions-after-crash ( RW): Destroy\n" in shown
    shell.said("vm-param-add", f"uuid={halted}", "param-name=tags", "param-key=a")
    shell.said("vm-param-add", f"uuid={halted}", "param-name=other-config", "k1=v1", "k2=v=2")
    assert shell.said("vm-list", "other-config:k2=v=2", "--minimal") == f"{halted}\n"
    shell.said("vm-param-remove", f"uuid={halted}", "param-name=other-config", "param-key=k2")
    shell.said("vm-param-clear", f"uuid={halted}", "param-name=tags")
    assert shell.said("vm-param-get", f"uuid={halted}", "param-name=tags") == "\n"
    shell.said("vm-memory-limits-set", "vm=halted", *(f"{name}=32MiB" for name in ("static-min", "static-max")),
               *(f"{name}=32MiB" for name in ("dynamic-min", "dynamic-max")))  # fmt: skip
    shell.said("vm-destroy", f"uuid={halted}")


def test_memory_by_the_shorter_ways(shell: Shell, halted: str) -> None:
    def limits() -> list[str]:
        names = ("static-min", "dynamic-min", "dynamic-max", "static-max")
        found = (shell.said("vm-param-get", f"uuid={halted}", f"param-name=memory-{name}") for name in names)
        return [str(int(text) >> 20) for text in found]

    shell.said("vm-memory-set", f"uuid={halted}", "memory=48MiB")
    assert limits()[1:] == ["48", "48", "48"]
    shell.said("vm-memory-static-range-set", f"uuid={halted}", "min=16MiB", "max=64MiB")
    shell.said("vm-memory-dynamic-range-set", f"uuid={halted}", "min=32MiB", "max=64MiB")
    assert limits() == ["16", "32", "64", "64"]
    shell.said("pool-sync-database")
    shell.said("vm-destroy", f"uuid={halted}")


def test_the_memory_of_a_checkpoint_goes_and_its_disks_stay(shell: Shell, vm: str) -> None:
    made = shell.uuid("vm-checkpoint", f"uuid={vm}", "new-name-label=large")
    disks = shell.said("snapshot-disk-list", f"uuid={made}", "--minimal")
    shell.said("snapshot-drop-memory", f"snapshot-uuid={made}")
    assert shell.said("snapshot-param-get", f"uuid={made}", "param-name=power-state") == "halted\n"
    assert shell.said("snapshot-disk-list", f"uuid={made}", "--minimal") == disks
    assert shell.xe("snapshot-drop-memory", f"uuid={made}").stderr == f"Error: The snapshot {made} has no memory.\n"
    shell.said("snapshot-uninstall", f"uuid={made}", "--force")


def test_a_vm_in_steps(shell: Shell, tmp_path: Path) -> None:
    """As the lines of the New VM wizard do it: a copy of a template, an image as its second disk, then a VM of it."""
    image = tmp_path / "disk.raw"
    image.write_bytes(b"data" * (1 << 18))
    sr = shell.said("sr-list", "type=file", "--minimal").strip()
    shell.said("sr-update", f"uuid={sr}")
    template = shell.said("template-list", "name-label=Sample guest", "--minimal").strip()
    made = shell.uuid("vm-clone", f"uuid={template}", "new-name-label=in steps")
    assert shell.said("vm-list", f"uuid={made}", "--minimal") == "\n"
    shell.said("vm-provision", f"uuid={made}")
    assert shell.said("vm-list", f"uuid={made}", "--minimal") == f"{made}\n"
    disk = shell.uuid("vdi-import-file", f"sr-uuid={sr}", f"filename={image}", "name-label=taken in")
    vbd = shell.uuid("vbd-create", f"vm-uuid={made}", f"vdi-uuid={disk}", "device=autodetect")
    shell.said("vbd-param-set", f"uuid={vbd}", "other-config:owner=")
    snapshot = shell.uuid("vm-snapshot", f"uuid={made}", "new-name-label=stays")
    assert shell.said("vm-uninstall", f"uuid={made}", "keep-snapshots=true", stdin="yes\n").count("VDI: ") == 2
    assert shell.said("snapshot-list", f"uuid={snapshot}", "--minimal") == f"{snapshot}\n"
    shell.said("snapshot-uninstall", f"uuid={snapshot}", "--force")


def test_a_group_of_vms(shell: Shell, vm: str, halted: str) -> None:
    made = shell.said("snapshot-group-create", f"vm-uuids={vm},{halted}", "new-name-label=both").split()
    assert len(made) == 2 and all(re.fullmatch(UUID, uuid) for uuid in made)
    shell.said("snapshot-group-revert", f"snapshot-uuids={','.join(made)}")
    shell.said("vm-start", f"uuid={vm}")
    for uuid in made:
        shell.said("snapshot-uninstall", f"uuid={uuid}", "--force")
    shell.said("vm-uninstall", f"uuid={halted}", "--force")


def test_messages(shell: Shell, vm: str) -> None:
    shell.said("message-create", "name=NOTE", "priority=3", f"vm-uuid={vm}", "body=hello")
    uuid = shell.said("message-list", "name=NOTE", f"obj-uuid={vm}", "--minimal").strip()
    assert shell.said("message-param-get", f"uuid={uuid}", "param-name=body") == "hello\n"
    shell.said("message-destroy", f"uuid={uuid}")
    assert shell.said("message-list", "name=NOTE", "--minimal") == "\n"


def test_waiting_for_an_event(shell: Shell, vm: str) -> None:
    assert shell.said("event-wait", "class=vm", f"uuid={vm}", "power-state=running") == ""
    found: list[int] = []
    waiting = threading.Thread(
        target=lambda: found.append(shell.xe("event-wait", "class=vm", f"uuid={vm}", "power-state=/=running").status)
    )
    waiting.start()
    shell.said("vm-pause", f"uuid={vm}")
    waiting.join(60)
    assert found == [0]
    shell.said("vm-unpause", f"uuid={vm}")


def test_json(shell: Shell, vm: str) -> None:
    (found,) = json.loads(shell.said("vm-list", f"uuid={vm}", "params=uuid,tags,other-config", "--json"))
    assert found["uuid"] == vm and found["tags"] == [] and isinstance(found["other-config"], dict)
    (uuid,) = json.loads(shell.said("vm-snapshot", f"uuid={vm}", "new-name-label=json", "--json"))
    (disk,) = json.loads(shell.said("snapshot-disk-list", f"uuid={uuid}", "--json"))
    assert set(disk) == {"VBD", "VDI"} and disk["VBD"]["vm-name-label"] == "json"
    printed = shell.xe("snapshot-uninstall", f"uuid={uuid}", "--force", "--json")
    assert json.loads(printed.stdout) == [] and "about to be destroyed" in printed.stderr


def test_with_dry_run_nothing_changes(shell: Shell, vm: str, tmp_path: Path) -> None:
    before = shell.said("snapshot-list")
    said = shell.said("vm-snapshot", f"uuid={vm}", "new-name-label=never", "--dry-run")
    assert said == f"Would call VM.snapshot({vm} (Windows Server 2016 (1)), never)\n"
    for words in (
        ["vm-export", f"uuid={vm}", f"filename={tmp_path}/never.xva"],
        ["vm-param-set", f"uuid={vm}", "name-label=never"],
        ["vmss-create", "name-label=never", "type=snapshot", "frequency=daily"],
        ["vm-install", "template=Sample guest", "new-name-label=never"],
        ["vm-uninstall", f"uuid={vm}"],
    ):
        assert "Would call " in shell.said(*words, "--dry-run"), words
    assert shell.said("snapshot-list") == before and list(tmp_path.iterdir()) == []
    assert shell.said("vm-list", "name-label=never") == "" and shell.said("vmss-list") == ""


def test_an_export_to_the_standard_output(shell: Shell, halted: str) -> None:
    program = [sys.executable, "-m", "app.cli.main", "--data-dir", str(shell.data_dir)]
    words = [*program, "vm-export", f"uuid={halted}", "filename="]
    found = subprocess.run(words, cwd=ROOT, capture_output=True, check=True)
    assert found.stdout[:7] == b"ova.xml" and found.stderr == b"" and len(found.stdout) % 512 == 0
    words += ["metadata=true", "excluded-device-types=VIF"]
    bare = subprocess.run(words, cwd=ROOT, capture_output=True, check=True).stdout
    assert len(bare) < 100_000 and b">VBD<" in bare and b">VIF<" not in bare and b">network<" not in bare
    shell.said("vm-uninstall", f"uuid={halted}", "--force")


def test_devices_are_left_out_of_metadata_only(shell: Shell, halted: str, tmp_path: Path) -> None:
    words = ["vm-export", f"uuid={halted}", f"filename={tmp_path}/a.xva"]
    unknown = shell.xe(*words, "metadata=true", "excluded-device-types=vusb")
    assert unknown.status == 1 and "excluded_device_types" in unknown.stderr
    assert shell.said(*words, "metadata=true", "excluded-device-types=vbd,vif,vgpu") == "Export succeeded\n"
    content = (tmp_path / "a.xva").read_bytes()
    assert b">VM<" in content and b">VBD<" not in content and b">VIF<" not in content
    plain = shell.xe(*words[:2], f"filename={tmp_path}/b.xva", "excluded-device-types=vbd")
    assert plain == ("Export succeeded\n", "excluded-device-types counts with metadata=true only.\n", 0)
    assert b">VBD<" in (tmp_path / "b.xva").read_bytes()
    shell.said("vm-uninstall", f"uuid={halted}", "--force")


def test_a_reader_that_has_enough(shell: Shell) -> None:
    line = f'"{sys.executable}" -m app.cli.main --data-dir "{shell.data_dir}" help --all | head -1'
    found = subprocess.run(["bash", "-c", line], cwd=ROOT, capture_output=True, text=True, check=True)
    assert (found.stdout, found.stderr) == ("Usage:\n", "")
