"""VM.checkpoint and going back to it with real guests: memory, disks and serial line are of one instant."""

from __future__ import annotations

import asyncio

import pytest

from app.api import NULL, VDI, VM, Failure, Ref, Task, TaskStatus, VDIType, VMCalls, VMPowerState
from app.client import wait_for
from tests.engine.vm.guests import (
    SMALL,
    assert_tidy,
    contents,
    counter,
    in_state,
    messages,
    pictured,
    some_ticks,
    tick,
)
from tests.support.engine import Bench
from tests.support.guest_disk import read_counter

MIB = 1 << 20
LARGE = 256 * MIB
"""Memory that is written in the background."""
LISTENING = 8
"""Ticks that may pass until we hear a line."""


async def checkpoint(bench: Bench, vm: Ref[VM], name: str = "with memory") -> Ref[VM]:
    """Take a checkpoint as a task, as clients do."""
    return Ref(await bench.run(VMCalls.checkpoint, vm, name))


async def sample(bench: Bench, *, disks: int = 1, memory: int = 0) -> Ref[VM]:
    """A Halted VM; with `memory`, of that size."""
    vm = await bench.sample_vm(disks=disks, size=SMALL)
    if memory:
        await bench.session.VM.set_memory_limits(vm, memory, memory, memory, memory)
    return vm


async def back_and_on(bench: Bench, vm: Ref[VM], snap: Ref[VM]) -> None:
    """Go back and resume: the guest goes on with the tick after the last one that its disks had seen."""
    frozen = counter(bench, snap)
    boot = read_counter(bench.image(snap)).boot
    await bench.run(VMCalls.revert, snap)
    assert bench.vm(vm).power_state is VMPowerState.Suspended
    assert bench.vm(vm).suspend_VDI not in (NULL, bench.vm(snap).suspend_VDI)
    await bench.session.VM.resume(vm, True)
    listening = asyncio.ensure_future(tick(bench, vm))
    await asyncio.sleep(0)
    await bench.session.VM.unpause(vm)
    first = await listening
    # The first whole line we hear may be a later one, and the abandoned time was further on than that.
    assert frozen <= first.counter <= frozen + LISTENING
    assert first.since_boot == first.counter
    assert (await some_ticks(bench, vm)).counter > first.counter
    assert read_counter(bench.image(vm)).boot == boot


def assert_figures(bench: Bench, snap: Ref[VM], method: str, compression: str) -> None:
    noted = bench.vm(snap).other_config
    assert (noted["stillframe.memory-method"], noted["stillframe.compression"]) == (method, compression)
    image = bench.store.get(VDI, bench.vm(snap).suspend_VDI)
    assert int(noted["stillframe.memory-bytes"]) == image.virtual_size > 0
    assert image.type is VDIType.suspend
    if method != "copied":
        assert float(noted["stillframe.duration-ms"]) > 0
        assert float(noted["stillframe.stall-ms"]) >= 0


@pytest.mark.parametrize(("memory", "method", "compression"), [(0, "stop", "none"), (LARGE, "background", "zstd")])
async def test_the_guest_goes_on_where_it_was(bench: Bench, memory: int, method: str, compression: str) -> None:
    vm = await sample(bench, disks=2, memory=memory)
    await in_state(bench, vm, VMPowerState.Running)
    before = await some_ticks(bench, vm)
    snap = await checkpoint(bench, vm)
    record = bench.vm(snap)
    assert bench.vm(vm).power_state is VMPowerState.Running
    assert (record.power_state, record.is_a_snapshot, record.snapshot_of) == (VMPowerState.Suspended, True, vm)
    assert record.snapshot_info["power-state-at-snapshot"] == "Running"
    assert bench.vm(vm).parent == snap
    assert "VM_CHECKPOINTED" in messages(bench, vm)
    assert_figures(bench, snap, method, compression)
    assert counter(bench, snap, "0") - counter(bench, snap, "1") in (0, 1)
    far = await some_ticks(bench, vm, 20)
    assert before.counter <= counter(bench, snap) < far.counter
    await back_and_on(bench, vm, snap)
    await pictured(bench, snap)


