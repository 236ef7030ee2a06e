"""Exports: the members and fields that XenServer's have, snapshots while their VM goes on, what is refused."""

from __future__ import annotations

import asyncio
import gzip
import os
from pathlib import Path

import pytest
import xxhash
import zstandard

from app.api import NULL, VDI, VM, Failure, Ref, VMCalls, VMOperation
from app.client.exchange import ExportOptions, Progress, export_vm, plan_export
from app.ops import vm_export
from tests.engine.vm.guests import disks_of, snapshot
from tests.engine.xva.archives import MIB, fill, members, objects, recorded
from tests.support.engine import Bench
from tests.support.qcow2_view import view

ODD = 4 * MIB + 524800


async def two_disks(bench: Bench) -> Ref[VM]:
    """A VM with data in the blocks 0 and 2 of a disk of five blocks, and in the last but one of an odd-sized one."""
    vm = await bench.sample_vm(disks=2, size=ODD, nic=True)
    fill(bench.image(vm), {0: os.urandom(5000), 2 * MIB + 7: b"two"})
    fill(bench.image(vm, "1"), {3 * MIB: os.urandom(MIB)})
    return vm


async def exported(bench: Bench, vm: Ref[VM], folder: Path, options: ExportOptions | None = None) -> bytes:
    """The file that an export makes."""
    path = folder / f"{len(list(folder.iterdir()))}.xva"
    result = await export_vm(bench.session, vm, path, options)
    assert result.verified == (options or ExportOptions()).verify
    assert path.stat().st_mode & 0o777 == 0o600
    assert path.stat().st_size == result.bytes
    assert not list(folder.glob("*.part"))
    return path.read_bytes()


async def test_members_are_those_that_xenserver_writes(bench: Bench, tmp_path: Path) -> None:
    vm = await two_disks(bench)
    found = members(await exported(bench, vm, tmp_path))
    names = list(found)
    assert names[0] == "ova.xml"
    disks = {o["id"]: o["snapshot"] for o in objects(found["ova.xml"]) if o["class"] == "VDI"}
    odd = next(i for i, disk in disks.items() if int(disk["virtual_size"]) == ODD)
    blocks = [name.removeprefix(f"{odd}/") for name in names if name.startswith(f"{odd}/")]
    assert blocks == [n + s for n in ("00000000", "00000003", "00000004") for s in ("", ".xxhash")]
    assert len(found[f"{odd}/00000004"]) == 524800
    for name in names[1::2]:
        assert found[f"{name}.xxhash"].decode() == xxhash.xxh64_hexdigest(found[name]).upper()
    assert [name.partition("/")[0] for name in names[1:]] == sorted(name.partition("/")[0] for name in names[1:])
    for identity, disk in disks.items():
        seen = view(bench.engine.context.files(bench.sr()).image_path(disk["location"]))
        whole = bytearray(seen.size)
        for name in names[1::2]:
            if name.startswith(f"{identity}/"):
                start = int(name[-8:]) * MIB
                whole[start : start + len(found[name])] = found[name]
        assert bytes(whole) == seen.read(0, seen.size)


async def test_every_field_of_theirs_is_in_ours(bench: Bench, tmp_path: Path) -> None:
    vm = await two_disks(bench)
    content = await exported(bench, vm, tmp_path)
    ours = {o["class"]: o["snapshot"] for o in objects(members(content)["ova.xml"])}
    for theirs in objects(members(recorded("vm-plain"))["ova.xml"]):
        mine = ours[theirs["class"]]
        assert list(mine) == list(theirs["snapshot"]) or set(mine) == set(theirs["snapshot"])
        for name, value in theirs["snapshot"].items():
            assert type(mine[name]) is type(value), (theirs["class"], name)
    assert content[:100] == recorded("vm-plain")[:100]
    assert content[100:124] == recorded("vm-plain")[100:124]
    assert content[148:512].strip(b"\0")[7:] == b""
    assert content.endswith(bytes(1024))


