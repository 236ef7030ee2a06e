"""What the forked child does: open an engine over the prepared folder, and act while it is watched or disturbed."""

from __future__ import annotations

import asyncio
import os
import signal
from pathlib import Path
from typing import Any

from app.api import VM, Failure, VMPowerState
from tests.engine.vm.guests import PATIENCE, processes_of
from tests.faults.arming import Cut, Recorder, Trap
from tests.faults.refusing import CONTROL, ERRORS, Refusal
from tests.faults.scenarios import SCENARIOS, Facts
from tests.faults.world import assert_sound
from tests.support.engine import Bench, open_bench

_SOON_OVER = {"keep_screenshot.<locals>.keep", "_settle"}
"""Work of the engine that nobody waits for and that ends by itself; housekeeping and schedules have no end."""
_WITH_GUEST = (VMPowerState.Running, VMPowerState.Paused)


def killed_mark(folder: Path) -> Path:
    """The file that tells that a guest was killed, beside the data folder."""
    return folder.with_name("killed")


async def record(name: str, folder: Path, facts: Facts) -> dict[str, Any]:
    """Act undisturbed; answer the points passed and the seconds it took."""
    recorder, changes = Recorder(), Refusal(folder) if CONTROL in os.environ else None
    async with open_bench(folder, kill_guests=False) as bench:
        recorder.begin()
        if changes:
            changes.begin()
        await SCENARIOS[name].act(bench, facts)
        if changes:
            changes.end()
        seconds, calls = recorder.seconds(), changes.count if changes else 0
        return {"points": list(recorder.points), "seconds": seconds, "calls": calls}


async def disturb(cut: Cut, folder: Path, facts: Facts) -> dict[str, Any]:
    """Act with somebody dying on the way. If that is QEMU alone, this engine has to cope with it."""
    if cut.victim in ERRORS:
        return await refuse(cut, folder, facts)
    trap = Trap(cut, lambda: processes_of(folder), killed_mark(folder))
    async with open_bench(folder, kill_guests=False) as bench:
        trap.begin()
        refused = ""
        try:
            await SCENARIOS[cut.scenario].act(bench, facts)
        except Failure as failure:
            if cut.victim != "qemu":
                raise
            refused = str(failure)
        await trap.struck()
        if trap.hit:
            await _settled(bench, folder)
            assert_sound(bench, folder)
    return {"reached": trap.hit, "refused": refused}


async def reopen(cut: Cut, folder: Path) -> dict[str, Any]:
    """Open an engine, which recovers, and be killed meanwhile."""
    signal.setitimer(signal.ITIMER_REAL, cut.again / 1e6)
    async with open_bench(folder, kill_guests=False):
        return {"opened": True}


async def refuse(cut: Cut, folder: Path, facts: Facts) -> dict[str, Any]:
    """Act with a write that fails: that is told clearly, and the second try, when there is room again, succeeds."""
    refusal = Refusal(folder, int(cut.point.partition(":")[2]), cut.victim)
    act = SCENARIOS[cut.scenario].act
    async with open_bench(folder, kill_guests=False) as bench:
        refusal.begin()
        failure: Failure | None = None
        try:
            await act(bench, facts)
        except Failure as caught:
            failure = caught
        finally:
            refusal.end()
        try:
            await _settled(bench, folder)
            if failure is not None:
                assert _is_clear(failure), f"that is no sentence for a user: {failure}"
                await act(bench, facts)
                await _settled(bench, folder)
        except Exception as error:
            error.add_note(f"refused was {refusal.first}, and answered {failure}")
            raise
    return {"reached": refusal.hits > 0, "refused": str(failure)}


def _is_clear(failure: Failure) -> bool:
    """Whether it says what is wrong, and not only that something is."""
    if failure.code == "INTERNAL_ERROR":
        return "could not be written" in failure.params[0]
    return failure.code in ("VM_HYPERVISOR_FAILURE", "OPERATION_NOT_ALLOWED") or "SR_BACKEND" in failure.code


async def _settled(bench: Bench, folder: Path) -> None:
    """Wait until the records know of every guest that is gone, and nothing is under way any more."""
    async with asyncio.timeout(PATIENCE):
        while not _agreed(bench, len(processes_of(folder))):  # noqa: ASYNC110
            await asyncio.sleep(0.02)


def _agreed(bench: Bench, living: int) -> bool:
    context, known = bench.engine.context, 0
    for vm in bench.store.all(VM).values():
        alive = context.driver.state(vm.uuid) != "absent"
        known += alive
        if not vm.is_a_snapshot and (vm.current_operations or alive != (vm.power_state in _WITH_GUEST)):
            return False
    running = {str(getattr(task.get_coro(), "__qualname__", "")) for task in context.background}
    return known == living and not running & _SOON_OVER
