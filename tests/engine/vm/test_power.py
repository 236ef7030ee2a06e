"""Guests that are paused, suspended, restarted, killed or end by themselves, and an engine that comes and goes."""

from __future__ import annotations

import os
import signal
from pathlib import Path

import pytest

from app.api import NULL, Failure, Message, VMCalls, VMPowerState
from app.config import load
from app.engine.engine import DataFolderInUse, Engine
from tests.engine.vm.guests import (
    SMALL,
    assert_tidy,
    content,
    counter,
    messages,
    pid_of,
    processes_of,
    reached,
    snapshot,
    some_ticks,
    sr_folder,
    tick,
)
from tests.support.engine import Bench, open_bench
from tests.support.guest_disk import read_counter


async def test_suspend_and_resume_keep_what_is_in_memory(bench: Bench, folder: Path) -> None:
    vm = await bench.sample_vm()
    await bench.session.VM.start(vm)
    before = await some_ticks(bench, vm, 5)
    await bench.run(VMCalls.suspend, vm)
    assert bench.vm(vm).power_state is VMPowerState.Suspended
    assert bench.vm(vm).suspend_VDI != NULL
    assert processes_of(folder) == []
    assert_tidy(bench)
    stopped = counter(bench, vm)
    await bench.run(VMCalls.resume, vm)
    assert (bench.vm(vm).power_state, bench.vm(vm).suspend_VDI) == (VMPowerState.Running, NULL)
    after = await tick(bench, vm)
    assert after.since_boot > before.since_boot
    # Ticks since boot and the counter went on together: nothing ran in between, and nothing ran twice.
    assert after.counter - before.counter == after.since_boot - before.since_boot
    assert after.counter > stopped
    assert read_counter(bench.image(vm)).boot == 1
    assert_tidy(bench)


async def test_resume_may_leave_the_guest_standing(bench: Bench) -> None:
    vm = await bench.sample_vm()
    await bench.session.VM.start(vm)
    await some_ticks(bench, vm)
    await bench.session.VM.suspend(vm)
    await bench.session.VM.resume(vm, True)
    assert bench.vm(vm).power_state is VMPowerState.Paused
    before = counter(bench, vm)
    await bench.session.VM.unpause(vm)
    assert (await tick(bench, vm)).counter > before


async def test_start_may_leave_the_guest_standing(bench: Bench) -> None:
    vm = await bench.sample_vm()
    await bench.session.VM.start(vm, True)
    assert bench.vm(vm).power_state is VMPowerState.Paused
    await bench.session.VM.unpause(vm)
    assert bench.vm(vm).power_state is VMPowerState.Running
    await some_ticks(bench, vm)


async def test_guests_outlive_the_engine(folder: Path) -> None:
    async with open_bench(folder, kill_guests=False) as bench:
        vm = await bench.sample_vm(disks=2, size=SMALL)
        await bench.session.VM.start(vm)
        before = await some_ticks(bench, vm)
        snap = await snapshot(bench, vm)
        frozen = content(bench.image(snap))
        record, uuid = bench.vm(snap), bench.vm(vm).uuid
    pid = pid_of(folder, uuid)
    async with open_bench(folder) as bench:
        assert bench.vm(vm).power_state is VMPowerState.Running
        assert pid_of(folder, uuid) == pid
        after = await some_ticks(bench, vm)
        assert after.since_boot > before.since_boot
        assert read_counter(bench.image(vm)).boot == 1
        assert bench.vm(snap).snapshot_metadata == record.snapshot_metadata
        assert content(bench.image(snap)) == frozen
        # The guest that was found again can do all that it could before.
        again = await snapshot(bench, vm, "again")
        assert counter(bench, again) > counter(bench, snap)
        assert 0 <= counter(bench, again, "0") - counter(bench, again, "1") <= 1
        await bench.run(VMCalls.revert, snap)
        assert content(bench.image(vm)) == frozen
        assert_tidy(bench)


@pytest.mark.parametrize("state", [VMPowerState.Paused, VMPowerState.Suspended])
async def test_guests_that_stand_still_outlive_the_engine(folder: Path, state: VMPowerState) -> None:
    async with open_bench(folder, kill_guests=False) as bench:
        vm = await bench.sample_vm()
        await bench.session.VM.start(vm)
        before = await some_ticks(bench, vm)
        await (bench.session.VM.pause(vm) if state is VMPowerState.Paused else bench.session.VM.suspend(vm))
    async with open_bench(folder) as bench:
        assert bench.vm(vm).power_state is state
        await (bench.session.VM.unpause(vm) if state is VMPowerState.Paused else bench.session.VM.resume(vm))
        assert (await tick(bench, vm)).since_boot > before.since_boot
        assert_tidy(bench)


async def test_a_guest_that_died_meanwhile_is_found_halted(folder: Path) -> None:
    async with open_bench(folder, kill_guests=False) as bench:
        vm = await bench.sample_vm()
        await bench.session.VM.start(vm)
        await some_ticks(bench, vm)
        uuid = bench.vm(vm).uuid
        snap = await snapshot(bench, vm)
    os.kill(pid_of(folder, uuid), signal.SIGKILL)
    async with open_bench(folder) as bench:
        assert bench.vm(vm).power_state is VMPowerState.Halted
        assert "VM_SHUTDOWN" in messages(bench, vm)
        await bench.session.VM.start(vm)
        assert (await some_ticks(bench, vm)).counter > counter(bench, snap)
        assert_tidy(bench)


