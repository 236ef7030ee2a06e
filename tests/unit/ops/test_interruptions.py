"""Guests that die, answers that are lost and writes that fail at the worst moment."""

from __future__ import annotations

import asyncio
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

import pytest

from app.api import NULL, VBD, VDI, VM, Failure, Message, Record, Ref, VMCalls, VMPowerState, classes
from app.api.failure import storage_failure
from app.hypervisor.driver import DiskSwitch, DriverError, GuestSpec, GuestState, SwitchFacts
from app.hypervisor.simulated import SimulatedDriver
from app.ops.screenshots import store_blob
from app.storage.errors import StorageError
from app.storage.file_repository import FileRepository
from tests.engine.vm.guests import assert_tidy, disks_of
from tests.support.engine import Bench, open_bench


class Fragile(SimulatedDriver):
    """Loses its answers, and its guests, on request."""

    def __init__(self) -> None:
        super().__init__()
        self.lose_answer = False
        self.die = False
        self.states: dict[str, GuestState] = {}
        self.seen_at_unpause: list[VMPowerState] = []
        self.bench: Bench | None = None

    async def switch_disks(self, uuid: str, switches: Sequence[DiskSwitch]) -> SwitchFacts:
        facts = await super().switch_disks(uuid, switches)
        if self.die:
            self.end(uuid, "killed")
        if self.lose_answer or self.die:
            raise DriverError("QEMU's process ended.", cause="lost")
        return facts

    def state(self, uuid: str) -> GuestState:
        return self.states.get(uuid) or super().state(uuid)

    async def kill(self, uuid: str) -> None:
        self.states.pop(uuid, None)
        await super().kill(uuid)

    async def unpause(self, uuid: str) -> None:
        if self.bench is not None:
            self.seen_at_unpause += [vm.power_state for vm in self.bench.store.all(VM).values() if vm.uuid == uuid]
        await super().unpause(uuid)

    async def start(self, spec: GuestSpec, *, paused: bool = False, restore: Path | None = None) -> None:
        assert paused or restore is None, "a guest must not run before its memory image is let go of"
        await super().start(spec, paused=paused, restore=restore)


@pytest.fixture
def driver() -> Fragile:
    return Fragile()


async def running(bench: Bench, disks: int = 2) -> Ref[VM]:
    vm = await bench.sample_vm(disks=disks)
    await bench.session.VM.start(vm)
    return vm


async def active(bench: Bench, driver: SimulatedDriver, vm: Ref[VM]) -> bool:
    """Whether the guest writes to the files that the records say."""
    held = {f"disk{device}": bench.image(vm, device) for device in disks_of(bench, vm)}
    return await driver.active_disks(bench.vm(vm).uuid) == held


@contextmanager
def failing_writes(bench: Bench) -> Iterator[None]:
    """No SQL write succeeds in the block."""
    database = bench.store._database
    real = database.write

    def refuse(changes: Sequence[tuple[str, str, Record | None]], *, synced: bool = True) -> None:
        if any(classes()[name].persistent for name, _, _ in changes):
            raise storage_failure(44, "There is insufficient space", "a test's full disk")

    database.write = refuse  # type: ignore[method-assign]
    try:
        yield
    finally:
        database.write = real  # type: ignore[method-assign]


# Snapshot


async def test_a_guest_that_dies_in_the_switch_keeps_what_it_wrote_after_it(bench: Bench, driver: Fragile) -> None:
    vm = await running(bench)
    before = bench.image(vm)
    driver.die = True
    await bench.run(VMCalls.snapshot, vm, "snap")
    record = bench.vm(vm)
    (snap,) = record.snapshots
    # It may have written to the overlays, so they are its disks, whatever the record said when we looked.
    assert record.power_state is VMPowerState.Halted
    assert bench.image(snap) == before
    assert bench.image(vm) != before
    assert_tidy(bench)


