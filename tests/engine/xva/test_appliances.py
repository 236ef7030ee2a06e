"""OVA and OVF appliances: VMs with equal disks, and what is wrong with some."""

from __future__ import annotations

import asyncio
import hashlib
import io
import os
import subprocess
import tarfile
from collections.abc import Mapping
from pathlib import Path

import pytest

from app.api import VDI, VIF, VM, Failure, VMCalls
from app.client.exchange import ImportOptions, import_appliance, inspect_appliance
from tests.engine.vm.guests import disks_of, images_of
from tests.engine.xva.archives import MIB
from tests.support.engine import Bench
from tests.support.qcow2_view import view

OVF = """<?xml version="1.0"?>
<Envelope xmlns="http://schemas.dmtf.org/ovf/envelope/1" xmlns:ovf="http://schemas.dmtf.org/ovf/envelope/1"
 xmlns:rasd="http://schemas.dmtf.org/wbem/wscim/1/cim-schema/2/CIM_ResourceAllocationSettingData">
 <References><File ovf:id="file1" ovf:href="{href}"/></References>
 <DiskSection><Info/><Disk ovf:diskId="disk1" ovf:capacity="4" ovf:capacityAllocationUnits="byte * 2^20"
  ovf:fileRef="file1"/><Disk ovf:diskId="disk2" ovf:capacity="1" ovf:capacityAllocationUnits="MegaBytes"/></DiskSection>
 <NetworkSection><Info/><Network ovf:name="LAN"/></NetworkSection>
 <VirtualSystem ovf:id="vm"><Info/><Name>Appliance</Name><VirtualHardwareSection><Info/>
  <Item><rasd:ResourceType>3</rasd:ResourceType><rasd:VirtualQuantity>2</rasd:VirtualQuantity></Item>
  <Item><rasd:AllocationUnits>byte * 2^20</rasd:AllocationUnits><rasd:ResourceType>4</rasd:ResourceType>
   <rasd:VirtualQuantity>512</rasd:VirtualQuantity></Item>
  <Item><rasd:HostResource>ovf:/disk/disk1</rasd:HostResource><rasd:ResourceType>17</rasd:ResourceType></Item>
  <Item><rasd:HostResource>/disk/disk2</rasd:HostResource><rasd:ResourceType>17</rasd:ResourceType></Item>
  <Item><rasd:Connection>LAN</rasd:Connection><rasd:ResourceType>10</rasd:ResourceType></Item>
 </VirtualHardwareSection></VirtualSystem></Envelope>"""


def vmdk(folder: Path) -> tuple[bytes, bytes]:
    """A disk's content, and the stream-optimised VMDK of it."""
    content = os.urandom(MIB) + bytes(2 * MIB) + os.urandom(MIB)
    (folder / "raw").write_bytes(content)
    target = folder / "disk.vmdk"
    convert = ["qemu-img", "convert", "-f", "raw", "-O", "vmdk", "-o", "subformat=streamOptimized"]
    subprocess.run([*convert, str(folder / "raw"), str(target)], check=True)
    (folder / "raw").unlink()
    packed = target.read_bytes()
    target.unlink()
    return content, packed


def overlay(folder: Path) -> bytes:
    """A qcow2 image that names a file of the host as its parent."""
    made = ["qemu-img", "create", "-q", "-u", "-f", "qcow2", "-b", "/etc/passwd", "-F", "raw", "o", "1M"]
    subprocess.run(made, cwd=folder, check=True)
    content = (folder / "o").read_bytes()
    (folder / "o").unlink()
    return content


def manifest(files: Mapping[str, bytes]) -> bytes:
    """The .mf of these files."""
    lines = (f"SHA256({name})= {hashlib.sha256(data).hexdigest()}\n" for name, data in files.items())
    return "".join(lines).encode()


