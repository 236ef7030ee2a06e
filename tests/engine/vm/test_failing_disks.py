"""Disks that refuse QEMU's own writes, by its blkdebug driver: the guest waits, nothing is lost, snapshots work."""

from __future__ import annotations

import asyncio
import errno
from typing import Any

import pytest

from app.api import VM, Ref, VMCalls, VMPowerState
from app.hypervisor import argv, disks
from tests.engine.vm.guests import counter, disks_of, messages, reached, snapshot, some_ticks, tick
from tests.faults.world import contents
from tests.support.engine import Bench

ONCE = [
    ("cluster_alloc", errno.ENOSPC),
    ("l2_update", errno.EIO),
    ("write_aio", errno.ENOSPC),
    ("flush_to_disk", errno.EIO),
]
"""Events of QEMU's block layer (qapi/block-core.json, BlkdebugEvent) that a guest's first writes to an overlay meet."""


class Faults:
    """What the images that QEMU opens from now on will refuse."""

    def __init__(self) -> None:
        self.rules: list[dict[str, Any]] = []

    def node(self, *args: Any, **more: Any) -> dict[str, Any]:
        """`image_node` with a layer that refuses."""
        made = argv_image_node(*args, **more)
        if self.rules and made["driver"] == "qcow2" and not made["read-only"]:
            made["file"] = {"driver": "blkdebug", "image": made["file"], "inject-error": self.rules}
        return made


argv_image_node = argv.image_node


@pytest.fixture
def faults(monkeypatch: pytest.MonkeyPatch) -> Faults:
    made = Faults()
    for module in (argv, disks):
        monkeypatch.setattr(module, "image_node", made.node)
    return made


async def running(bench: Bench) -> Ref[VM]:
    vm = await bench.sample_vm(disks=2, size=2 << 20)
    await bench.session.VM.start(vm)
    await some_ticks(bench, vm)
    return vm


async def goes_on(bench: Bench, vm: Ref[VM], beyond: int) -> None:
    """Let it go on until it counts: it may stand still once more for each of its disks."""
    ticking = asyncio.ensure_future(tick(bench, vm, beyond=beyond))
    while not ticking.done():
        if bench.vm(vm).power_state is VMPowerState.Paused:
            await bench.session.VM.unpause(vm)
        await asyncio.wait({ticking}, timeout=0.1)
    ticking.result()


async def assert_of_one_instant(bench: Bench, snap: Ref[VM]) -> None:
    """The snapshot shows both disks as they were between two ticks."""
    assert counter(bench, snap, "0") - counter(bench, snap, "1") in (0, 1)


@pytest.mark.parametrize(("event", "code"), ONCE, ids=[event for event, _ in ONCE])
async def test_a_write_to_the_new_overlay_that_fails_once(bench: Bench, faults: Faults, event: str, code: int) -> None:
    vm = await running(bench)
    faults.rules = [{"event": event, "errno": code, "once": True}]
    snap = await snapshot(bench, vm)
    before = contents(bench, snap)
    await reached(bench, vm, VMPowerState.Paused)
    assert "VM_PAUSED_BY_HOST" in messages(bench, vm)
    faults.rules = []
    second = await snapshot(bench, vm, "second")
    await goes_on(bench, vm, beyond=counter(bench, snap))
    await assert_of_one_instant(bench, second)
    assert contents(bench, snap) == before
    await assert_of_one_instant(bench, snap)
    await some_ticks(bench, vm)
    await snapshot(bench, vm, "third")


@pytest.mark.parametrize("code", [errno.ENOSPC, errno.EIO], ids=["full", "broken"])
async def test_an_overlay_that_takes_nothing_is_left_by_a_revert(bench: Bench, faults: Faults, code: int) -> None:
    vm = await running(bench)
    faults.rules = [{"event": "write_aio", "errno": code, "once": False}]
    snap = await snapshot(bench, vm)
    before = contents(bench, snap)
    await reached(bench, vm, VMPowerState.Paused)
    await bench.session.VM.unpause(vm)
    await reached(bench, vm, VMPowerState.Paused)
    faults.rules = []
    await bench.run(VMCalls.revert, snap)
    assert contents(bench, vm) == before
    await bench.session.VM.start(vm)
    await tick(bench, vm, beyond=counter(bench, snap))
    assert contents(bench, snap) == before
    assert set(disks_of(bench, vm)) == {"0", "1"}


async def test_a_guest_that_stands_still_for_its_disk_can_be_snapshotted(bench: Bench, faults: Faults) -> None:
    faults.rules = [{"event": "flush_to_disk", "errno": errno.EIO, "once": True}]
    vm = await bench.sample_vm(disks=2, size=2 << 20)
    await bench.session.VM.start(vm)
    await reached(bench, vm, VMPowerState.Paused)
    faults.rules = []
    snap = await snapshot(bench, vm)
    before = contents(bench, snap)
    await goes_on(bench, vm, beyond=0)
    assert contents(bench, snap) == before
