"""Is it safe to snapshot? The answer to a dialog is what the operation itself then meets, and the figures are right."""

from __future__ import annotations

from collections.abc import Callable

import pytest

from app.api import NULL, VDI, VM, Failure, Host, Ref, VMCalls, VMOperation, VMPowerState
from app.hypervisor.driver import DriverError, GuestState, SaveMethod
from app.hypervisor.simulated import SimulatedDriver
from app.ops import readiness as module
from app.ops.readiness import DEVICE_STATE, OPERATIONS, OVERHEAD, OVERLAY, readiness
from app.storage.file_repository import FileRepository, SpaceUsage
from tests.engine.vm.guests import disks_of
from tests.support.engine import Bench

MIB = 1 << 20
GIB = 1 << 30
SNAPSHOT, CHECKPOINT, QUIESCED = OPERATIONS


class Driver(SimulatedDriver):
    """With what a test says about the host and its guests."""

    method: SaveMethod = "stop"
    touched: int | None = None
    now: GuestState | None = None

    async def save_method(self, uuid: str) -> SaveMethod:
        if self.now == "unresponsive":
            raise DriverError("QEMU's process lives and does not answer.", cause="lost")
        return self.method

    def memory_in_use(self, uuid: str) -> int:
        return super().memory_in_use(uuid) if self.touched is None else self.touched

    def state(self, uuid: str) -> GuestState:
        return self.now or super().state(uuid)


@pytest.fixture
def driver() -> Driver:
    return Driver()


@pytest.fixture
def free(monkeypatch: pytest.MonkeyPatch) -> Callable[[int], None]:
    """Say how much is free, of 100 GiB."""

    def set_free(octets: int) -> None:
        usage = SpaceUsage(100 * GIB, 100 * GIB - octets, octets)
        monkeypatch.setattr(FileRepository, "usage", lambda self: usage)

    set_free(50 * GIB)
    return set_free


async def ask(bench: Bench, vm: Ref[VM], op: VMOperation = SNAPSHOT) -> dict[str, str]:
    return dict(await bench.session.VM.get_snapshot_readiness(vm, op))


async def in_state(bench: Bench, state: VMPowerState, disks: int = 1) -> Ref[VM]:
    vm = await bench.sample_vm(disks=disks)
    if state is not VMPowerState.Halted:
        await bench.session.VM.start(vm)
    if state is VMPowerState.Paused:
        await bench.session.VM.pause(vm)
    if state is VMPowerState.Suspended:
        await bench.session.VM.suspend(vm)
    return vm


async def give_memory(bench: Bench, vm: Ref[VM], octets: int) -> None:
    with bench.store.transaction() as tx:
        tx.update(VM, vm, memory_dynamic_max=octets, memory_static_max=octets)


# Figures


@pytest.mark.parametrize("state", list(VMPowerState))
async def test_a_snapshot_of_disks_needs_little_and_can_be_taken_in_every_state(
    bench: Bench, free: Callable[[int], None], state: VMPowerState
) -> None:
    vm = await in_state(bench, state, disks=3)
    found = await ask(bench, vm)
    assert found == {
        "safe": "true", "space-needed": str(3 * OVERLAY + OVERHEAD), "space-memory": "0",
        "space-disks": str(3 * OVERLAY), "space-overhead": str(OVERHEAD), "space-free": str(50 * GIB), "depth": "1",
        "depth-limit": "30", "pending-merges": "0",
    }  # fmt: skip
    await bench.session.VM.snapshot(vm, "snap")
    assert (await ask(bench, vm))["depth"] == "2"


async def test_the_memory_is_what_the_guest_has_touched_and_never_more_than_it_has(
    bench: Bench, driver: Driver, free: Callable[[int], None]
) -> None:
    vm = await in_state(bench, VMPowerState.Running)
    await give_memory(bench, vm, GIB)
    for touched, expected in ((100 * MIB, 100 * MIB), (3 * GIB, GIB), (0, GIB)):
        driver.touched = touched
        assert (await ask(bench, vm, CHECKPOINT))["space-memory"] == str(expected + DEVICE_STATE)
    assert (await ask(bench, vm, SNAPSHOT))["space-memory"] == "0"


