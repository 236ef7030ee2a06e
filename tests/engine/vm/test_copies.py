"""VM.copy with real guests: disks of its own, the source untouched, and new VMs from snapshots that boot."""

from __future__ import annotations

import asyncio
import os
from pathlib import Path

import pytest

from app.api import NULL, VDI, VIF, VM, Ref, SRCalls, VMCalls, VMPowerState
from tests.engine.vm.guests import (
    DATA,
    SMALL,
    assert_tidy,
    content,
    contents,
    counter,
    disks_of,
    go_on,
    images_of,
    in_state,
    snapshot,
    some_ticks,
)
from tests.support.engine import Bench
from tests.support.guest_disk import read_bytes, write_bytes


def assert_independent(bench: Bench, vm: str) -> None:
    """No disk of the VM builds on another's image."""
    for device, vdi in disks_of(bench, vm).items():
        record = bench.store.get(VDI, vdi)
        assert bench.engine.context.files(record.SR).parent(bench.image(vm, device).stem) is None
        assert "vhd-parent" not in record.sm_config
        assert (record.is_a_snapshot, record.snapshot_of, record.current_operations) == (False, NULL, {})


@pytest.mark.parametrize("source", ["snapshot", "template", "halted VM"])
async def test_a_copy_shares_nothing_with_its_source(bench: Bench, source: str) -> None:
    vm = await bench.sample_vm(disks=2, size=SMALL, nic=True)
    for device in ("0", "1"):
        write_bytes(bench.image(vm, device), DATA, f"disk {device}".encode())
    origin = await snapshot(bench, vm) if source == "snapshot" else vm
    if source == "template":
        await bench.session.VM.set_is_a_template(vm, True)
    before, images = contents(bench, origin, ["0", "1"]), images_of(bench)

    made = Ref[VM](await bench.run(VMCalls.copy, origin, "copy", NULL))

    record = bench.vm(made)
    assert record.is_a_template == (source != "halted VM")
    assert (record.is_a_snapshot, record.parent, record.snapshot_of) == (False, NULL, NULL)
    assert (record.name_label, record.power_state) == ("copy", VMPowerState.Halted)
    assert not any(key.startswith("stillframe.") for key in record.other_config)
    macs = [bench.store.get(VIF, vif).MAC for ref in (vm, made) for vif in bench.vm(ref).VIFs]
    assert len(macs) == len(set(macs)) == 2
    assert contents(bench, made, ["0", "1"]) == before
    assert len(images_of(bench) - images) == 2
    assert_independent(bench, made)
    assert_tidy(bench)

    if record.is_a_template:
        await bench.session.VM.provision(made)
    write_bytes(bench.image(made), DATA, b"changed")
    await bench.session.VM.start(made)
    await some_ticks(bench, made)
    await bench.session.VM.hard_shutdown(made)
    assert contents(bench, origin, ["0", "1"]) == before
    await bench.run(VMCalls.uninstall, origin, False)
    assert read_bytes(bench.image(made), DATA, 7) == b"changed"
    assert_tidy(bench)


@pytest.mark.parametrize("message", ["clone", "copy"])
async def test_a_new_vm_from_a_snapshot_of_a_running_guest(bench: Bench, message: str) -> None:
    """The fast and the full way: its guest goes on from the frozen bytes, and the first one is not disturbed."""
    vm = await bench.sample_vm(disks=2, size=SMALL)
    await in_state(bench, vm, VMPowerState.Running)
    snap = await snapshot(bench, vm)
    frozen, before = counter(bench, snap), contents(bench, snap, ["0", "1"])
    await some_ticks(bench, vm)
    if message == "clone":
        made = Ref[VM](await bench.run(VMCalls.clone, snap, "new"))
    else:
        made = Ref[VM](await bench.run(VMCalls.copy, snap, "new", NULL))
    assert contents(bench, made, ["0", "1"]) == before
    await bench.session.VM.provision(made)
    assert not bench.vm(made).is_a_template
    ticked = await go_on(bench, made)
    assert frozen < ticked.counter
    assert ticked.since_boot <= ticked.counter - frozen
    await some_ticks(bench, vm)
    assert contents(bench, snap, ["0", "1"]) == before


