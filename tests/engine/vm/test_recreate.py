"""VM.revert to a snapshot whose VM was destroyed: the VM comes back, with its identity and its bytes."""

from __future__ import annotations

import asyncio

import msgspec
import pytest

from app.api import NULL, VBD, VDI, VIF, VM, Ref, VMCalls, VMPowerState
from app.store import Transaction
from tests.engine.vm.guests import (
    DATA,
    SMALL,
    assert_tidy,
    contents,
    counter,
    disks_of,
    go_on,
    in_state,
    messages,
    snapshot,
    some_ticks,
)
from tests.support.engine import Bench
from tests.support.guest_disk import read_bytes, write_bytes

DEVICES = ["0", "1"]


async def by_uuid(bench: Bench, uuid: str) -> Ref[VM]:
    return bench.store.by_uuid(VM, uuid)


def macs(bench: Bench, vm: str) -> set[str]:
    return {bench.store.get(VIF, vif).MAC for vif in bench.vm(vm).VIFs}


async def two_snapshots(bench: Bench) -> tuple[Ref[VM], Ref[VM], Ref[VM]]:
    vm = await bench.sample_vm(disks=2, size=SMALL, nic=True)
    await bench.session.VBD.create({"VM": vm, "userdevice": "5", "type": "CD"})
    await bench.session.set(VM, vm, name_description="precious", tags=["kept"], blocked_operations={"pause": "no"})
    made = []
    for name in ("first", "second"):
        for device in DEVICES:
            write_bytes(bench.image(vm, device), DATA, f"{name} {device}".encode())
        made.append(await snapshot(bench, vm, name))
    write_bytes(bench.image(vm), DATA, b"lost with the VM")
    return vm, made[0], made[1]


@pytest.mark.parametrize("removal", ["destroy", "uninstall"])
async def test_the_vm_comes_back_as_it_was(bench: Bench, removal: str) -> None:
    vm, first, second = await two_snapshots(bench)
    before, hardware = bench.vm(vm), macs(bench, vm)
    frozen = {snap: contents(bench, snap, DEVICES) for snap in (first, second)}
    kept = disks_of(bench, vm)
    if removal == "destroy":
        await bench.run(VMCalls.destroy, vm)
    else:
        await bench.run(VMCalls.uninstall, vm, False)
    assert {bench.vm(snap).snapshot_of for snap in (first, second)} == {vm}

    await bench.run(VMCalls.revert, first)

    back = await by_uuid(bench, before.uuid)
    record = bench.vm(back)
    assert record.snapshots == {first, second}
    assert (record.parent, bench.vm(second).parent) == (first, first)
    same = ("name_label", "name_description", "tags", "blocked_operations", "memory_dynamic_max", "other_config")
    assert all(getattr(record, name) == getattr(before, name) for name in same)
    assert (record.is_a_template, record.is_a_snapshot, record.snapshot_of) == (False, False, NULL)
    assert (record.power_state, macs(bench, back)) == (VMPowerState.Halted, hardware)
    assert contents(bench, back, DEVICES) == frozen[first]
    drives = {bench.store.get(VBD, vbd).userdevice: bench.store.get(VBD, vbd) for vbd in record.VBDs}
    assert sorted(drives) == ["0", "1", "5"]
    assert drives["5"].empty
    for device, vdi in disks_of(bench, back).items():
        assert bench.store.get(VDI, vdi).snapshots == {disks_of(bench, snap)[device] for snap in (first, second)}
        assert (kept[device] in bench.store.all(VDI)) == (removal == "destroy")
    assert messages(bench, back)[-1:] == ["VM_SNAPSHOT_REVERTED"]
    assert {snap: contents(bench, snap, DEVICES) for snap in (first, second)} == frozen
    assert_tidy(bench)

    disks = disks_of(bench, back)
    await bench.run(VMCalls.revert, second)
    assert disks_of(bench, back) == disks
    assert contents(bench, back, DEVICES) == frozen[second]
    await bench.session.set(VM, back, blocked_operations={})
    await go_on(bench, back)
    assert_tidy(bench)