async def test_a_killed_guest_is_halted_with_a_message(bench: Bench, folder: Path) -> None:
    vm = await bench.sample_vm()
    await bench.session.VM.start(vm)
    last = await some_ticks(bench, vm)
    os.kill(pid_of(folder, bench.vm(vm).uuid), signal.SIGKILL)
    await reached(bench, vm, VMPowerState.Halted)
    assert "VM_CRASHED" in messages(bench, vm)
    (news,) = [m for m in bench.store.all(Message).values() if m.name == "VM_CRASHED"]
    assert (news.priority, "sample" in news.body) == (2, True)
    record = bench.vm(vm)
    assert (record.resident_on, record.consoles, record.domid) == (NULL, frozenset(), -1)
    # What the guest was told to be written is written, and the VM starts again from there.
    assert counter(bench, vm) >= last.counter
    await bench.session.VM.start(vm)
    await some_ticks(bench, vm)
    assert read_counter(bench.image(vm)).boot == 2


async def test_a_guest_that_switches_itself_off_is_halted(bench: Bench) -> None:
    vm = await bench.sample_vm()
    await bench.session.VM.start(vm)
    await some_ticks(bench, vm)
    # The power button without the engine's knowledge: to the engine the guest ends by itself.
    await bench.engine.context.driver.powerdown(bench.vm(vm).uuid)
    await reached(bench, vm, VMPowerState.Halted)
    assert "VM_SHUTDOWN" in messages(bench, vm)
    assert "VM_CRASHED" not in messages(bench, vm)


async def test_a_shutdown_that_was_asked_for_is_no_news(bench: Bench) -> None:
    vm = await bench.sample_vm()
    await bench.session.VM.start(vm)
    await some_ticks(bench, vm)
    await bench.run(VMCalls.clean_shutdown, vm)
    assert bench.vm(vm).power_state is VMPowerState.Halted
    assert {"VM_SHUTDOWN", "VM_CRASHED"}.isdisjoint(messages(bench, vm))


@pytest.mark.parametrize("hard", [True, False])
async def test_snapshots_survive_a_restart_of_the_guest(bench: Bench, hard: bool) -> None:
    vm = await bench.sample_vm()
    await bench.session.VM.start(vm)
    await some_ticks(bench, vm)
    snap = await snapshot(bench, vm)
    frozen = content(bench.image(snap))
    await some_ticks(bench, vm)
    await bench.run(VMCalls.hard_reboot if hard else VMCalls.clean_reboot, vm)
    assert bench.vm(vm).power_state is VMPowerState.Running
    while read_counter(bench.image(vm)).boot != 2:
        await tick(bench, vm)
    assert content(bench.image(snap)) == frozen
    await bench.run(VMCalls.revert, snap)
    assert content(bench.image(vm)) == frozen


async def test_hard_shutdown_of_a_suspended_vm_drops_its_memory(bench: Bench) -> None:
    vm = await bench.sample_vm()
    await bench.session.VM.start(vm)
    await some_ticks(bench, vm)
    await bench.session.VM.suspend(vm)
    assert list((sr_folder(bench) / "mem").iterdir())
    await bench.session.VM.hard_shutdown(vm)
    assert (bench.vm(vm).power_state, bench.vm(vm).suspend_VDI) == (VMPowerState.Halted, NULL)
    assert_tidy(bench)


async def test_power_state_reset_ends_the_guest(bench: Bench, folder: Path) -> None:
    vm = await bench.sample_vm()
    await bench.session.VM.start(vm)
    await bench.session.VM.power_state_reset(vm)
    assert bench.vm(vm).power_state is VMPowerState.Halted
    assert processes_of(folder) == []


async def test_a_folder_has_one_engine(bench: Bench, folder: Path) -> None:
    vm = await bench.sample_vm()
    before = bench.vm(vm)
    second = Engine(load(folder))
    with pytest.raises(DataFolderInUse) as caught:
        await second.open()
    assert str(folder) in str(caught.value)
    assert str(os.getpid()) in str(caught.value)
    assert caught.value.advice
    assert bench.vm(vm) == before
    await bench.session.VM.start(vm)
    with pytest.raises(DataFolderInUse):
        await Engine(load(folder)).open()
    await some_ticks(bench, vm)


async def test_what_a_state_does_not_allow_is_refused_and_changes_nothing(bench: Bench) -> None:
    vm = await bench.sample_vm()
    before = bench.vm(vm)
    for message in (VMCalls.pause, VMCalls.unpause, VMCalls.suspend, VMCalls.resume, VMCalls.hard_shutdown):
        with pytest.raises(Failure) as caught:
            await bench.run(message, vm)
        assert caught.value.code == "VM_BAD_POWER_STATE"
        assert caught.value.params[0] == vm
        assert caught.value.params[2] == "halted"
    assert bench.vm(vm) == before
