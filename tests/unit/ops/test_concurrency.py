"""Operations on one VM at the same time: who is let in, who waits, who is turned away, and what is cut short."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from pathlib import Path

import pytest

from app.api import NULL, VM, Failure, Ref, Task, VMCalls, VMOperation, VMPowerState
from app.hypervisor.driver import CheckpointFacts, Compression, DiskSwitch, Progress, SavedFacts, SaveMethod
from app.hypervisor.simulated import SimulatedDriver
from tests.engine.vm.guests import assert_tidy, disks_of
from tests.support.engine import Bench


class Slow(SimulatedDriver):
    """Writing memory takes until it is cancelled."""

    def __init__(self) -> None:
        super().__init__()
        self.writing = asyncio.Event()
        self.go_on = asyncio.Event()

    async def save(self, uuid: str, path: Path, progress: Progress) -> SavedFacts:
        self.writing.set()
        await self.go_on.wait()
        return await super().save(uuid, path, progress)

    async def checkpoint(
        self,
        uuid: str,
        switches: Sequence[DiskSwitch],
        path: Path,
        progress: Progress,
        *,
        method: SaveMethod,
        compression: Compression = "none",
    ) -> CheckpointFacts:
        self.writing.set()
        await self.go_on.wait()
        return await super().checkpoint(uuid, switches, path, progress, method=method, compression=compression)


@pytest.fixture
def driver() -> Slow:
    return Slow()


async def running(bench: Bench) -> Ref[VM]:
    vm = await bench.sample_vm(disks=2)
    await bench.session.VM.start(vm)
    return vm


def offered(bench: Bench, vm: str) -> set[VMOperation]:
    return set(bench.vm(vm).allowed_operations)


async def outcome(bench: Bench, task: str) -> str:
    while bench.store.get(Task, task).status.value == "pending":  # noqa: ASYNC110
        await asyncio.sleep(0)
    return bench.store.get(Task, task).status.value


@pytest.mark.parametrize("name", ["suspend", "checkpoint"])
async def test_a_hard_shutdown_cuts_short_what_writes_memory(bench: Bench, driver: Slow, name: str) -> None:
    vm = await running(bench)
    if name == "suspend":
        task = await bench.session.start(VMCalls.suspend, vm)
    else:
        task = await bench.session.start(VMCalls.checkpoint, vm, "point")
    await driver.writing.wait()
    assert VMOperation.hard_shutdown in offered(bench, vm)
    assert offered(bench, vm) <= {VMOperation.hard_shutdown, VMOperation.snapshot, VMOperation.checkpoint}
    await bench.session.VM.hard_shutdown(vm)
    assert await outcome(bench, task) == "cancelled"
    record = bench.vm(vm)
    assert (record.power_state, record.suspend_VDI, record.snapshots) == (VMPowerState.Halted, NULL, frozenset())
    assert driver.state(record.uuid) == "absent"
    assert_tidy(bench)
    await bench.session.VM.start(vm)


async def test_a_hard_shutdown_waits_for_a_snapshot(bench: Bench) -> None:
    vm = await running(bench)
    taking = await bench.session.start(VMCalls.snapshot, vm, "snap", [])
    ending = await bench.session.start(VMCalls.hard_shutdown, vm)
    assert {await outcome(bench, taking), await outcome(bench, ending)} == {"success"}
    assert (bench.vm(vm).power_state, len(bench.vm(vm).snapshots)) == (VMPowerState.Halted, 1)
    assert_tidy(bench)


async def test_snapshots_and_checkpoints_come_one_after_the_other(bench: Bench, driver: Slow) -> None:
    driver.go_on.set()
    vm = await running(bench)
    tasks = [
        await bench.session.start(VMCalls.snapshot, vm, "one", []),
        await bench.session.start(VMCalls.checkpoint, vm, "two"),
        await bench.session.start(VMCalls.snapshot, vm, "three", []),
    ]
    assert [await outcome(bench, task) for task in tasks] == ["success"] * 3
    made = {bench.vm(ref).name_label: ref for ref in bench.vm(vm).snapshots}
    assert bench.vm(vm).parent == made["three"]
    assert bench.vm(made["three"]).parent == made["two"]
    assert bench.vm(made["two"]).parent == made["one"]
    assert_tidy(bench)


async def test_what_does_not_go_together_waits_and_is_turned_away(
    bench: Bench, driver: Slow, monkeypatch: pytest.MonkeyPatch
) -> None:
    vm = await running(bench)
    snap = await bench.session.VM.snapshot(vm, "snap")
    task = await bench.session.start(VMCalls.checkpoint, vm, "point")
    await driver.writing.wait()
    monkeypatch.setattr("app.ops.locking.PATIENCE_SECONDS", 0.0)
    for work in (
        bench.session.VM.revert(snap),
        bench.session.VM.suspend(vm),
        bench.session.VM.pause(vm),
        bench.session.VM.clean_shutdown(vm),
    ):
        with pytest.raises(Failure) as caught:
            await work
        assert caught.value.description() == ["OTHER_OPERATION_IN_PROGRESS", "VM", vm, "checkpoint", task]
    monkeypatch.setattr("app.ops.locking.PATIENCE_SECONDS", 60.0)
    waiting = await bench.session.start(VMCalls.pause, vm)
    await asyncio.sleep(0.1)
    assert bench.store.get(Task, waiting).name_description == "Waiting for another operation on this VM"
    driver.go_on.set()
    assert [await outcome(bench, t) for t in (task, waiting)] == ["success", "success"]
    assert bench.vm(vm).power_state is VMPowerState.Paused


async def test_a_snapshot_of_the_vm_may_be_cloned_copied_and_deleted_meanwhile(bench: Bench, driver: Slow) -> None:
    """The snapshot is an object of its own: what its VM is doing holds it up for a while at most."""
    vm = await running(bench)
    snap = await bench.session.VM.snapshot(vm, "snap")
    assert {VMOperation.clone, VMOperation.copy, VMOperation.destroy, VMOperation.revert} <= offered(bench, snap)
    task = await bench.session.start(VMCalls.checkpoint, vm, "point")
    await driver.writing.wait()
    assert {VMOperation.clone, VMOperation.copy, VMOperation.destroy} <= offered(bench, snap)
    tasks = [
        await bench.session.start(VMCalls.clone, snap, "clone"),
        await bench.session.start(VMCalls.copy, snap, "copy", NULL),
    ]
    driver.go_on.set()
    assert [await outcome(bench, t) for t in (task, *tasks)] == ["success"] * 3
    assert_tidy(bench)


async def test_blocked_operations_are_refused_with_their_reason(bench: Bench) -> None:
    vm = await bench.sample_vm()
    snap = await bench.session.VM.snapshot(vm, "snap")
    await bench.session.set(VM, vm, blocked_operations={"start": "in repair", "clone": ""})
    await bench.session.set(VM, snap, blocked_operations={"destroy": "audited", "revert": "audited"})
    for work, ref, reason in (
        (bench.session.VM.start(vm), vm, "in repair"),
        (bench.session.VM.clone(vm, "clone"), vm, ""),
        (bench.session.VM.destroy(snap), snap, "audited"),
        (bench.session.VM.uninstall(snap), snap, "audited"),
        (bench.session.VM.revert(snap), snap, "audited"),
    ):
        with pytest.raises(Failure) as caught:
            await work
        assert caught.value.description() == ["OPERATION_BLOCKED", ref, reason]
    assert offered(bench, vm).isdisjoint({VMOperation.start, VMOperation.clone})
    assert VMOperation.copy in offered(bench, vm)
    await bench.session.set(VM, vm, blocked_operations={})
    assert {VMOperation.start, VMOperation.clone} <= offered(bench, vm)


async def test_a_disk_that_forgets_takes_its_vm_the_snapshots(bench: Bench) -> None:
    vm = await running(bench)
    disk = disks_of(bench, vm)["1"]
    await bench.session.call("VDI.add_to_sm_config", disk, "on_boot", "reset")
    assert offered(bench, vm).isdisjoint({VMOperation.snapshot, VMOperation.checkpoint, VMOperation.suspend})
    with pytest.raises(Failure) as caught:
        await bench.run(VMCalls.snapshot, vm, "snap")
    assert caught.value.description() == ["VDI_ON_BOOT_MODE_INCOMPATIBLE_WITH_OPERATION"]
    await bench.session.call("VDI.remove_from_sm_config", disk, "on_boot")
    assert {VMOperation.snapshot, VMOperation.checkpoint, VMOperation.suspend} <= offered(bench, vm)
    await bench.session.call("VDI.add_to_sm_config", disk, "type", "raw")
    for message in (VMCalls.snapshot, VMCalls.checkpoint):
        with pytest.raises(Failure) as caught:
            await bench.run(message, vm, "snap")
        assert caught.value.code == "SR_BACKEND_FAILURE_38"
    await bench.run(VMCalls.snapshot, vm, "without it", [disk])
    assert len(bench.vm(vm).snapshots) == 1