async def test_a_snapshot_leaves_as_a_template_without_its_past(bench: Bench, tmp_path: Path) -> None:
    vm = await two_disks(bench)
    snap = await snapshot(bench, vm, "golden")
    await bench.session.VM.lock_snapshot(snap, "kept", "me", bench.engine.context.now().replace(year=2100))
    found = {o["class"]: o["snapshot"] for o in objects(members(await exported(bench, snap, tmp_path))["ova.xml"])}
    record = found["VM"]
    assert (record["name_label"], record["is_a_template"], record["is_a_snapshot"]) == ("golden", True, False)
    assert (record["snapshot_of"], record["parent"], record["snapshots"]) == (NULL, NULL, [])
    assert (record["power_state"], record["blocked_operations"]) == ("Halted", {})
    assert not any(key.startswith("stillframe.") for key in record["other_config"])


@pytest.mark.parametrize("compression", ["gzip", "zstd"])
async def test_the_whole_stream_is_compressed(bench: Bench, tmp_path: Path, compression: str) -> None:
    vm = await two_disks(bench)
    plain = members(await exported(bench, vm, tmp_path))
    packed = await exported(bench, vm, tmp_path, ExportOptions(compression=compression))  # type: ignore[arg-type]
    if compression == "gzip":
        content = gzip.decompress(packed)
    else:
        content = zstandard.ZstdDecompressor().stream_reader(packed).read()
    found = members(content)
    assert list(found) == list(plain)
    assert all(found[name] == plain[name] for name in found if name != "ova.xml")


