"""Deleting snapshots and VMs: leaves go, what others build on stays, and nothing is left of a VM that is gone."""

from __future__ import annotations

from pathlib import Path

import pytest

from app.api import NULL, VDI, VM, Failure, Ref, VMCalls, VMPowerState
from tests.engine.vm.guests import (
    DATA,
    SMALL,
    assert_tidy,
    content,
    disks_of,
    images_of,
    in_state,
    pictured,
    processes_of,
    snapshot,
    some_ticks,
    tick,
)
from tests.support.engine import Bench
from tests.support.guest_disk import read_bytes, write_bytes


async def three(bench: Bench, vm: Ref[VM]) -> list[Ref[VM]]:
    """Snapshots one after the other, each with bytes of its own."""
    made = []
    for name in ("root", "middle", "top"):
        write_bytes(bench.image(vm), DATA, name.encode())
        made.append(await snapshot(bench, vm, name))
    write_bytes(bench.image(vm), DATA, b"current")
    return made


async def uninstall(bench: Bench, vm: Ref[VM], with_snapshots: bool = False) -> None:
    await bench.run(VMCalls.uninstall, vm, with_snapshots)


def reads(bench: Bench, vm: str, expected: bytes) -> bool:
    return read_bytes(bench.image(vm), DATA, len(expected)) == expected


async def test_a_middle_snapshot_leaves_a_base_copy(bench: Bench) -> None:
    vm = await bench.sample_vm()
    root, middle, top = await three(bench, vm)
    image = bench.store.get(VDI, disks_of(bench, middle)["0"]).location
    await uninstall(bench, middle)
    assert bench.store.find(VM, middle) is None
    assert image in images_of(bench)
    (base,) = [vdi for vdi in bench.store.all(VDI).values() if vdi.location == image]
    assert (base.name_label, base.managed, base.VBDs) == ("base copy", False, frozenset())
    assert bench.vm(top).parent == root
    assert reads(bench, root, b"root") and reads(bench, top, b"top") and reads(bench, vm, b"current")
    await bench.run(VMCalls.revert, top)
    assert reads(bench, vm, b"top")
    assert_tidy(bench)


async def test_the_root_snapshot_leaves_a_base_copy(bench: Bench) -> None:
    vm = await bench.sample_vm()
    root, middle, top = await three(bench, vm)
    await uninstall(bench, root)
    assert bench.vm(middle).parent == NULL
    assert reads(bench, middle, b"middle") and reads(bench, top, b"top") and reads(bench, vm, b"current")
    await bench.run(VMCalls.revert, middle)
    assert reads(bench, vm, b"middle")
    assert_tidy(bench)


async def test_leaves_free_their_files_and_the_base_copies_below(bench: Bench) -> None:
    vm = await bench.sample_vm()
    root, middle, top = await three(bench, vm)
    await bench.run(VMCalls.revert, root)  # now `top` is a leaf, and so is the VM beside it
    assert len(images_of(bench)) == 4
    await uninstall(bench, middle)
    assert len(images_of(bench)) == 4  # `top` needs it
    await uninstall(bench, top)
    assert len(images_of(bench)) == 2  # the base copy went with it
    assert reads(bench, root, b"root") and reads(bench, vm, b"root")
    await uninstall(bench, root)
    assert len(images_of(bench)) == 2
    assert reads(bench, vm, b"root")
    await uninstall(bench, vm)
    assert images_of(bench) == set()


async def test_deletion_while_the_guest_runs(bench: Bench) -> None:
    vm = await bench.sample_vm(disks=2, size=SMALL)
    await in_state(bench, vm, VMPowerState.Running)
    made = []
    for number in range(3):
        made.append(await snapshot(bench, vm, str(number)))
        await some_ticks(bench, vm)
    for snap in made:
        await uninstall(bench, snap)
    assert bench.vm(vm).snapshots == frozenset()
    assert bench.vm(vm).parent == NULL
    await some_ticks(bench, vm)
    assert_tidy(bench)
    await bench.session.VM.clean_reboot(vm)
    await some_ticks(bench, vm)


async def test_destroy_leaves_the_disks(bench: Bench) -> None:
    vm = await bench.sample_vm()
    (disk,) = disks_of(bench, vm).values()
    await bench.run(VMCalls.destroy, vm)
    assert bench.store.find(VM, vm) is None
    assert bench.store.get(VDI, disk).VBDs == frozenset()
    assert_tidy(bench)
    await bench.session.VDI.destroy(disk)
    assert images_of(bench) == set()


