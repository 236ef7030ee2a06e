"""CD drives: kept over snapshots and reverts, and changed while the guest runs."""

from __future__ import annotations

from pathlib import Path

import pytest

from app.api import NULL, SR, VBD, VDI, VM, Failure, Ref, VMCalls, VMPowerState
from app.config import load
from tests.engine.vm.guests import assert_tidy, in_state, snapshot, some_ticks
from tests.support.engine import Bench


async def iso(bench: Bench, folder: Path, name: str) -> Ref[VDI]:
    """An ISO in the library."""
    (load(folder).iso_dir / name).write_bytes(name.encode().ljust(64 * 1024, b"\0"))
    library = next(ref for ref, sr in bench.store.all(SR).items() if sr.type == "iso")
    await bench.session.SR.scan(library)
    return next(ref for ref, vdi in bench.store.all(VDI).items() if vdi.location == name)


async def drive(bench: Bench, vm: Ref[VM], device: str, medium: Ref[VDI] = NULL) -> Ref[VBD]:
    return await bench.session.VBD.create(
        {"VM": vm, "VDI": medium, "userdevice": device, "type": "CD", "mode": "RO", "empty": medium == NULL}
    )


def media(bench: Bench, vm: str) -> dict[str, str]:
    """What is in each drive by the records, by device number."""
    vbds = [bench.store.get(VBD, vbd) for vbd in bench.vm(vm).VBDs]
    return {vbd.userdevice: vbd.VDI for vbd in vbds if vbd.type.value == "CD"}


async def inserted(bench: Bench, vm: str) -> dict[str, str]:
    """What is in each drive by QEMU: device to file name."""
    active = await bench.engine.context.driver.active_disks(bench.vm(vm).uuid)
    return {device.removeprefix("cd"): path.name for device, path in active.items() if device.startswith("cd")}


async def test_drives_are_kept_over_a_revert(bench: Bench, folder: Path) -> None:
    first, second = await iso(bench, folder, "first.iso"), await iso(bench, folder, "second.iso")
    vm = await bench.sample_vm()
    with_medium = await drive(bench, vm, "3", first)
    await drive(bench, vm, "4")
    await in_state(bench, vm, VMPowerState.Running)
    assert await inserted(bench, vm) == {"3": "first.iso"}
    snap = await snapshot(bench, vm)
    assert media(bench, snap) == media(bench, vm) == {"3": first, "4": NULL}
    await bench.session.VBD.eject(with_medium)
    await bench.session.VBD.insert(with_medium, second)
    assert await inserted(bench, vm) == {"3": "second.iso"}
    await bench.run(VMCalls.revert, snap)
    assert media(bench, vm) == {"3": first, "4": NULL}
    await bench.session.VM.start(vm)
    await some_ticks(bench, vm)
    assert await inserted(bench, vm) == {"3": "first.iso"}
    assert_tidy(bench)


@pytest.mark.parametrize("state", [VMPowerState.Halted, VMPowerState.Running, VMPowerState.Paused])
async def test_media_change_in_any_state_but_suspended(bench: Bench, folder: Path, state: VMPowerState) -> None:
    medium = await iso(bench, folder, "disc.iso")
    vm = await bench.sample_vm()
    cd = await drive(bench, vm, "3")
    await in_state(bench, vm, state)
    await bench.session.VBD.insert(cd, medium)
    assert (media(bench, vm), bench.store.get(VBD, cd).empty) == ({"3": medium}, False)
    if state is not VMPowerState.Halted:
        assert await inserted(bench, vm) == {"3": "disc.iso"}
    with pytest.raises(Failure) as caught:
        await bench.session.VBD.insert(cd, medium)
    assert caught.value.code == "VBD_NOT_EMPTY"
    await bench.session.VBD.eject(cd)
    assert (media(bench, vm), bench.store.get(VBD, cd).empty) == ({"3": NULL}, True)
    if state is not VMPowerState.Halted:
        assert await inserted(bench, vm) == {}
    with pytest.raises(Failure) as caught:
        await bench.session.VBD.eject(cd)
    assert caught.value.code == "VBD_IS_EMPTY"


async def test_a_suspended_vm_keeps_its_media(bench: Bench, folder: Path) -> None:
    medium = await iso(bench, folder, "disc.iso")
    vm = await bench.sample_vm()
    cd = await drive(bench, vm, "3", medium)
    await in_state(bench, vm, VMPowerState.Suspended)
    with pytest.raises(Failure) as caught:
        await bench.session.VBD.eject(cd)
    assert caught.value.code == "VM_BAD_POWER_STATE"
    await bench.session.VM.resume(vm)
    await some_ticks(bench, vm)
    assert await inserted(bench, vm) == {"3": "disc.iso"}


async def test_an_iso_that_is_gone_is_named(bench: Bench, folder: Path) -> None:
    medium = await iso(bench, folder, "gone.iso")
    vm = await bench.sample_vm()
    cd = await drive(bench, vm, "3", medium)
    (load(folder).iso_dir / "gone.iso").unlink()
    with pytest.raises(Failure) as caught:
        await bench.session.VM.start(vm)
    assert caught.value.code == "SR_BACKEND_FAILURE_46"
    assert "gone.iso" in str(caught.value)
    await bench.session.SR.scan(bench.store.get(VDI, medium).SR)
    assert bench.store.get(VDI, medium).missing
    await bench.session.VBD.eject(cd)
    await bench.session.SR.scan(bench.store.get(VDI, medium).SR)
    assert bench.store.find(VDI, medium) is None
    await bench.session.VM.start(vm)
    await some_ticks(bench, vm)


async def test_disks_and_discs_are_not_mixed_up(bench: Bench, folder: Path) -> None:
    medium = await iso(bench, folder, "disc.iso")
    vm = await bench.sample_vm(disks=2)
    disk = next(v for v in bench.vm(vm).VBDs if bench.store.get(VBD, v).userdevice == "1")
    vdi = bench.store.get(VBD, disk).VDI
    cd = await drive(bench, vm, "3")
    before = bench.vm(vm)
    create = bench.session.VBD.create
    for attempt, code in (
        (bench.session.VBD.insert(cd, vdi), "OPERATION_NOT_ALLOWED"),
        (bench.session.VBD.insert(disk, medium), "VBD_NOT_REMOVABLE_MEDIA"),
        (bench.session.VBD.eject(disk), "VBD_NOT_REMOVABLE_MEDIA"),
        (
            bench.session.VBD.create({"VM": vm, "VDI": medium, "userdevice": "5", "type": "Disk"}),
            "OPERATION_NOT_ALLOWED",
        ),
        (create({"VM": vm, "VDI": vdi, "userdevice": "5", "type": "CD"}), "OPERATION_NOT_ALLOWED"),
        (create({"VM": vm, "VDI": vdi, "userdevice": "5", "type": "Disk"}), "VDI_IN_USE"),
        (create({"VM": vm, "VDI": medium, "userdevice": "1", "type": "CD"}), "DEVICE_ALREADY_EXISTS"),
    ):
        with pytest.raises(Failure) as caught:
            await attempt
        assert caught.value.code == code
    assert bench.vm(vm) == before
