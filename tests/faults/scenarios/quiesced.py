"""Quiesced snapshots of a real Linux guest: whoever dies, the guest must not stay frozen."""

from __future__ import annotations

import asyncio
from collections.abc import Mapping
from pathlib import Path

from app.api import VM, Failure, Ref, VMCalls, VMOperation, VMPowerState
from app.ops import quiesce
from tests.engine.linux.guest import PATIENCE, Linux
from tests.faults.scenarios.base import Facts, Scenario
from tests.support import linux_guest
from tests.support.engine import Bench
from tests.support.ext4 import file_system_on


async def suspended_linux(bench: Bench, folder: Path) -> Facts:
    """A Linux guest that only has to be woken: it is prepared once and copied."""
    guest = Linux(folder)
    guest.bench = bench
    await guest.make()
    await guest.boot()
    ticks, process = await guest.tick()
    await guest.shell("sync")  # what a guest that is killed soon must have left
    await bench.session.VM.suspend(guest.vm)
    return {"vm": guest.vm, "ticks": ticks, "process": process, "folder": str(folder), "frozen": {}}


async def wake_and_snapshot(bench: Bench, facts: Facts) -> None:
    await _awake(bench, facts["vm"])
    await bench.run(VMCalls.snapshot_with_quiesce, facts["vm"], "new")


async def _awake(bench: Bench, vm: Ref[VM]) -> None:
    """Running, and its agent answers."""
    if bench.vm(vm).power_state is VMPowerState.Suspended:
        await bench.run(VMCalls.resume, vm)
    elif bench.vm(vm).power_state is VMPowerState.Paused:
        await bench.run(VMCalls.unpause, vm)  # the engine died between the resume's last two steps
    async with asyncio.timeout(PATIENCE):
        while VMOperation.snapshot_with_quiesce not in bench.vm(vm).allowed_operations:
            if bench.vm(vm).power_state is not VMPowerState.Running:
                raise Failure("VM_BAD_POWER_STATE", vm, "running", "halted")  # QEMU died
            await asyncio.sleep(0.02)


async def writes_on(bench: Bench, facts: Facts) -> None:
    """The guest is not frozen, counts on in the same process, and a snapshot shows what it claims to."""
    guest = Linux(Path(facts["folder"]))
    guest.bench, guest.vm = bench, facts["vm"]
    await _awake(bench, guest.vm)
    assert not await bench.engine.context.driver.is_frozen(guest.uuid)
    ticks, process = await guest.tick(facts["ticks"])
    assert process == facts["process"]
    assert (await guest.tick(ticks))[1] == process
    assert await guest.shell("echo still >/data/still; sync; cat /data/still") == "still"
    snapshots_keep_their_word(bench, facts)


async def whole_without_its_guest(bench: Bench, facts: Facts) -> None:
    """QEMU died: what was written is there, as after a power cut or better."""
    assert bench.vm(facts["vm"]).power_state in (VMPowerState.Halted, VMPowerState.Suspended)
    snapshots_keep_their_word(bench, facts)
    with file_system_on(bench.image(facts["vm"])) as found:
        found.recover()
        assert found.read("/counter") is not None


def snapshots_keep_their_word(bench: Bench, facts: Facts) -> None:
    """One that says it is consistent is so without any recovery, the others after it."""
    for snap in bench.vm(facts["vm"]).snapshots:
        kept = bench.vm(snap).other_config
        with file_system_on(bench.image(snap)) as found:
            if kept[quiesce.CONSISTENCY] == quiesce.FILE_SYSTEM:
                assert (found.needs_recovery(), found.complaints()) == (False, "")
                assert int(found.read("/counter") or 0) >= facts["ticks"] - 1
            else:
                assert kept[quiesce.REASON]
                found.recover()
                assert found.read("/counter") is not None


def no_linux() -> str | None:
    return linux_guest.available(agent=True)


SCENARIOS: Mapping[str, Scenario] = {
    "snapshot_quiesced": Scenario(
        suspended_linux, wake_and_snapshot, writes_on, missing=no_linux, after_death=whole_without_its_guest
    ),
}