async def test_a_switch_whose_answer_is_lost_is_asked_for(bench: Bench, driver: Fragile) -> None:
    vm = await running(bench)
    driver.lose_answer = True
    snap = Ref[VM](await bench.run(VMCalls.snapshot, vm, "snap"))
    assert bench.vm(vm).parent == snap
    assert await active(bench, driver, vm)
    assert_tidy(bench)


async def test_a_snapshot_that_cannot_be_recorded_is_settled_before_the_next(
    bench: Bench, driver: Fragile, data_dir: Path
) -> None:
    vm = await running(bench)
    with failing_writes(bench), pytest.raises(Failure) as caught:
        await bench.run(VMCalls.snapshot, vm, "lost")
    assert caught.value.code == "SR_BACKEND_FAILURE_44"
    assert vm in bench.engine.context.unsettled
    assert not await active(bench, driver, vm)
    with failing_writes(bench), pytest.raises(Failure) as caught:
        await bench.run(VMCalls.snapshot, vm, "refused")
    assert caught.value.code == "OPERATION_NOT_ALLOWED"
    await bench.run(VMCalls.snapshot, vm, "next")
    assert await active(bench, driver, vm)
    assert sorted(s.name_label for s in (bench.vm(ref) for ref in bench.vm(vm).snapshots)) == ["lost", "next"]
    assert_tidy(bench)


async def test_a_halted_vms_snapshot_that_cannot_be_recorded_leaves_nothing(bench: Bench) -> None:
    vm = await bench.sample_vm(disks=2)
    before = bench.vm(vm), bench.image(vm)
    with failing_writes(bench), pytest.raises(Failure):
        await bench.run(VMCalls.snapshot, vm, "lost")
    assert (bench.vm(vm), bench.image(vm)) == before
    assert not bench.engine.context.files(bench.sr()).is_frozen(bench.image(vm).stem)
    assert_tidy(bench)


# Suspend, resume, start


async def test_a_suspend_that_cannot_be_recorded_lets_the_guest_go_on(bench: Bench, driver: Fragile) -> None:
    vm = await running(bench)
    with failing_writes(bench), pytest.raises(Failure):
        await bench.run(VMCalls.suspend, vm)
    assert driver.state(bench.vm(vm).uuid) == "running"
    assert (bench.vm(vm).power_state, bench.vm(vm).suspend_VDI) == (VMPowerState.Running, NULL)
    assert_tidy(bench)
    await bench.run(VMCalls.suspend, vm)


async def test_memory_is_let_go_of_before_the_guest_runs(bench: Bench, driver: Fragile) -> None:
    vm = await running(bench)
    await bench.run(VMCalls.suspend, vm)
    driver.bench = bench
    await bench.run(VMCalls.resume, vm)
    assert driver.seen_at_unpause == [VMPowerState.Paused]
    assert (bench.vm(vm).power_state, bench.vm(vm).suspend_VDI) == (VMPowerState.Running, NULL)
    assert_tidy(bench)


async def test_a_resume_that_cannot_be_recorded_keeps_the_memory(bench: Bench, driver: Fragile) -> None:
    vm = await running(bench)
    await bench.run(VMCalls.suspend, vm)
    before = bench.vm(vm)
    with failing_writes(bench), pytest.raises(Failure):
        await bench.run(VMCalls.resume, vm)
    assert driver.state(before.uuid) == "absent"
    assert (bench.vm(vm).power_state, bench.vm(vm).suspend_VDI) == (VMPowerState.Suspended, before.suspend_VDI)
    assert_tidy(bench)
    await bench.run(VMCalls.resume, vm)


async def test_a_start_that_cannot_be_recorded_leaves_no_guest(bench: Bench, driver: Fragile) -> None:
    vm = await bench.sample_vm()
    with failing_writes(bench), pytest.raises(Failure):
        await bench.run(VMCalls.start, vm)
    assert driver.state(bench.vm(vm).uuid) == "absent"
    assert bench.vm(vm).power_state is VMPowerState.Halted


# Revert, removal