async def test_the_memory_of_a_suspended_vm_is_its_image(bench: Bench, free: Callable[[int], None]) -> None:
    vm = await in_state(bench, VMPowerState.Suspended)
    found = await ask(bench, vm, CHECKPOINT)
    image = bench.store.get(VDI, bench.vm(vm).suspend_VDI)
    assert found["space-memory"] == str(image.physical_utilisation)
    assert found["pause-method"] == "none"


async def test_how_the_guest_would_be_paused(bench: Bench, driver: Driver, free: Callable[[int], None]) -> None:
    vm = await in_state(bench, VMPowerState.Running)
    assert (await ask(bench, vm, CHECKPOINT))["pause-method"] == "stop"
    driver.method = "background"
    assert (await ask(bench, vm, CHECKPOINT))["pause-method"] == "background"
    assert "pause-method" not in await ask(bench, vm, SNAPSHOT)


# What is near its limit


async def test_a_long_chain_is_worth_a_word_and_a_full_one_a_refusal(bench: Bench, free: Callable[[int], None]) -> None:
    vm = await bench.sample_vm()
    snaps = [await bench.session.VM.snapshot(vm, f"snap {number}") for number in range(22)]
    assert "warning" not in await ask(bench, vm)
    snaps.append(await bench.session.VM.snapshot(vm, "snap 22"))
    found = await ask(bench, vm)
    assert (found["safe"], found["depth"]) == ("true", "24")
    assert "24 of at most 30" in found["warning"] and "Delete" in found["advice"]
    await bench.session.VM.uninstall(snaps[3], False)
    found = await ask(bench, vm)
    assert found["pending-merges"] == "1" and "1 of them wait" in found["warning"]
    for number in range(6):
        await bench.session.VM.snapshot(vm, f"more {number}")
    found = await ask(bench, vm)
    assert (found["safe"], found["code"], found["depth"]) == ("false", "SR_BACKEND_FAILURE_109", "30")
    assert "30" in found["reason"] and "Delete" in found["advice"]
    with pytest.raises(Failure, match="109"):
        await bench.session.VM.snapshot(vm, "one too many")


async def test_little_space_is_worth_a_word_and_too_little_a_refusal(bench: Bench, free: Callable[[int], None]) -> None:
    vm = await in_state(bench, VMPowerState.Running)
    free(6 * GIB)
    assert "warning" not in await ask(bench, vm)
    free(4 * GIB)
    assert "nearly full" in (await ask(bench, vm))["warning"]
    free(OVERLAY + OVERHEAD - 1)
    before = bench.vm(vm)
    found = await ask(bench, vm)
    assert (found["safe"], found["code"]) == ("false", "SR_BACKEND_FAILURE_44")
    assert "Free some space" in found["reason"] and found["advice"]
    with pytest.raises(Failure, match="SR_BACKEND_FAILURE_44"):
        await bench.session.VM.snapshot(vm, "snap")
    assert bench.vm(vm) == before
    free(OVERLAY + OVERHEAD)
    await bench.session.VM.snapshot(vm, "snap")


async def test_a_guest_that_will_stand_still_for_long_is_announced(
    bench: Bench, driver: Driver, free: Callable[[int], None]
) -> None:
    vm = await in_state(bench, VMPowerState.Running)
    await give_memory(bench, vm, GIB)
    driver.touched = GIB
    context = bench.engine.context
    found = module._Look(context, vm, bench.vm(vm), CHECKPOINT, [])
    assert "stands still" in found.warning("stop")[0]
    assert found.warning("background") == ("", "")


# What is in the way


