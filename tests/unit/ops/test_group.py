"""Groups of snapshots over a driver that fails, loses its answers and its guests: all or none, and nothing is lost."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path

import pytest

from app.api import VDI, VM, Failure, Ref, VMCalls, VMOperation, VMPowerState
from app.hypervisor.driver import DiskSwitch, DriverError, TogetherFacts
from app.ops import vm_power, vm_revert
from app.ops.vm_group import GROUP_KEY, SPREAD_KEY
from app.storage.file_repository import FileRepository, SpaceUsage
from tests.engine.vm.guests import assert_tidy
from tests.support.engine import Bench, open_bench
from tests.unit.ops.test_interruptions import Fragile, active, failing_writes


class Driver(Fragile):
    """Can stop in the middle of a group."""

    switch_only = -1
    answer = True
    unreachable = ""

    async def unpause(self, uuid: str) -> None:
        if uuid == self.unreachable:
            raise DriverError("QEMU did not answer.", cause="timeout")
        await super().unpause(uuid)

    async def switch_together(self, switches: Mapping[str, Sequence[DiskSwitch]]) -> TogetherFacts:
        if self.switch_only >= 0:
            for uuid in sorted(switches)[: self.switch_only]:
                await self.switch_disks(uuid, switches[uuid])
                self._guest(uuid).state = "paused"
        else:
            await super().switch_together(switches)
        if self.switch_only >= 0 or not self.answer:
            raise DriverError("QEMU's process ended.", cause="lost")
        return TogetherFacts(spread=0.0125, stalls=dict.fromkeys(switches, 0.025))


@pytest.fixture
def driver() -> Driver:
    return Driver()


async def three(bench: Bench) -> list[Ref[VM]]:
    """Two that run and one that does not."""
    vms = [await bench.sample_vm(name, disks=2) for name in ("a", "b", "c")]
    for vm in vms[:2]:
        await bench.session.VM.start(vm)
    return vms


async def refused(bench: Bench, vms: Sequence[Ref[VM]]) -> Failure:
    with pytest.raises(Failure) as caught:
        await bench.session.VM.snapshot_group(vms, "group")
    return caught.value


async def assert_none_taken(bench: Bench, driver: Driver, vms: Sequence[Ref[VM]]) -> None:
    assert [bench.vm(vm).snapshots for vm in vms] == [frozenset()] * len(vms)
    for vm in vms[:2]:
        assert bench.vm(vm).power_state is VMPowerState.Running
        assert driver.state(bench.vm(vm).uuid) == "running"
        assert await active(bench, driver, vm)
    assert not any(bench.vm(vm).current_operations for vm in vms)
    assert_tidy(bench)


async def test_the_figures_are_on_each_snapshot(bench: Bench) -> None:
    vms = await three(bench)
    snaps = await bench.session.VM.snapshot_group(vms, "group")
    assert [bench.vm(snap).snapshot_of for snap in snaps] == vms
    configs = [bench.vm(snap).other_config for snap in snaps]
    assert len({config[GROUP_KEY] for config in configs}) == 1
    assert [config[SPREAD_KEY] for config in configs] == ["12.5"] * 3
    assert [config.get("stillframe.stall-ms") for config in configs] == ["25.0", "25.0", None]
    again = await bench.session.VM.snapshot_group(vms[:1], "alone")
    assert bench.vm(again[0]).other_config[GROUP_KEY] != configs[0][GROUP_KEY]
    assert_tidy(bench)


@pytest.mark.parametrize("count", [0, 1])
async def test_a_group_that_switched_in_part_is_undone(bench: Bench, driver: Driver, count: int) -> None:
    vms = await three(bench)
    driver.switch_only = count
    assert (await refused(bench, vms)).code == "VM_HYPERVISOR_FAILURE"
    await assert_none_taken(bench, driver, vms)
    hidden = [vdi for vdi in bench.store.all(VDI).values() if not vdi.managed]
    assert len(hidden) == 2 * count
    driver.switch_only = -1
    snaps = await bench.session.VM.snapshot_group(vms, "group")
    assert len(snaps) == 3
    assert_tidy(bench)


@pytest.mark.parametrize("lost", ["answer", "all but the answer"])
async def test_a_group_that_switched_whole_is_completed(bench: Bench, driver: Driver, lost: str) -> None:
    vms = await three(bench)
    if lost == "answer":
        driver.answer = False
    else:
        driver.switch_only = 2
    snaps = await bench.session.VM.snapshot_group(vms, "group")
    assert [bench.vm(snap).snapshot_of for snap in snaps] == vms
    assert all(SPREAD_KEY not in bench.vm(snap).other_config for snap in snaps), "nobody measured it"
    assert [driver.state(bench.vm(vm).uuid) for vm in vms[:2]] == ["running", "running"]
    assert_tidy(bench)


async def test_guests_that_die_in_the_switch_keep_what_they_wrote(bench: Bench, driver: Driver) -> None:
    vms = await three(bench)
    driver.die = True
    await refused(bench, vms)
    assert all(not bench.vm(vm).snapshots for vm in vms)
    driver.die = False
    assert_tidy(bench)


async def test_a_group_that_cannot_be_recorded_is_settled_before_anything_else(
    bench: Bench, driver: Driver, data_dir: Path
) -> None:
    vms = await three(bench)
    with failing_writes(bench):
        assert (await refused(bench, vms)).code == "SR_BACKEND_FAILURE_44"
        assert set(bench.engine.context.unsettled) == set(vms)
        with pytest.raises(Failure):
            await bench.session.VM.snapshot(vms[1], "before it is settled")
        assert set(bench.engine.context.unsettled) == set(vms)
    # All had switched, so that it is completed late is right.
    await bench.session.VM.snapshot(vms[2], "after")
    assert [len(bench.vm(vm).snapshots) for vm in vms] == [1, 1, 2]
    assert bench.engine.context.unsettled == {}, "what one VM has settled the others need not"
    for vm in vms:
        await bench.session.VM.snapshot(vm, "more")
    assert [len(bench.vm(vm).snapshots) for vm in vms] == [2, 2, 3]
    assert bench.engine.context.unsettled == {}
    assert_tidy(bench)


async def test_an_unsettled_group_is_completed_by_the_next_engine(data_dir: Path, driver: Driver) -> None:
    async with open_bench(data_dir, driver, kill_guests=False) as bench:
        vms = await three(bench)
        with failing_writes(bench):
            await refused(bench, vms)
    async with open_bench(data_dir, driver) as bench:
        assert [len(bench.vm(vm).snapshots) for vm in vms] == [1, 1, 1]
        assert_tidy(bench)


async def test_none_is_prepared_when_one_is_not_ready(bench: Bench) -> None:
    vms = await three(bench)
    missing = bench.image(vms[2], "1")
    missing.rename(missing.with_suffix(".away"))
    assert (await refused(bench, vms)).code == "SR_BACKEND_FAILURE_46"
    assert all(bench.vm(vm).snapshots == frozenset() for vm in vms)
    missing.with_suffix(".away").rename(missing)
    await bench.session.call("VM.add_to_blocked_operations", vms[1], "snapshot", "not now")
    assert (await refused(bench, vms)).description() == ["OPERATION_BLOCKED", vms[1], "not now"]
    assert_tidy(bench)


async def test_space_for_all_is_looked_at(bench: Bench, monkeypatch: pytest.MonkeyPatch) -> None:
    vms = await three(bench)
    each = int((await bench.session.VM.get_snapshot_readiness(vms[0], VMOperation.snapshot))["space-needed"])
    usage = SpaceUsage(100 << 30, 0, 3 * each - 1)
    monkeypatch.setattr(FileRepository, "usage", lambda self: usage)
    failure = await refused(bench, vms)
    assert failure.code == "SR_BACKEND_FAILURE_44" and "for all" in failure.params[2]
    assert len(await bench.session.VM.snapshot_group(vms[:2], "fits")) == 2


async def test_a_guest_that_does_not_answer_keeps_no_other_from_running(bench: Bench, driver: Driver) -> None:
    """The engine dies while all stand still; when the next opens, one QEMU is beyond reach."""
    vms = await three(bench)
    first, second = sorted(bench.vm(vm).uuid for vm in vms[:2])
    driver.switch_only, driver.unreachable = 2, first
    await refused(bench, vms)
    assert (driver.state(first), driver.state(second)) == ("paused", "running")
    assert set(bench.engine.context.unsettled) == set(vms)
    driver.switch_only, driver.unreachable = -1, ""
    await bench.session.VM.snapshot(vms[2], "later")
    assert (driver.state(first), driver.state(second)) == ("running", "running")
    assert [len(bench.vm(vm).snapshots) for vm in vms] == [1, 1, 2]
    assert_tidy(bench)


async def test_groups_that_make_no_sense(bench: Bench) -> None:
    vms = await three(bench)
    snaps = await bench.session.VM.snapshot_group(vms, "group")
    single = await bench.session.VM.snapshot(vms[0], "single")
    other = await bench.session.VM.snapshot_group(vms[:1], "other")
    for wrong in ([], [vms[0], vms[0]]):
        assert (await refused(bench, wrong)).code == "INVALID_VALUE"
    assert (await refused(bench, [snaps[0]])).code == "VM_IS_SNAPSHOT"
    no_group: tuple[list[Ref[VM]], ...] = (
        [],
        [single],
        [snaps[0], other[0]],
        [snaps[0], snaps[0]],
        [snaps[1], single],
        [vms[0]],
    )
    for snapshots in no_group:
        with pytest.raises(Failure, match="INVALID_VALUE"):
            await bench.session.VM.revert_group(snapshots)


# Revert


async def test_a_group_goes_back_or_says_who_did_not(
    bench: Bench, driver: Driver, monkeypatch: pytest.MonkeyPatch
) -> None:
    vms = await three(bench)
    snaps = await bench.session.VM.snapshot_group(vms, "group")
    images = {vm: bench.image(vm) for vm in vms}
    real = vm_power.stop_guest

    async def stop_guest(context: object, vm: str) -> None:
        if vm == vms[1]:
            raise Failure("VM_HYPERVISOR_FAILURE", vm, "a test", "")
        await real(context, vm)  # type: ignore[arg-type]

    monkeypatch.setattr(vm_revert, "stop_guest", stop_guest)
    with pytest.raises(Failure) as caught:
        await bench.run(VMCalls.revert_group, snaps)
    code, snapshot, vm, text = caught.value.description()
    assert (code, snapshot, vm) == ("VM_REVERT_FAILED", snaps[1], vms[1])
    assert text.startswith("1 of 3 VMs were not reverted.") and "“b”" in text and "a test" in text
    assert [bench.image(vm) == image for vm, image in images.items()] == [False, True, False]
    assert [bench.vm(vm).power_state.value for vm in vms] == ["Halted", "Running", "Halted"]
    assert_tidy(bench)
    monkeypatch.undo()
    await bench.run(VMCalls.revert_group, snaps)
    assert [bench.vm(vm).power_state.value for vm in vms] == ["Halted"] * 3
    assert_tidy(bench)


async def test_nothing_goes_back_when_one_cannot_be_prepared(bench: Bench, driver: Driver) -> None:
    vms = await three(bench)
    snaps = await bench.session.VM.snapshot_group(vms, "group")
    images = {vm: bench.image(vm) for vm in vms}
    frozen = bench.image(snaps[1])
    frozen.rename(frozen.with_suffix(".away"))
    with pytest.raises(Failure, match="SR_BACKEND_FAILURE_46"):
        await bench.run(VMCalls.revert_group, snaps)
    frozen.with_suffix(".away").rename(frozen)
    assert {vm: bench.image(vm) for vm in vms} == images
    assert [bench.vm(vm).power_state.value for vm in vms] == ["Running", "Running", "Halted"]
    assert [driver.state(bench.vm(vm).uuid) for vm in vms] == ["running", "running", "absent"]
    assert_tidy(bench)