async def test_a_revert_that_cannot_be_recorded_changes_no_disk(bench: Bench, driver: Fragile) -> None:
    vm = await running(bench)
    snap = Ref[VM](await bench.run(VMCalls.snapshot, vm, "snap"))
    before = bench.image(vm)
    with failing_writes(bench), pytest.raises(Failure) as caught:
        await bench.run(VMCalls.revert, snap)
    assert caught.value.code == "SR_BACKEND_FAILURE_44"
    assert bench.image(vm) == before
    # Its guest was ended, and the record says so, even if the disk does not know yet.
    await bench.run(VMCalls.snapshot, vm, "after")
    assert bench.vm(vm).power_state is VMPowerState.Halted
    assert driver.state(bench.vm(vm).uuid) == "absent"
    assert_tidy(bench)


async def test_what_cannot_be_freed_now_is_freed_at_the_next_start(
    data_dir: Path, driver: Fragile, monkeypatch: pytest.MonkeyPatch
) -> None:
    async with open_bench(data_dir, driver) as bench:
        vm = await bench.sample_vm()
        image = bench.image(vm)

        def refuse(*_: object) -> None:
            raise StorageError.io("The folder does not answer.")

        monkeypatch.setattr(FileRepository, "discard", refuse)
        await bench.run(VMCalls.uninstall, vm, False)
        assert bench.store.find(VM, vm) is None
        assert image.exists()
        monkeypatch.undo()
    async with open_bench(data_dir, driver) as bench:
        assert not image.exists()
        assert_tidy(bench)


async def test_disks_and_devices_wait_for_the_operation_on_their_vm(
    bench: Bench, driver: Fragile, monkeypatch: pytest.MonkeyPatch
) -> None:
    vm = await bench.sample_vm(disks=2)
    vdi = disks_of(bench, vm)["1"]
    vbd = next(iter(bench.store.get(VDI, vdi).VBDs))
    began, go_on = asyncio.Event(), asyncio.Event()
    real = driver.start

    async def start(spec: GuestSpec, *, paused: bool = False, restore: Path | None = None) -> None:
        began.set()
        await go_on.wait()
        await real(spec, paused=paused, restore=restore)

    monkeypatch.setattr(driver, "start", start)
    task = await bench.session.start(VMCalls.start, vm)
    await began.wait()
    with pytest.raises(Failure) as caught:
        await bench.session.VDI.destroy(vdi)
    assert caught.value.description() == ["OTHER_OPERATION_IN_PROGRESS", "VDI", vdi, "start", task]
    removing = asyncio.ensure_future(bench.session.VBD.destroy(vbd))
    await asyncio.sleep(0)
    go_on.set()
    with pytest.raises(Failure) as caught:
        await removing
    assert caught.value.code == "VM_BAD_POWER_STATE"
    assert bench.store.find(VBD, vbd) is not None


# Guests found when the engine opens


@pytest.mark.parametrize(
    ("recorded", "found", "expected"),
    [
        (VMPowerState.Running, "running", VMPowerState.Running),
        (VMPowerState.Running, "paused", VMPowerState.Paused),
        (VMPowerState.Running, "io-error", VMPowerState.Paused),
        (VMPowerState.Running, "crashed", VMPowerState.Paused),
        (VMPowerState.Running, "shutdown", VMPowerState.Halted),
        (VMPowerState.Running, "unresponsive", VMPowerState.Running),
        (VMPowerState.Paused, "unresponsive", VMPowerState.Paused),
        (VMPowerState.Paused, "running", VMPowerState.Running),
        (VMPowerState.Halted, "running", VMPowerState.Running),
        (VMPowerState.Suspended, "suspended-incoming", VMPowerState.Suspended),
        (VMPowerState.Suspended, "paused", VMPowerState.Suspended),
        (VMPowerState.Suspended, "running", VMPowerState.Running),
    ],
)
async def test_records_follow_the_guests_found(
    data_dir: Path, driver: Fragile, recorded: VMPowerState, found: GuestState, expected: VMPowerState
) -> None:
    async with open_bench(data_dir, driver, kill_guests=False) as bench:
        vm = await running(bench, disks=1)
        if recorded is VMPowerState.Suspended:
            await bench.session.VM.suspend(vm)
            await bench.engine.context.driver.start(spec_of(bench, vm), paused=True)
        with bench.store.transaction() as tx:
            tx.update(VM, vm, power_state=recorded)
        driver.states[bench.vm(vm).uuid] = found
    async with open_bench(data_dir, driver) as bench:
        record = bench.vm(vm)
        assert record.power_state is expected
        assert (driver.state(record.uuid) == "absent") == (expected in (VMPowerState.Halted, VMPowerState.Suspended))
        assert (record.suspend_VDI != NULL) == (expected is VMPowerState.Suspended)
        driver.states.clear()
        assert_tidy(bench)