async def test_a_copy_in_another_repository(bench: Bench, folder: Path) -> None:
    vm = await bench.sample_vm(disks=2, size=SMALL)
    write_bytes(bench.image(vm), DATA, b"moved")
    snap = await snapshot(bench, vm)
    other = bench.second_sr(folder)
    made = Ref[VM](await bench.run(VMCalls.copy, snap, "copy", other))
    assert {bench.store.get(VDI, vdi).SR for vdi in disks_of(bench, made).values()} == {other}
    assert content(bench.image(made)) == content(bench.image(snap))
    await bench.session.VM.provision(made)
    await go_on(bench, made)
    await bench.session.VM.hard_shutdown(made)
    assert counter(bench, made) > 0
    await bench.run(VMCalls.uninstall, made, False)
    assert bench.engine.context.files(other).image_ids() == []


async def test_a_copy_of_a_template_without_disks_makes_them_when_it_becomes_a_vm(bench: Bench) -> None:
    template = await bench.session.by_name(VM, "Sample guest")
    made = Ref[VM](await bench.run(VMCalls.copy, template, "copy", NULL))
    assert (bench.vm(made).is_a_template, bench.vm(made).is_default_template) == (True, False)
    assert "default_template" not in bench.vm(made).other_config
    await bench.session.VM.provision(made)
    await go_on(bench, made)
    await bench.session.VM.hard_shutdown(made)
    await bench.run(VMCalls.uninstall, made, False)
    assert images_of(bench) == set()


async def test_a_long_chain_becomes_one_image(bench: Bench) -> None:
    vm = await bench.sample_vm()
    for number in range(12):
        write_bytes(bench.image(vm), DATA + number * 4096, f"step {number:02}".encode())
        await snapshot(bench, vm, f"snap {number}")
    made = Ref[VM](await bench.run(VMCalls.copy, vm, "copy", NULL))
    assert content(bench.image(made)) == content(bench.image(vm))
    assert_independent(bench, made)
    assert read_bytes(bench.image(made), DATA + 7 * 4096, 7) == b"step 07"


async def test_a_snapshot_is_copied_while_its_vm_goes_on(bench: Bench) -> None:
    """Snapshots are taken, deleted and merged around it meanwhile; the copy shows the instant of the snapshot."""
    vm = await bench.sample_vm(disks=2, size=64 << 20)
    for place in range(48):
        write_bytes(bench.image(vm, "1"), place << 20, os.urandom(1 << 20))
    await in_state(bench, vm, VMPowerState.Running)
    older = await snapshot(bench, vm, "older")
    await some_ticks(bench, vm)
    snap = await snapshot(bench, vm, "snap")
    before = contents(bench, snap, ["0", "1"])
    copying = asyncio.ensure_future(bench.run(VMCalls.copy, snap, "copy", NULL))
    while not bench.vm(snap).current_operations:  # noqa: ASYNC110
        await asyncio.sleep(0)
    newer = await snapshot(bench, vm, "newer")
    await bench.run(VMCalls.uninstall, older, False)
    await some_ticks(bench, vm)
    await bench.run(VMCalls.uninstall, newer, False)
    merging = asyncio.ensure_future(bench.run(SRCalls.coalesce, bench.sr()))
    made = Ref[VM](await copying)
    await merging
    assert contents(bench, made, ["0", "1"]) == before
    assert contents(bench, snap, ["0", "1"]) == before
    assert_independent(bench, made)
    await some_ticks(bench, vm)
    await bench.session.VM.provision(made)
    assert (await go_on(bench, made)).counter > counter(bench, snap)