def packed_as(path: Path, files: Mapping[str, bytes], *, ova: bool) -> Path:
    """The appliance as a file, or as files beside each other; answer what to open."""
    if not ova:
        for name, data in files.items():
            (path / name).write_bytes(data)
        return path / next(iter(files))
    target = path / "a.ova"
    with tarfile.open(target, "w", format=tarfile.USTAR_FORMAT) as archive:
        for name, data in files.items():
            member = tarfile.TarInfo(name)
            member.size = len(data)
            archive.addfile(member, io.BytesIO(data))
    return target


@pytest.mark.parametrize("ova", [True, False])
async def test_a_vm_of_an_appliance(bench: Bench, tmp_path: Path, ova: bool) -> None:
    content, disk = await asyncio.to_thread(vmdk, tmp_path)
    files = {"a.ovf": OVF.format(href="disk.vmdk").encode(), "disk.vmdk": disk}
    path = packed_as(tmp_path, {**files, "a.mf": manifest(files)}, ova=ova)
    before = set(tmp_path.iterdir())
    found = await inspect_appliance(path)
    assert (found.name, found.vcpus, found.memory_bytes, found.networks) == ("Appliance", 2, 512 * MIB, ("LAN",))
    assert [disk.virtual_size for disk in found.disks] == [4 * MIB, MIB]
    assert (found.manifest, found.size) == ("matches", len(disk))
    vm = await import_appliance(bench.session, path, ImportOptions(name="mine"))
    record = bench.vm(vm)
    assert (record.name_label, record.VCPUs_max, record.memory_dynamic_max) == ("mine", 2, 512 * MIB)
    assert view(bench.image(vm)).read(0, 4 * MIB) == content
    assert bench.store.get(VDI, disks_of(bench, vm)["1"]).virtual_size == MIB
    assert [bench.store.get(VIF, vif).device for vif in record.VIFs] == ["0"]
    assert set(tmp_path.iterdir()) == before
    await bench.run(VMCalls.uninstall, vm, False)


WRONG: Mapping[str, tuple[Mapping[str, bytes], str]] = {
    "a digest": ({"disk.vmdk": b"\0"}, "IMPORT_ERROR_SOME_CHECKSUMS_FAILED"),
    "a file elsewhere": ({"a.ovf": OVF.format(href="../../etc/passwd").encode()}, "IMPORT_ERROR_GENERIC"),
    "a file that is not there": ({"a.ovf": OVF.format(href="none.vmdk").encode()}, "IMPORT_ERROR_GENERIC"),
    "entities": ({"a.ovf": b"<!DOCTYPE a [<!ENTITY b 'c'>]>" + OVF.encode()}, "IMPORT_ERROR_GENERIC"),
    "no descriptor": ({"a.ovf": b""}, "IMPORT_ERROR_GENERIC"),
    "a disk that is a qcow2 overlay": ({"overlay": b""}, "OPERATION_NOT_ALLOWED"),
}


@pytest.mark.parametrize("wrong", WRONG)
async def test_what_is_wrong_is_told_and_leaves_nothing(bench: Bench, tmp_path: Path, wrong: str) -> None:
    changed, code = WRONG[wrong]
    _, disk = await asyncio.to_thread(vmdk, tmp_path)
    files = {"a.ovf": OVF.format(href="disk.vmdk").encode(), "disk.vmdk": disk}
    if "overlay" in changed:
        files["disk.vmdk"] = await asyncio.to_thread(overlay, tmp_path)
        files["a.mf"] = manifest(files)
    else:
        files = {**files, "a.mf": manifest(files if "disk.vmdk" in changed else {**files, **changed}), **changed}
    path = packed_as(tmp_path, files, ova=True)
    vms = set(bench.store.all(VM))
    with pytest.raises(Failure) as refused:
        await import_appliance(bench.session, path)
    assert refused.value.code == code
    assert (images_of(bench), dict(bench.store.all(VDI)), set(bench.store.all(VM))) == (set(), {}, vms)
    assert [file.name for file in tmp_path.iterdir()] == ["a.ova"]