def spec_of(bench: Bench, vm: Ref[VM]) -> GuestSpec:
    record = bench.vm(vm)
    return GuestSpec(uuid=record.uuid, name=record.name_label, memory=record.memory_dynamic_max, vcpus=1)


async def test_a_death_that_cannot_be_recorded_is_seen_all_the_same(data_dir: Path, driver: Fragile) -> None:
    async with open_bench(data_dir, driver) as bench:
        vm = await running(bench)
        with failing_writes(bench):
            driver.end(bench.vm(vm).uuid, "killed", "signal 9")
        assert bench.vm(vm).power_state is VMPowerState.Halted
    async with open_bench(data_dir, driver) as bench:
        assert bench.vm(vm).power_state is VMPowerState.Halted


async def test_a_picture_that_cannot_be_kept_leaves_nothing(bench: Bench, monkeypatch: pytest.MonkeyPatch) -> None:
    vm = await running(bench)
    snap = Ref[VM](await bench.run(VMCalls.snapshot, vm, "snap"))
    while not bench.vm(snap).blobs:  # noqa: ASYNC110
        await asyncio.sleep(0)
    (blob,) = bench.vm(snap).blobs.values()
    with failing_writes(bench), pytest.raises(Failure):
        store_blob(bench.engine.context, vm, b"picture")
    monkeypatch.setattr("app.ops.screenshots.os.fdopen", lambda *_: open("/dev/full", "wb"))  # noqa: SIM115, PTH123
    with pytest.raises(OSError, match="No space"):
        store_blob(bench.engine.context, vm, b"picture")
    assert [path.stem for path in bench.engine.context.screenshots.iterdir()] == [blob.removeprefix("OpaqueRef:")]
    assert bench.vm(vm).blobs == {}


async def test_messages_tell_how_a_guest_ended(bench: Bench, driver: Fragile) -> None:
    for reason, name in (("guest-shutdown", "VM_SHUTDOWN"), ("killed", "VM_CRASHED"), ("crashed", "VM_CRASHED")):
        vm = await running(bench, disks=1)
        driver.end(bench.vm(vm).uuid, reason, "last words")
        uuid = bench.vm(vm).uuid
        (news,) = [m for m in bench.store.all(Message).values() if m.obj_uuid == uuid]
        assert (news.name, "last words" in news.body) == (name, True)


async def test_a_journal_entry_that_makes_no_sense_keeps_nothing_else_from_opening(
    data_dir: Path, driver: Fragile
) -> None:
    async with open_bench(data_dir, driver) as bench:
        vm = await bench.sample_vm()
        other = await bench.sample_vm("other")
        bench.engine.context.journal.begin("vm_snapshot", vm=vm, nonsense=True)
        bench.engine.context.journal.begin("of_a_newer_version", vm=other)
    async with open_bench(data_dir, driver) as bench:
        with pytest.raises(Failure) as caught:
            await bench.session.VM.start(vm)
        assert caught.value.code == "OPERATION_NOT_ALLOWED"
        await bench.session.VM.start(other)
