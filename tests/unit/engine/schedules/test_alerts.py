"""Alerts about VMs that their schedule has let down."""

from __future__ import annotations

from app.api import NULL, VM, Message, Ref, VMSSType
from app.engine.schedule_alerts import PROTECTED, SINCE_KEY, UNPROTECTED
from tests.unit.engine.schedules.conftest import World


def alerts(world: World, vm: Ref[VM]) -> list[str]:
    uuid = world.store.get(VM, vm).uuid
    known = [m for m in world.store.all(Message).values() if m.obj_uuid == uuid and m.name.startswith("VMSS_VM")]
    return [m.name for m in sorted(known, key=lambda m: m.timestamp)]


async def test_two_slots_without_a_snapshot_are_an_alert_and_one_ends_it(world: World) -> None:
    vm = await world.bench.sample_vm()
    vmss = await world.protect(vm, type="checkpoint")  # of a halted VM there is none
    for day in (24, 25):
        await world.at(f"2026-11-{day} 00:00")
    assert alerts(world, vm) == []
    await world.at("2026-11-25 00:06")
    assert alerts(world, vm) == [UNPROTECTED]
    assert SINCE_KEY in world.store.get(VM, vm).other_config
    (message,) = (ref for ref, m in world.store.all(Message).items() if m.name == UNPROTECTED)
    await world.session.message.destroy(message)
    await world.at("2026-11-26 12:00")
    assert alerts(world, vm) == []  # dismissed is dismissed
    await world.session.VMSS.set_type(vmss, VMSSType.snapshot)
    await world.at("2026-11-27 00:00")
    await world.at("2026-11-27 00:10")
    assert alerts(world, vm) == [PROTECTED]
    assert SINCE_KEY not in world.store.get(VM, vm).other_config


async def test_nobody_is_alarmed_about_what_is_not_promised(world: World) -> None:
    off, free = await world.bench.sample_vm("off"), await world.bench.sample_vm("free")
    vmss = await world.protect(off, free, type="checkpoint", enabled=False)
    await world.session.VM.set_snapshot_schedule(free, NULL)
    await world.at("2026-11-27 12:00")
    await world.session.VMSS.set_enabled(vmss, True)
    await world.at("2026-11-28 12:00")
    assert alerts(world, off) == alerts(world, free) == []


async def test_an_alert_ends_when_the_vm_leaves_its_schedule(world: World) -> None:
    vm = await world.bench.sample_vm()
    await world.protect(vm, type="checkpoint")
    await world.at("2026-11-24 00:00")
    await world.at("2026-11-25 00:06")
    await world.session.VM.set_snapshot_schedule(vm, NULL)
    await world.at("2026-11-25 00:30")
    assert alerts(world, vm) == [UNPROTECTED, PROTECTED]