async def test_it_can_be_gone_back_to_again_and_again(bench: Bench) -> None:
    vm = await sample(bench, disks=2)
    await in_state(bench, vm, VMPowerState.Running)
    snap = await checkpoint(bench, vm)
    frozen = contents(bench, snap, ["0", "1"])
    for _ in range(3):
        await back_and_on(bench, vm, snap)
        await some_ticks(bench, vm, 20)
        assert contents(bench, snap, ["0", "1"]) == frozen
    await bench.run(VMCalls.revert, snap)
    assert_tidy(bench)
    await bench.session.VM.hard_shutdown(vm)
    assert (bench.vm(vm).power_state, bench.vm(vm).suspend_VDI) == (VMPowerState.Halted, NULL)
    assert bench.vm(snap).power_state is VMPowerState.Suspended
    assert_tidy(bench)


async def test_several_in_a_chain_each_keep_their_instant(bench: Bench) -> None:
    vm = await sample(bench, memory=LARGE)
    await in_state(bench, vm, VMPowerState.Running)
    taken = []
    for number in range(3):
        await some_ticks(bench, vm, 5)
        taken.append(await checkpoint(bench, vm, f"number {number}"))
    assert [bench.vm(snap).parent for snap in taken] == [NULL, *taken[:2]]
    for snap in (taken[1], taken[0], taken[2]):
        await back_and_on(bench, vm, snap)


async def test_a_paused_vm_is_kept_with_its_memory_and_stays_paused(bench: Bench) -> None:
    vm = await sample(bench, disks=2, memory=LARGE)
    await in_state(bench, vm, VMPowerState.Paused)
    snaps = [await checkpoint(bench, vm, name) for name in ("one", "two")]
    assert bench.vm(vm).power_state is VMPowerState.Paused
    assert bench.engine.context.driver.state(bench.vm(vm).uuid) == "paused"
    await bench.session.VM.unpause(vm)
    await some_ticks(bench, vm, 20)
    for snap in snaps:
        assert_figures(bench, snap, "stop", "none")
        await back_and_on(bench, vm, snap)


async def test_a_suspended_vm_shares_its_memory(bench: Bench) -> None:
    vm = await sample(bench, disks=2)
    await in_state(bench, vm, VMPowerState.Suspended)
    stopped = counter(bench, vm)
    snap = await checkpoint(bench, vm)
    assert bench.vm(vm).power_state is VMPowerState.Suspended
    assert bench.vm(snap).suspend_VDI not in (NULL, bench.vm(vm).suspend_VDI)
    assert_figures(bench, snap, "copied", "none")
    assert counter(bench, snap) == stopped
    await bench.session.VM.resume(vm)
    assert (await some_ticks(bench, vm, 20)).counter > stopped + 20
    await back_and_on(bench, vm, snap)


async def test_a_halted_vm_has_no_memory_to_keep(bench: Bench) -> None:
    vm = await sample(bench)
    with pytest.raises(Failure) as caught:
        await checkpoint(bench, vm)
    expected = ["VM_BAD_POWER_STATE", vm, "paused, suspended, running", "halted"]
    assert caught.value.description() == expected


async def test_disks_and_memory_go_back_from_every_state(bench: Bench) -> None:
    vm = await sample(bench)
    await in_state(bench, vm, VMPowerState.Running)
    snap = await checkpoint(bench, vm)
    for end in (bench.session.VM.hard_shutdown, bench.session.VM.suspend, bench.session.VM.pause):
        await some_ticks(bench, vm, 20)
        await end(vm)
        await back_and_on(bench, vm, snap)


async def test_a_checkpoint_without_its_memory_is_a_snapshot(bench: Bench) -> None:
    vm = await sample(bench)
    await in_state(bench, vm, VMPowerState.Running)
    snap = await checkpoint(bench, vm)
    await bench.session.VM.hard_shutdown(snap)
    assert (bench.vm(snap).power_state, bench.vm(snap).suspend_VDI) == (VMPowerState.Halted, NULL)
    assert_tidy(bench)
    await bench.run(VMCalls.revert, snap)
    assert bench.vm(vm).power_state is VMPowerState.Halted


