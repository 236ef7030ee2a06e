"""Held file systems: what a snapshot says of them, and that every guest is let go whatever happens."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Sequence
from pathlib import Path

import pytest

from app.api import VM, Failure, Ref, Task, TaskStatus, VMCalls, VMGuestMetrics, VMOperation, VMPowerState
from app.hypervisor.driver import AgentFacts, DiskSwitch, DriverError, FreezeFacts, SwitchFacts
from app.hypervisor.simulated import SimulatedDriver
from app.ops import quiesce
from tests.engine.vm.guests import assert_tidy, messages
from tests.support.engine import Bench, open_bench

AGENT = AgentFacts("7.2.22", can_freeze=True)
REFUSED = DriverError("The guest's agent refused: no such volume.", cause="agent")
LATE = DriverError("The guest's agent did not answer in time.", cause="agent")


class Guarded(SimulatedDriver):
    """Notes what is asked of the agent, and does some of it badly on request.

    :ivar asked: "freeze", "thaw", and "switch frozen" or "switch thawed".
    """

    def __init__(self) -> None:
        super().__init__()
        self.asked: list[str] = []
        self.file_systems = 2
        self.freeze_error: DriverError | None = None
        self.thaw_errors: list[DriverError] = []
        self.thaw_count: int | None = None
        self.switch_error: DriverError | None = None
        self.hangs_until_thawed = False
        self.freezing = asyncio.Event()
        self.hangs_freezing = False

    async def freeze(self, uuid: str, budget: float) -> FreezeFacts:
        self.asked.append("freeze")
        facts = await super().freeze(uuid, budget)
        self.freezing.set()
        if self.hangs_freezing:
            await asyncio.Event().wait()
        if self.freeze_error is not None:
            raise self.freeze_error
        return FreezeFacts(self.file_systems, facts.since)

    async def thaw(self, uuid: str, timeout: float) -> int:
        self.asked.append("thaw")
        if self.thaw_errors:
            raise self.thaw_errors.pop(0)
        count = await super().thaw(uuid, timeout)
        return count if self.thaw_count is None else self.thaw_count

    async def switch_disks(self, uuid: str, switches: Sequence[DiskSwitch]) -> SwitchFacts:
        self.asked.append("switch frozen" if self._guest(uuid).frozen else "switch thawed")
        while self.hangs_until_thawed and self._guest(uuid).frozen:  # noqa: ASYNC110
            await asyncio.sleep(0.01)
        if self.switch_error is not None:
            raise self.switch_error
        return await super().switch_disks(uuid, switches)


@pytest.fixture
def driver() -> Guarded:
    return Guarded()


@pytest.fixture
async def vm(bench: Bench, driver: Guarded) -> Ref[VM]:
    """Running, with an agent."""
    vm = await bench.sample_vm(disks=2)
    await bench.session.VM.start(vm)
    driver.set_agent(bench.vm(vm).uuid, AGENT)
    await until(lambda: VMOperation.snapshot_with_quiesce in bench.vm(vm).allowed_operations)
    return vm


async def quiesced(bench: Bench, vm: Ref[VM]) -> VM:
    """Take the snapshot and answer its record; nothing is left frozen or in the journal."""
    snap = await bench.run(VMCalls.snapshot_with_quiesce, vm, "held")
    assert_tidy(bench)
    assert bench.engine.context.freezing == set()
    assert not await bench.engine.context.driver.is_frozen(bench.vm(vm).uuid)
    return bench.vm(snap)


def outcome(snapshot: VM) -> tuple[str, str, str]:
    kept = snapshot.other_config
    reason = kept.get(quiesce.REASON, "")
    return kept[quiesce.CONSISTENCY], snapshot.snapshot_info["disk-snapshot-type"], reason


async def until(condition: Callable[[], bool]) -> None:
    async with asyncio.timeout(30):
        while not condition():  # noqa: ASYNC110
            await asyncio.sleep(0.01)


async def test_held_while_the_disks_switch(bench: Bench, driver: Guarded, vm: Ref[VM]) -> None:
    snap = await quiesced(bench, vm)
    assert driver.asked == ["freeze", "switch frozen", "thaw"]
    said = "The guest's agent held its 2 file systems while the disks switched."
    assert outcome(snap) == ("file-system-consistent", "quiesced", said)
    assert float(snap.other_config[quiesce.FREEZE_TIME]) >= 0
    assert snap.name_label == "held" and snap.is_a_snapshot


async def test_a_plain_snapshot_says_what_it_is(bench: Bench, driver: Guarded, vm: Ref[VM]) -> None:
    snap = await bench.run(VMCalls.snapshot, vm, "plain", [])
    assert outcome(bench.vm(snap)) == ("crash-consistent", "crash_consistent", "")
    assert driver.asked == ["switch thawed"]
    await bench.session.VM.hard_shutdown(vm)
    snap = await bench.run(VMCalls.snapshot, vm, "halted", [])
    assert quiesce.CONSISTENCY not in bench.vm(snap).other_config


async def test_offered_while_an_agent_is_there(bench: Bench, driver: Guarded, vm: Ref[VM]) -> None:
    op, uuid = VMOperation.snapshot_with_quiesce, bench.vm(vm).uuid
    assert op in bench.vm(vm).allowed_operations
    driver.set_agent(uuid, None)
    assert op not in bench.vm(vm).allowed_operations
    for call in (bench.session.VM.snapshot_with_quiesce(vm, "x"), bench.session.VM.assert_operation_valid(vm, op)):
        with pytest.raises(Failure) as caught:
            await call
        assert caught.value.description() == ["VM_SNAPSHOT_WITH_QUIESCE_NOT_SUPPORTED", vm]
    driver.set_agent(uuid, AgentFacts("1.0", can_freeze=False))
    await until(lambda: not bench.store.get(VMGuestMetrics, bench.vm(vm).guest_metrics).other)
    assert op not in bench.vm(vm).allowed_operations
    driver.set_agent(uuid, AGENT)
    await until(lambda: op in bench.vm(vm).allowed_operations)
    await bench.session.VM.hard_shutdown(vm)
    with pytest.raises(Failure, match="VM_BAD_POWER_STATE"):
        await bench.session.VM.snapshot_with_quiesce(vm, "x")


@pytest.mark.parametrize("error", [REFUSED, LATE])
async def test_a_guest_that_does_not_freeze(bench: Bench, driver: Guarded, vm: Ref[VM], error: DriverError) -> None:
    """It may have frozen all the same, so it is let go before the disks switch."""
    driver.freeze_error = error
    snap = await quiesced(bench, vm)
    assert driver.asked == ["freeze", "thaw", "switch thawed"]
    assert outcome(snap) == ("crash-consistent", "crash_consistent", error.message)
    assert quiesce.FREEZE_TIME not in snap.other_config


async def test_a_guest_that_was_told_nothing_is_not_thawed(bench: Bench, driver: Guarded, vm: Ref[VM]) -> None:
    driver.freeze_error = DriverError("no agent answers", cause="state")
    driver._guest(bench.vm(vm).uuid).frozen = False
    snap = Ref[VM](await bench.run(VMCalls.snapshot_with_quiesce, vm, "held"))
    assert "thaw" not in driver.asked
    assert outcome(bench.vm(snap)) == ("crash-consistent", "crash_consistent", "no agent answers")
    assert_tidy(bench)


async def test_a_guest_without_file_systems(bench: Bench, driver: Guarded, vm: Ref[VM]) -> None:
    driver.file_systems = 0
    snap = await quiesced(bench, vm)
    assert outcome(snap)[0::2] == ("crash-consistent", "The guest has no file system that can be held.")


async def test_a_guest_that_let_go_by_itself(bench: Bench, driver: Guarded, vm: Ref[VM]) -> None:
    driver.thaw_count = 0
    snap = await quiesced(bench, vm)
    assert outcome(snap)[0] == "crash-consistent"
    assert "had let go" in outcome(snap)[2]


async def test_disks_that_switch_too_slowly(
    bench: Bench, driver: Guarded, vm: Ref[VM], monkeypatch: pytest.MonkeyPatch
) -> None:
    """The guest is let go in the middle of the switch, which would else never end here."""
    monkeypatch.setattr(quiesce, "BUDGET_SECONDS", 0.1)
    driver.hangs_until_thawed = True
    snap = await quiesced(bench, vm)
    assert driver.asked == ["freeze", "switch frozen", "thaw"]
    assert outcome(snap)[0] == "crash-consistent"
    assert "within 0.1 s" in outcome(snap)[2]


async def test_a_switch_that_fails(bench: Bench, driver: Guarded, vm: Ref[VM]) -> None:
    driver.switch_error = DriverError("QEMU refused.", cause="qmp")
    with pytest.raises(Failure, match="VM_HYPERVISOR_FAILURE"):
        await quiesced(bench, vm)
    assert driver.asked == ["freeze", "switch frozen", "thaw"]
    assert bench.vm(vm).snapshots == frozenset()
    assert_tidy(bench)


async def test_cancelled_while_the_guest_freezes(bench: Bench, driver: Guarded, vm: Ref[VM]) -> None:
    driver.hangs_freezing = True
    task = await bench.session.start(VMCalls.snapshot_with_quiesce, vm, "held")
    await driver.freezing.wait()
    await bench.session.task.cancel(task)
    await until(lambda: bench.store.get(Task, task).status is TaskStatus.cancelled)
    assert driver.asked == ["freeze", "thaw"]
    assert bench.vm(vm).snapshots == frozenset()
    assert not await driver.is_frozen(bench.vm(vm).uuid)
    assert_tidy(bench)


# An agent that does not thaw


async def test_told_again_until_it_lets_go(
    bench: Bench, driver: Guarded, vm: Ref[VM], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(quiesce, "RETRY_SECONDS", 0.02)
    driver.thaw_errors = [LATE] * 4
    snap = bench.vm(await bench.run(VMCalls.snapshot_with_quiesce, vm, "held"))
    assert outcome(snap)[0] == "crash-consistent"
    assert outcome(snap)[2].startswith("Whether the file systems had been held is not known: The guest's agent")
    await until(lambda: not bench.engine.context.freezing)
    assert driver.asked.count("thaw") == 5
    assert not await driver.is_frozen(bench.vm(vm).uuid)
    assert messages(bench, vm).count("VM_STILL_FROZEN") == 1
    assert_tidy(bench)


async def test_a_hung_guest_can_be_restarted(
    bench: Bench, driver: Guarded, vm: Ref[VM], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(quiesce, "RETRY_SECONDS", 0.02)
    driver.thaw_errors = [LATE] * 1000
    await bench.run(VMCalls.snapshot_with_quiesce, vm, "held")
    assert [entry.op for entry in bench.engine.context.journal.pending()] == [quiesce.FREEZE]
    await bench.session.VM.hard_shutdown(vm)
    await until(lambda: bench.engine.context.journal.pending() == [])
    assert bench.engine.context.freezing == set()
    await bench.session.VM.start(vm)


async def test_a_guest_that_dies_frozen(
    bench: Bench, driver: Guarded, vm: Ref[VM], monkeypatch: pytest.MonkeyPatch
) -> None:
    uuid = bench.vm(vm).uuid

    async def die(_uuid: str, _timeout: float) -> int:
        driver.end(uuid, "killed")
        raise DriverError("The guest is not running.", cause="state")

    monkeypatch.setattr(driver, "thaw", die)
    snap = bench.vm(await bench.run(VMCalls.snapshot_with_quiesce, vm, "held"))
    await until(lambda: bench.engine.context.journal.pending() == [])
    assert outcome(snap)[0] == "crash-consistent"
    assert bench.vm(vm).power_state is VMPowerState.Halted
    assert bench.engine.context.freezing == set()


# The next engine


async def left_frozen(data_dir: Path, driver: Guarded, monkeypatch: pytest.MonkeyPatch) -> Ref[VM]:
    """An engine that ended while its guest was frozen, and never got it to thaw."""
    monkeypatch.setattr(quiesce, "RETRY_SECONDS", 0.02)
    async with open_bench(data_dir, driver, kill_guests=False) as bench:
        vm = await bench.sample_vm()
        await bench.session.VM.start(vm)
        driver.set_agent(bench.vm(vm).uuid, AGENT)
        await until(lambda: VMOperation.snapshot_with_quiesce in bench.vm(vm).allowed_operations)
        driver.thaw_errors = [LATE] * 100_000
        await bench.run(VMCalls.snapshot_with_quiesce, vm, "held")
        assert [entry.op for entry in bench.engine.context.journal.pending()] == [quiesce.FREEZE]
    return vm


async def test_the_next_engine_thaws(data_dir: Path, driver: Guarded, monkeypatch: pytest.MonkeyPatch) -> None:
    vm = await left_frozen(data_dir, driver, monkeypatch)
    driver.thaw_errors = []
    async with open_bench(data_dir, driver) as bench:
        assert not await driver.is_frozen(bench.vm(vm).uuid)
        assert_tidy(bench)


async def test_the_next_engine_goes_on_trying(data_dir: Path, driver: Guarded, monkeypatch: pytest.MonkeyPatch) -> None:
    vm = await left_frozen(data_dir, driver, monkeypatch)
    driver.thaw_errors = [LATE] * 5
    async with open_bench(data_dir, driver) as bench:
        await until(lambda: bench.engine.context.journal.pending() == [])
        assert not await driver.is_frozen(bench.vm(vm).uuid)
        await bench.session.VM.hard_shutdown(vm)


async def test_found_frozen_without_any_journal(bench: Bench, driver: Guarded, vm: Ref[VM]) -> None:
    """As after a revert to a checkpoint that was taken of a frozen guest."""
    uuid = bench.vm(vm).uuid
    driver._guest(uuid).frozen = True
    driver.set_agent(uuid, AGENT)
    await until(lambda: not driver._guest(uuid).frozen)