async def test_a_guest_boots_from_what_came_back(bench: Bench) -> None:
    vm = await bench.sample_vm()
    await in_state(bench, vm, VMPowerState.Running)
    snap = await snapshot(bench, vm)
    frozen, uuid = counter(bench, snap), bench.vm(vm).uuid
    await some_ticks(bench, vm)
    await bench.run(VMCalls.uninstall, vm, False)
    await bench.run(VMCalls.revert, snap)
    back = await by_uuid(bench, uuid)
    assert counter(bench, back) == frozen
    assert (await go_on(bench, back)).counter > frozen
    assert counter(bench, snap) == frozen


async def test_siblings_bring_back_one_vm(bench: Bench) -> None:
    vm, first, second = await two_snapshots(bench)
    uuid = bench.vm(vm).uuid
    await bench.run(VMCalls.uninstall, vm, False)
    await asyncio.gather(bench.run(VMCalls.revert, first), bench.run(VMCalls.revert, second))
    back = await by_uuid(bench, uuid)
    assert bench.vm(back).snapshots == {first, second}
    assert [ref for ref, record in bench.store.all(VM).items() if record.name_label == "sample"] == [back]
    parent = bench.vm(back).parent
    assert parent in (first, second)
    assert contents(bench, back, DEVICES) == contents(bench, parent, DEVICES)
    assert_tidy(bench)


def change(bench: Bench, vm: str, **fields: object) -> None:
    with bench.store.transaction() as tx:
        assert isinstance(tx, Transaction)
        tx.update(VM, vm, **fields)


async def test_a_uuid_that_is_taken_is_not_given_twice(bench: Bench) -> None:
    vm, first, _second = await two_snapshots(bench)
    uuid = bench.vm(vm).uuid
    await bench.run(VMCalls.uninstall, vm, False)
    other = await bench.sample_vm("other")
    change(bench, other, uuid=uuid)
    await bench.run(VMCalls.revert, first)
    back = bench.vm(first).snapshot_of
    assert back not in (vm, other)
    assert bench.vm(back).uuid != uuid
    assert read_bytes(bench.image(back), DATA, 7) == b"first 0"


@pytest.mark.parametrize("text", ["", "(('name__label' 'from elsewhere'))", "{}"])
async def test_without_its_old_record_the_snapshot_gives_the_fields(bench: Bench, text: str) -> None:
    vm, first, _second = await two_snapshots(bench)
    before = msgspec.structs.asdict(bench.vm(vm))
    await bench.run(VMCalls.uninstall, vm, False)
    change(bench, first, snapshot_metadata=text)
    await bench.run(VMCalls.revert, first)
    back = bench.vm(bench.vm(first).snapshot_of)
    assert (back.name_label, back.name_description) == ("first", before["name_description"])
    assert back.memory_dynamic_max == before["memory_dynamic_max"]
    assert back.uuid not in ("", before["uuid"])
    assert not any(key.startswith("stillframe.") for key in back.other_config)
    assert_tidy(bench)


async def test_snapshots_that_never_had_a_vm_here_do_not_become_siblings(bench: Bench) -> None:
    """Two imported snapshots of unknown VMs: each gets a VM of its own, and its disks know it from then on."""
    vm, first, second = await two_snapshots(bench)
    await bench.run(VMCalls.uninstall, vm, False)
    for snap in (first, second):
        change(bench, snap, snapshot_of=NULL, snapshot_metadata="")
        with bench.store.transaction() as tx:
            for vdi in disks_of(bench, snap).values():
                tx.update(VDI, vdi, snapshot_of=NULL)
    await bench.run(VMCalls.revert, first)
    await bench.run(VMCalls.revert, second)
    backs = [bench.vm(snap).snapshot_of for snap in (first, second)]
    assert len(set(backs)) == 2
    assert [set(bench.vm(back).snapshots) for back in backs] == [{first}, {second}]
    disks = disks_of(bench, backs[0])
    await bench.run(VMCalls.revert, first)
    assert disks_of(bench, backs[0]) == disks
    assert_tidy(bench)