async def test_a_missing_image_is_named(bench: Bench, free: Callable[[int], None]) -> None:
    vm = await bench.sample_vm(disks=2)
    await bench.session.VM.snapshot(vm, "snap")
    base = bench.image(next(iter(bench.vm(vm).snapshots)), "1")
    base.rename(base.with_suffix(".away"))
    found = await ask(bench, vm)
    assert (found["code"], found["depth"]) == ("SR_BACKEND_FAILURE_46", "2")
    assert base.name in found["reason"]
    with pytest.raises(Failure, match="SR_BACKEND_FAILURE_46"):
        await bench.session.VM.snapshot(vm, "snap")
    look = await readiness(bench.engine.context, vm, SNAPSHOT, frozenset({disks_of(bench, vm)["1"]}))
    assert look.failure is None
    base.with_suffix(".away").rename(base)


async def test_a_guest_that_does_not_answer_is_not_safe(
    bench: Bench, driver: Driver, free: Callable[[int], None]
) -> None:
    vm = await in_state(bench, VMPowerState.Running)
    driver.now = "unresponsive"
    for op in (SNAPSHOT, CHECKPOINT):
        found = await ask(bench, vm, op)
        assert (found["safe"], found["code"]) == ("false", "VM_HYPERVISOR_FAILURE")
        assert "does not answer" in found["reason"]
    driver.now = None


async def test_the_rules_come_first(bench: Bench, free: Callable[[int], None]) -> None:
    vm = await bench.sample_vm()
    snap = await bench.session.VM.snapshot(vm, "snap")
    template = await bench.session.by_name(VM, "Sample guest")
    assert (await ask(bench, snap))["code"] == "VM_IS_SNAPSHOT"
    assert (await ask(bench, template))["code"] == "VM_IS_TEMPLATE"
    await bench.session.call("VM.add_to_blocked_operations", vm, "snapshot", "the audit")
    found = await ask(bench, vm)
    assert found["code"] == "OPERATION_BLOCKED" and "the audit" in found["reason"]
    await bench.session.call("VM.remove_from_blocked_operations", vm, "snapshot")
    bench.store.publish(VM, vm, current_operations={"OpaqueRef:task": VMOperation.revert})
    assert (await ask(bench, vm))["code"] == "OTHER_OPERATION_IN_PROGRESS"
    bench.store.publish(VM, vm, current_operations={})


async def test_other_operations_are_refused(bench: Bench) -> None:
    vm = await bench.sample_vm()
    with pytest.raises(Failure) as caught:
        await bench.session.VM.get_snapshot_readiness(vm, VMOperation.start)
    assert caught.value.description() == ["INVALID_VALUE", "op", "start"]


async def test_without_a_place_for_the_memory(bench: Bench, free: Callable[[int], None]) -> None:
    vm = await in_state(bench, VMPowerState.Running)
    context = bench.engine.context
    with bench.store.transaction() as tx:
        tx.update(Host, context.host, suspend_image_sr=NULL)
    found = await readiness(context, vm, CHECKPOINT, claimed=True)
    assert found.failure is None, "the default repository serves"
    context.default_sr = lambda: (_ for _ in ()).throw(Failure("DEFAULT_SR_NOT_FOUND", NULL))  # type: ignore
    found = await readiness(context, vm, CHECKPOINT, claimed=True)
    assert found.failure is not None and found.failure.code == "VM_NO_SUSPEND_SR"
    assert found.space.free == -1


MESSAGES = {SNAPSHOT: VMCalls.snapshot, CHECKPOINT: VMCalls.checkpoint, QUIESCED: VMCalls.snapshot_with_quiesce}


@pytest.mark.parametrize("state", list(VMPowerState))
@pytest.mark.parametrize("op", OPERATIONS)
async def test_the_operation_meets_what_was_foretold(
    bench: Bench, free: Callable[[int], None], op: VMOperation, state: VMPowerState
) -> None:
    message = MESSAGES[op]
    if f"VM.{message.__name__}" not in bench.engine.dispatcher.methods():
        pytest.skip(f"VM.{message.__name__} is not implemented yet")
    vm = await in_state(bench, state)
    found = await ask(bench, vm, op)
    try:
        await bench.run(message, vm, "snap")
    except Failure as failure:
        assert (found["safe"], found.get("code")) == ("false", failure.code)
    else:
        assert found["safe"] == "true"