async def test_an_export_is_not_disturbed_by_two_more_snapshots(
    bench: Bench, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(vm_export, "BLOCKS_AT_ONCE", 1)  # so that it cannot be through before the snapshots
    vm = await two_disks(bench)
    snap = await snapshot(bench, vm)
    before = members(await exported(bench, snap, tmp_path))
    async with bench.session.download("/export", {"ref": snap}) as download:
        received = [bytes(await anext(download.chunks))]
        fill(bench.image(vm), {0: b"later"})
        for name in ("second", "third"):
            await snapshot(bench, vm, name)
        with pytest.raises(Failure, match="OTHER_OPERATION_IN_PROGRESS"):
            await bench.session.VM.assert_operation_valid(snap, VMOperation.destroy)
        received += [bytes(chunk) async for chunk in download.chunks]
    after = members(b"".join(received))
    assert all(after[name] == before[name] for name in before if name != "ova.xml")
    assert list(after) == list(before)
    assert bench.vm(snap).current_operations == {}


async def test_a_running_vm_is_refused_and_nothing_is_left(bench: Bench, tmp_path: Path) -> None:
    vm = await two_disks(bench)
    await bench.session.VM.start(vm)
    with pytest.raises(Failure) as refused:
        await export_vm(bench.session, vm, tmp_path / "a.xva")
    assert refused.value.description() == ["VM_BAD_POWER_STATE", vm, "halted, suspended", "running"]
    assert list(tmp_path.iterdir()) == []
    await bench.session.VM.hard_shutdown(vm)


async def test_cancelling_leaves_nothing(bench: Bench, tmp_path: Path) -> None:
    vm = await two_disks(bench)
    seen = asyncio.Event()
    work = asyncio.ensure_future(export_vm(bench.session, vm, tmp_path / "a.xva", None, lambda _: seen.set()))
    await seen.wait()
    with pytest.raises(FileExistsError, match="another export"):
        await export_vm(bench.session, vm, tmp_path / "a.xva")
    work.cancel()
    with pytest.raises(asyncio.CancelledError):
        await work
    assert list(tmp_path.iterdir()) == []
    assert bench.vm(vm).current_operations == {}
    assert VMOperation.export in bench.vm(vm).allowed_operations


async def test_the_plan_and_the_progress(bench: Bench, tmp_path: Path) -> None:
    vm = await bench.sample_vm("a/b: c", disks=2, size=ODD)
    plan = await plan_export(bench.session, vm)
    assert (plan.file_name, plan.disks, plan.virtual_bytes) == ("a b c.xva", 2, 16 * MIB + ODD)
    assert 0 < plan.data_bytes <= plan.virtual_bytes
    told: list[Progress] = []
    result = await export_vm(bench.session, vm, tmp_path / "x.xva", None, told.append)
    assert [p.stage for p in told if p.done == 0] == ["preparing", "writing", "verifying"]
    assert told[-1].done == told[-1].total == result.bytes
    assert told[-1].seconds_left == 0.0
    with pytest.raises(FileExistsError):
        await export_vm(bench.session, vm, tmp_path / "x.xva")


async def test_metadata_with_and_without_snapshots(bench: Bench, tmp_path: Path) -> None:
    vm = await two_disks(bench)
    snap = await snapshot(bench, vm)
    for with_snapshots in (True, False):
        options = ExportOptions(metadata=True, include_snapshots=with_snapshots)
        found = members(await exported(bench, vm, tmp_path, options))
        assert list(found) == ["ova.xml"]
        described = {o["snapshot"]["uuid"]: o["snapshot"] for o in objects(found["ova.xml"]) if o["class"] == "VM"}
        assert len(described) == 1 + with_snapshots
        if with_snapshots:
            assert described[bench.vm(snap).uuid]["is_a_snapshot"]
            ids = {o["snapshot"]["uuid"]: o["id"] for o in objects(found["ova.xml"])}
            assert described[bench.vm(snap).uuid]["snapshot_of"] == ids[bench.vm(vm).uuid]


@pytest.mark.parametrize(
    ("excluded", "missing"),
    [
        (("vbd",), {"VBD", "VDI", "SR"}),
        (("VIF",), {"VIF", "network"}),
        (("vif", "vbd", "vgpu", "vtpm"), {"VBD", "VDI", "SR", "VIF", "network"}),
        (("VGPU",), set()),
    ],
)
async def test_metadata_without_some_devices(
    bench: Bench, tmp_path: Path, excluded: tuple[str, ...], missing: set[str]
) -> None:
    vm = await two_disks(bench)
    snap = await snapshot(bench, vm)
    options = ExportOptions(metadata=True, include_snapshots=True, excluded_device_types=excluded)
    found = objects(members(await exported(bench, vm, tmp_path, options))["ova.xml"])
    classes = {"VM", "VM_metrics", "VBD", "VDI", "SR", "VIF", "network"}
    assert {o["class"] for o in found} - {"VM_guest_metrics"} == classes - missing
    described = [o["snapshot"] for o in found if o["class"] == "VM"]
    assert {o["uuid"] for o in described} == {bench.vm(vm).uuid, bench.vm(snap).uuid}
    for one in described:
        assert {name for name in ("VBDs", "VIFs") if not one[name]} == {f"{name}s" for name in missing & {"VBD", "VIF"}}


async def test_devices_of_an_unknown_kind_cannot_be_left_out(bench: Bench, tmp_path: Path) -> None:
    vm = await two_disks(bench)
    path = tmp_path / "a.xva"
    for excluded in (("vusb",), ("vbd", ""), ("vbd vif",)):
        with pytest.raises(Failure) as caught:
            await export_vm(bench.session, vm, path, ExportOptions(metadata=True, excluded_device_types=excluded))
        assert (caught.value.code, caught.value.params[0]) == ("INVALID_VALUE", "excluded_device_types")
    assert list(tmp_path.iterdir()) == []
    # As a XenServer: all devices go along with the disks, whatever is said.
    plain = members(await exported(bench, vm, tmp_path, ExportOptions(excluded_device_types=("vusb",))))
    assert {o["class"] for o in objects(plain["ova.xml"])} >= {"VBD", "VDI"}


async def test_a_suspended_vm_goes_with_its_memory_when_asked(bench: Bench, tmp_path: Path) -> None:
    vm = await two_disks(bench)
    await bench.session.VM.start(vm)
    await bench.run(VMCalls.suspend, vm)
    plain = members(await exported(bench, vm, tmp_path))
    whole = members(await exported(bench, vm, tmp_path, ExportOptions(preserve_power_state=True)))
    states = []
    for found in (plain, whole):
        described = objects(found["ova.xml"])
        states.append((described[0]["snapshot"]["power_state"], sum(o["class"] == "VDI" for o in described)))
    assert states == [("Halted", 2), ("Suspended", 3)]
    image = bench.store.get(VDI, bench.vm(vm).suspend_VDI)
    saved = bench.engine.context.files(image.SR).memory_path(image.location).read_bytes()
    memory = next(o for o in objects(whole["ova.xml"]) if o["snapshot"].get("type") == "suspend")
    assert b"".join(c for n, c in whole.items() if n.startswith(memory["id"]) and n[-1] != "h") == saved
    assert len(disks_of(bench, vm)) == 2
