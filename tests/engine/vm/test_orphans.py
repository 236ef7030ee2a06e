"""Disks without a snapshot: they stay when only the record goes, can be found, used again, and deleted."""

from __future__ import annotations

import pytest

from app.api import NULL, VBD, VDI, VM, Failure, Ref, VDICalls, VMCalls, VMPowerState
from tests.engine.vm.guests import (
    DATA,
    SMALL,
    assert_tidy,
    content,
    contents,
    disks_of,
    go_on,
    images_of,
    in_state,
    snapshot,
    some_ticks,
)
from tests.support.engine import Bench
from tests.support.guest_disk import read_bytes, write_bytes


def orphans(bench: Bench) -> set[Ref[VDI]]:
    """What a client finds: managed disks that nothing holds."""
    return {ref for ref, vdi in bench.store.all(VDI).items() if vdi.managed and not vdi.VBDs and bench.sr() == vdi.SR}


def image(bench: Bench, vdi: Ref[VDI]) -> str:
    record = bench.store.get(VDI, vdi)
    return str(bench.engine.context.files(record.SR).image_path(record.location))


def reads(bench: Bench, vdi: Ref[VDI], expected: bytes) -> bool:
    return read_bytes(image(bench, vdi), DATA, len(expected)) == expected


async def attach(bench: Bench, vm: Ref[VM], vdi: Ref[VDI], device: str) -> Ref[VBD]:
    return await bench.session.VBD.create(
        {"VM": vm, "VDI": vdi, "userdevice": device, "type": "Disk", "mode": "RW", "bootable": device == "0"}
    )


@pytest.mark.parametrize("state", [VMPowerState.Halted, VMPowerState.Running])
async def test_a_destroyed_snapshot_leaves_its_disks(bench: Bench, state: VMPowerState) -> None:
    vm = await bench.sample_vm(disks=2, size=SMALL)
    write_bytes(bench.image(vm), DATA, b"kept")
    await in_state(bench, vm, state)
    snap, later = await snapshot(bench, vm, "snap"), await snapshot(bench, vm, "later")
    disks, before = disks_of(bench, snap), contents(bench, snap, ["0", "1"])
    await bench.run(VMCalls.destroy, snap)
    assert (bench.store.find(VM, snap), bench.vm(later).parent) == (None, NULL)
    assert orphans(bench) == set(disks.values())
    for device, vdi in disks.items():
        record = bench.store.get(VDI, vdi)
        assert (record.is_a_snapshot, record.snapshot_of) == (True, disks_of(bench, vm)[device])
        assert "destroy" in record.allowed_operations
        assert content(bench.engine.context.files(record.SR).image_path(record.location)) == before[device]
    assert_tidy(bench)
    for vdi in disks.values():
        await bench.session.VDI.destroy(vdi)
    assert orphans(bench) == set()
    await bench.run(VMCalls.revert, later)
    await go_on(bench, vm)
    await bench.run(VMCalls.uninstall, vm, True)
    assert images_of(bench) == set()


@pytest.mark.parametrize("message", ["clone", "copy"])
async def test_what_was_on_an_orphan_can_be_used_again(bench: Bench, message: str) -> None:
    vm = await bench.sample_vm()
    write_bytes(bench.image(vm), DATA, b"wanted back")
    snap = await snapshot(bench, vm)
    (frozen,) = disks_of(bench, snap).values()
    write_bytes(bench.image(vm), DATA, b"moved on   ")
    await bench.run(VMCalls.destroy, snap)
    with pytest.raises(Failure) as caught:
        await attach(bench, vm, frozen, "3")
    assert caught.value.code == "OPERATION_NOT_ALLOWED"
    if message == "clone":
        made = Ref[VDI](await bench.run(VDICalls.clone, frozen))
    else:
        made = Ref[VDI](await bench.run(VDICalls.copy, frozen, bench.sr()))
    record = bench.store.get(VDI, made)
    assert (record.is_a_snapshot, record.snapshot_of, record.managed) == (False, NULL, True)
    assert orphans(bench) == {frozen, made}
    (old,) = bench.vm(vm).VBDs
    await bench.session.VBD.destroy(old)
    await attach(bench, vm, made, "0")
    await go_on(bench, vm)
    await bench.session.VM.hard_shutdown(vm)
    assert reads(bench, made, b"wanted back") and reads(bench, frozen, b"wanted back")
    await bench.session.VDI.destroy(frozen)
    assert reads(bench, made, b"wanted back")
    assert_tidy(bench)


@pytest.mark.parametrize("kind", ["halted VM", "free disk", "template"])
async def test_a_cloned_disk_and_its_source_go_separate_ways(bench: Bench, kind: str) -> None:
    vm = await bench.sample_vm()
    (vdi,) = disks_of(bench, vm).values()
    write_bytes(bench.image(vm), DATA, b"shared")
    if kind == "free disk":
        (vbd,) = bench.vm(vm).VBDs
        await bench.session.VBD.destroy(vbd)
    elif kind == "template":
        await bench.session.VM.set_is_a_template(vm, True)
    made = Ref[VDI](await bench.run(VDICalls.clone, vdi))
    assert reads(bench, made, b"shared") and reads(bench, vdi, b"shared")
    if kind == "template":
        await bench.session.VM.set_is_a_template(vm, False)
    write_bytes(image(bench, vdi), DATA, b"source")
    write_bytes(image(bench, made), DATA, b"clone ")
    assert reads(bench, made, b"clone ") and reads(bench, vdi, b"source")
    assert_tidy(bench)
    for disk in (vdi, made):
        await bench.session.VDI.destroy(disk)
    assert images_of(bench) == set()


async def test_a_disk_in_use_is_neither_cloned_nor_copied_nor_destroyed(bench: Bench) -> None:
    vm = await bench.sample_vm()
    (vdi,) = disks_of(bench, vm).values()
    await in_state(bench, vm, VMPowerState.Running)
    before = images_of(bench)
    for work in (bench.session.VDI.clone(vdi), bench.session.VDI.copy(vdi, bench.sr()), bench.session.VDI.destroy(vdi)):
        with pytest.raises(Failure) as caught:
            await work
        assert caught.value.description()[:2] == ["VDI_IN_USE", vdi]
    assert images_of(bench) == before
    await some_ticks(bench, vm)


async def test_no_guest_writes_where_clones_read(bench: Bench) -> None:
    """A template's disk that outlives the template is the clones' base; a VM that gets it must not write there."""
    template = await bench.sample_vm()
    write_bytes(bench.image(template), DATA, b"template")
    await bench.session.VM.set_is_a_template(template, True)
    clone = await bench.session.VM.clone(template, "clone")
    (vdi,) = disks_of(bench, template).values()
    await bench.run(VMCalls.destroy, template)
    before = content(bench.image(clone))
    vm = await bench.sample_vm("other")
    (old,) = bench.vm(vm).VBDs
    await bench.session.VBD.destroy(old)
    await attach(bench, vm, vdi, "0")
    await go_on(bench, vm)
    assert content(bench.image(clone)) == before
    await bench.session.VM.hard_shutdown(vm)
    assert content(bench.image(vm)) != before
    assert_tidy(bench)