@pytest.mark.parametrize("state", list(VMPowerState))
async def test_uninstall_leaves_nothing(bench: Bench, folder: Path, state: VMPowerState) -> None:
    before = everything(folder)
    objects = {name: set(bench.store.of_class(name)) for name in ("VM", "VDI", "VBD", "VIF", "VM_metrics", "blob")}
    vm = await bench.sample_vm(disks=2, size=SMALL, nic=True)
    await in_state(bench, vm, VMPowerState.Running)
    await pictured(bench, await snapshot(bench, vm, "first"))
    await pictured(bench, await snapshot(bench, vm, "second"))
    if state is VMPowerState.Halted:
        await bench.session.VM.hard_shutdown(vm)
    elif state is VMPowerState.Paused:
        await bench.session.VM.pause(vm)
    elif state is VMPowerState.Suspended:
        await bench.session.VM.suspend(vm)
    await uninstall(bench, vm, True)
    assert {name: set(bench.store.of_class(name)) for name in objects} == objects
    assert processes_of(folder) == []
    assert everything(folder) == before
    assert bench.store.of_class("console") == {}


async def test_snapshots_may_stay_when_their_vm_goes(bench: Bench) -> None:
    vm = await bench.sample_vm()
    root, middle, _top = await three(bench, vm)
    await uninstall(bench, vm)
    assert bench.vm(root).snapshot_of == vm
    assert reads(bench, middle, b"middle")
    clone = await bench.session.VM.clone(middle, "from the snapshot")
    await bench.session.VM.provision(clone)
    await bench.session.VM.start(clone)
    await some_ticks(bench, clone)
    await bench.session.VM.hard_shutdown(clone)
    assert reads(bench, clone, b"middle")
    assert_tidy(bench)


async def test_default_templates_stay(bench: Bench) -> None:
    template = await bench.session.by_name(VM, "Sample guest")
    for message in (VMCalls.destroy, VMCalls.uninstall):
        with pytest.raises(Failure) as caught:
            await bench.run(message, template)
        assert caught.value.code == "VM_CANNOT_DELETE_DEFAULT_TEMPLATE"


# Clones


@pytest.mark.parametrize("source", ["snapshot", "template", "halted VM"])
async def test_a_clone_has_a_content_of_its_own(bench: Bench, source: str) -> None:
    vm = await bench.sample_vm(disks=2, size=SMALL)
    for device in ("0", "1"):
        write_bytes(bench.image(vm, device), DATA, b"shared")
    origin = await snapshot(bench, vm) if source == "snapshot" else vm
    if source == "template":
        await bench.session.VM.set_is_a_template(vm, True)
    before = {device: content(bench.image(origin, device)) for device in ("0", "1")}
    clones = [Ref[VM](await bench.run(VMCalls.clone, origin, name)) for name in ("first", "second")]
    for clone in clones:
        record = bench.vm(clone)
        assert record.is_a_template == (source != "halted VM")
        assert (record.is_a_snapshot, record.parent, record.snapshot_of) == (False, NULL, NULL)
        if record.is_a_template:
            await bench.session.VM.provision(clone)
        assert {device: content(bench.image(clone, device)) for device in ("0", "1")} == before
    write_bytes(bench.image(clones[0]), DATA, b"first")
    await bench.session.VM.start(clones[0])
    await some_ticks(bench, clones[0])
    await bench.session.VM.hard_shutdown(clones[0])
    assert {device: content(bench.image(clones[1], device)) for device in ("0", "1")} == before
    assert {device: content(bench.image(origin, device)) for device in ("0", "1")} == before
    if source == "halted VM":
        write_bytes(bench.image(vm), DATA, b"source")
        assert reads(bench, clones[0], b"first") and reads(bench, clones[1], b"shared")
    await uninstall(bench, clones[0])
    await uninstall(bench, clones[1])
    assert {device: content(bench.image(origin, device)) for device in ("1",)} == {"1": before["1"]}
    assert_tidy(bench)


async def test_a_template_becomes_a_vm_again_without_touching_its_clones(bench: Bench) -> None:
    vm = await bench.sample_vm()
    write_bytes(bench.image(vm), DATA, b"template")
    await bench.session.VM.set_is_a_template(vm, True)
    clone = await bench.session.VM.clone(vm, "clone")
    await bench.session.VM.set_is_a_template(vm, False)
    write_bytes(bench.image(vm), DATA, b"moved on")
    assert reads(bench, clone, b"template")
    await bench.session.VM.start(vm)
    await some_ticks(bench, vm)
    assert reads(bench, clone, b"template")
    assert_tidy(bench)


async def test_a_clone_may_run_beside_its_source(bench: Bench) -> None:
    vm = await bench.sample_vm()
    clone = await bench.session.VM.clone(vm, "clone")
    await bench.session.VM.start(vm)
    first = await some_ticks(bench, vm)
    await bench.session.VM.start(clone)
    second = await tick(bench, clone)
    assert second.counter < (await tick(bench, vm, beyond=first.counter)).counter


def everything(folder: Path) -> set[str]:
    """The files and folders below the data folder, the database, logs and findings left out."""
    found = {str(path.relative_to(folder)) for path in folder.rglob("*")}
    return {
        name for name in found if not name.startswith(("stillframe.db", "logs", "hypervisor.json")) and name != "vm"
    }