async def test_a_clone_of_a_checkpoint_has_no_memory(bench: Bench) -> None:
    vm = await sample(bench)
    await in_state(bench, vm, VMPowerState.Running)
    snap = await checkpoint(bench, vm)
    clone = await bench.session.VM.clone(snap, "template")
    record = bench.vm(clone)
    assert (record.power_state, record.suspend_VDI, record.is_a_template) == (VMPowerState.Halted, NULL, True)
    assert not [key for key in record.other_config if key.startswith("stillframe.")]


async def test_a_destroyed_vm_comes_back_with_its_memory(bench: Bench) -> None:
    vm = await sample(bench)
    await in_state(bench, vm, VMPowerState.Running)
    snap = await checkpoint(bench, vm)
    await some_ticks(bench, vm, 20)
    await bench.session.VM.hard_shutdown(vm)
    await bench.session.VM.destroy(vm)
    await bench.run(VMCalls.revert, snap)
    await back_and_on(bench, bench.vm(snap).snapshot_of, snap)


async def test_uninstalling_takes_the_memory_along(bench: Bench) -> None:
    vm = await sample(bench)
    await in_state(bench, vm, VMPowerState.Running)
    snap = await checkpoint(bench, vm)
    await checkpoint(bench, vm)
    await bench.run(VMCalls.uninstall, snap, False)
    await some_ticks(bench, vm)
    assert_tidy(bench)
    await bench.run(VMCalls.uninstall, vm, True)
    assert bench.store.all(VDI) == {}


async def test_a_cancelled_checkpoint_leaves_the_vm_running(bench: Bench) -> None:
    vm = await sample(bench, disks=2, memory=2048 * MIB)
    await in_state(bench, vm, VMPowerState.Running)
    before = await some_ticks(bench, vm)
    task = await bench.session.start(VMCalls.checkpoint, vm, "never")
    while bench.store.get(Task, task).progress < 0.1:  # noqa: ASYNC110
        await asyncio.sleep(0)
    assert _writing(bench)
    await bench.session.task.cancel(task)
    with pytest.raises(Failure) as caught:
        await wait_for(bench.session, bench.cache, task)
    assert caught.value.code == "TASK_CANCELLED"
    assert bench.store.get(Task, task).status is TaskStatus.cancelled
    assert bench.vm(vm).snapshots == set()
    assert bench.vm(vm).power_state is VMPowerState.Running
    assert (await some_ticks(bench, vm)).since_boot > before.since_boot
    assert_tidy(bench)


def _writing(bench: Bench) -> bool:
    folder = bench.engine.context.files(bench.sr()).root / "mem"
    return any(path.suffix == ".part" for path in folder.iterdir())


@pytest.mark.parametrize("message", ["checkpoint", "suspend"])
async def test_a_hard_shutdown_does_not_wait_for_memory(bench: Bench, message: str) -> None:
    vm = await sample(bench, memory=LARGE)
    await in_state(bench, vm, VMPowerState.Running)
    if message == "checkpoint":
        task = await bench.session.start(VMCalls.checkpoint, vm, "with memory")
    else:
        task = await bench.session.start(VMCalls.suspend, vm)
    while not bench.vm(vm).current_operations:  # noqa: ASYNC110
        await asyncio.sleep(0)
    await bench.session.VM.hard_shutdown(vm)
    while bench.store.get(Task, Ref(task)).status is TaskStatus.pending:  # noqa: ASYNC110
        await asyncio.sleep(0.01)
    assert bench.engine.context.driver.state(bench.vm(vm).uuid) == "absent"
    assert (bench.vm(vm).power_state, bench.vm(vm).suspend_VDI) == (VMPowerState.Halted, NULL)
    assert_tidy(bench)
    await bench.session.VM.start(vm)
    await some_ticks(bench, vm)
