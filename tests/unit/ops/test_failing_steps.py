"""A disk that fails at any step of an operation: it is undone or completed, and nothing is left after a restart."""

from __future__ import annotations

import asyncio
from collections import Counter
from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import Any

import pytest

from app import crash_points
from app.api import NULL, VDI, VM, Failure, Ref, VDICalls, VMCalls, VMOperation, VMPowerState
from app.hypervisor.driver import AgentFacts
from app.hypervisor.simulated import SimulatedDriver
from tests.engine.vm.guests import assert_tidy, disks_of
from tests.support.engine import Bench, open_bench

Prepare = Callable[[Bench], Awaitable[tuple[Any, ...]]]


async def halted(bench: Bench) -> tuple[Ref[VM], ...]:
    return (await bench.sample_vm(disks=2),)


async def running(bench: Bench) -> tuple[Ref[VM], ...]:
    (vm,) = await halted(bench)
    await bench.session.VM.start(vm)
    return (vm,)


async def group(bench: Bench) -> tuple[list[Ref[VM]]]:
    """One that runs and one that does not."""
    return ([*await running(bench), *await halted(bench)],)


async def snapshots_of_group(bench: Bench) -> tuple[list[Ref[VM]]]:
    (vms,) = await group(bench)
    return (list(await bench.session.VM.snapshot_group(vms, "group")),)


async def with_agent(bench: Bench) -> tuple[Ref[VM], ...]:
    (vm,) = await running(bench)
    driver = bench.engine.context.driver
    assert isinstance(driver, SimulatedDriver)
    driver.set_agent(bench.vm(vm).uuid, AgentFacts("7.2", can_freeze=True))
    while VMOperation.snapshot_with_quiesce not in bench.vm(vm).allowed_operations:  # noqa: ASYNC110
        await asyncio.sleep(0.01)
    return (vm,)


async def suspended(bench: Bench) -> tuple[Ref[VM], ...]:
    (vm,) = await running(bench)
    await bench.session.VM.suspend(vm)
    return (vm,)


async def snapshot_of_running(bench: Bench) -> tuple[Ref[VM], ...]:
    (vm,) = await running(bench)
    return (await bench.session.VM.snapshot(vm, "snap"),)


async def template(bench: Bench) -> tuple[Ref[VM], ...]:
    return (await bench.session.VM.clone(await bench.session.by_name(VM, "Sample guest"), "new"),)


async def cloned_template(bench: Bench) -> tuple[Ref[VM], bool]:
    (vm,) = await halted(bench)
    await bench.session.VM.set_is_a_template(vm, True)
    await bench.session.VM.clone(vm, "clone")
    return (vm, False)


async def with_snapshots(bench: Bench) -> tuple[Ref[VM], bool]:
    (vm,) = await halted(bench)
    await bench.session.VM.snapshot(vm, "one")
    await bench.session.VM.snapshot(vm, "two")
    return (vm, True)


async def snapshot_of_a_gone_vm(bench: Bench) -> tuple[Ref[VM], ...]:
    (snap,) = await snapshot_of_running(bench)
    await bench.session.VM.uninstall(bench.vm(snap).snapshot_of)
    return (snap,)


async def new_disk(bench: Bench) -> tuple[dict[str, Any]]:
    return ({"SR": bench.sr(), "virtual_size": 1 << 20, "name_label": "disk"},)


async def free_disk(bench: Bench) -> tuple[Ref[VDI], ...]:
    return (await bench.session.VDI.create((await new_disk(bench))[0]),)


async def held_disk(bench: Bench) -> tuple[Ref[VDI], ...]:
    (vm,) = await halted(bench)
    return (disks_of(bench, vm)["1"],)


async def disk_and_place(bench: Bench) -> tuple[Ref[VDI], Ref[Any]]:
    return (*(await held_disk(bench)), bench.sr())  # type: ignore[return-value]


async def source(bench: Bench) -> tuple[Ref[Any], str, str]:
    path = bench.engine.context.screenshots.parent / "source.raw"
    path.write_bytes(bytes(1 << 20))
    return (bench.sr(), str(path), "imported")


OPERATIONS: dict[str, tuple[Prepare, Any, tuple[Any, ...]]] = {
    "snapshot of a halted VM": (halted, VMCalls.snapshot, ("snap",)),
    "snapshot of a running VM": (running, VMCalls.snapshot, ("snap",)),
    "quiesced snapshot": (with_agent, VMCalls.snapshot_with_quiesce, ("snap",)),
    "snapshot of a group": (group, VMCalls.snapshot_group, ("snap",)),
    "revert of a group": (snapshots_of_group, VMCalls.revert_group, ()),
    "revert": (snapshot_of_running, VMCalls.revert, ()),
    "revert that brings a VM back": (snapshot_of_a_gone_vm, VMCalls.revert, ()),
    "clone": (halted, VMCalls.clone, ("clone",)),
    "clone of a snapshot": (snapshot_of_running, VMCalls.clone, ("clone",)),
    "copy": (halted, VMCalls.copy, ("copy", NULL)),
    "copy of a snapshot": (snapshot_of_running, VMCalls.copy, ("copy", NULL)),
    "provision": (template, VMCalls.provision, ()),
    "template to VM": (cloned_template, VMCalls.set_is_a_template, ()),
    "start": (halted, VMCalls.start, ()),
    "suspend": (running, VMCalls.suspend, ()),
    "resume": (suspended, VMCalls.resume, ()),
    "uninstall": (with_snapshots, VMCalls.uninstall, ()),
    "destroy": (halted, VMCalls.destroy, ()),
    "drop memory": (suspended, VMCalls.hard_shutdown, ()),
    "create a disk": (new_disk, VDICalls.create, ()),
    "delete a disk": (free_disk, VDICalls.destroy, ()),
    "clone a disk": (held_disk, VDICalls.clone, ()),
    "copy a disk": (disk_and_place, VDICalls.copy, ()),
    "import": (source, VDICalls.import_file, ()),
}
NOT_FAILING = {"store.written"}
"""After SQL's commit there is nothing left that could fail."""


async def assert_agreed(bench: Bench, driver: SimulatedDriver) -> None:
    """Each guest writes to the files that the records say."""
    for ref, vm in bench.store.all(VM).items():
        alive = driver.state(vm.uuid) != "absent"
        assert alive == (vm.power_state in (VMPowerState.Running, VMPowerState.Paused)), vm
        assert not (alive and driver.has_agent(vm.uuid) and await driver.is_frozen(vm.uuid))
        if alive and ref not in bench.engine.context.unsettled:
            active = await driver.active_disks(vm.uuid)
            held = {f"disk{device}": bench.image(ref, device) for device in disks_of(bench, ref)}
            assert active == held


async def points_of(bench: Bench, name: str, log: Path, monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """Each point that the operation passes, as `name:N`."""
    prepare, message, more = OPERATIONS[name]
    given = await prepare(bench)
    crash_points.reset()
    monkeypatch.setenv(crash_points.CRASH_LOG, str(log))
    await bench.run(message, *given, *more)
    monkeypatch.delenv(crash_points.CRASH_LOG)
    seen: Counter[str] = Counter()
    points = []
    for point in log.read_text().split() if log.exists() else []:
        seen[point] += 1
        if point not in NOT_FAILING:
            points.append(f"{point}:{seen[point]}")
    return points


async def fail_at(bench: Bench, name: str, point: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """Run the operation on objects of its own, with the disk full at the point."""
    prepare, message, more = OPERATIONS[name]
    given = await prepare(bench)
    crash_points.reset()
    monkeypatch.setenv(crash_points.FAIL_AT, f"{point}:enospc")
    try:
        await bench.run(message, *given, *more)
    except Failure as failure:
        assert failure.code in ("SR_BACKEND_FAILURE_44", "INTERNAL_ERROR", "VM_REVERT_FAILED"), failure
    finally:
        monkeypatch.delenv(crash_points.FAIL_AT)


@pytest.mark.parametrize("name", OPERATIONS)
async def test_a_failure_at_any_step(
    name: str, data_dir: Path, tmp_path: Path, driver: SimulatedDriver, monkeypatch: pytest.MonkeyPatch
) -> None:
    async with open_bench(data_dir, driver, kill_guests=False) as bench:
        points = await points_of(bench, name, tmp_path / "points", monkeypatch)
        assert points
        for point in points:
            try:
                await fail_at(bench, name, point, monkeypatch)
                await assert_agreed(bench, driver)
            except BaseException as error:
                error.add_note(f"failing at {point}")
                raise
    async with open_bench(data_dir, driver) as bench:
        assert_tidy(bench)
        await assert_agreed(bench, driver)
