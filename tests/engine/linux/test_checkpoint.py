"""Checkpoints of a real Linux guest: after a revert its processes and its memory go on as if nothing had been."""

from __future__ import annotations

import asyncio

import pytest

from app.api import VM, Ref, VMCalls, VMGuestMetrics, VMPowerState
from app.ops import quiesce
from tests.engine.linux.guest import PATIENCE, Linux
from tests.engine.vm.guests import assert_tidy

pytestmark = [pytest.mark.asyncio(loop_scope="package"), pytest.mark.timeout(600)]
AHEAD = 25
"""Ticks that the guest counts on before it goes back."""


async def back_at(linux: Linux, checkpoint: Ref[VM]) -> None:
    """Revert and resume."""
    await linux.bench.run(VMCalls.revert, checkpoint)
    assert linux.bench.vm(linux.vm).power_state is VMPowerState.Suspended
    await linux.bench.run(VMCalls.resume, linux.vm)


async def test_processes_memory_and_files_are_those_of_the_checkpoint(linux: Linux) -> None:
    process = await linux.shell("sleep 100000 & echo $!")
    await linux.shell("echo kept >/data/kept; echo in memory >/run/kept; secret=4711")
    before, counting = await linux.tick()
    checkpoint: Ref[VM] = Ref(await linux.bench.run(VMCalls.checkpoint, linux.vm, "with memory"))
    taken, _ = await linux.tick()
    await linux.shell(f"kill -9 {process}; rm /run/kept; secret=gone; echo new >/data/new; rm /data/kept; sync")
    gone_ahead, _ = await linux.tick(taken + AHEAD)

    await back_at(linux, checkpoint)
    ticks, still_counting = await linux.tick()
    assert before <= ticks < gone_ahead, "the counter in memory is the one of the checkpoint"
    assert still_counting == counting
    assert (await linux.tick(ticks))[0] > ticks
    assert await linux.shell(f"kill -0 {process} && echo alive") == "alive"
    assert await linux.shell("echo $secret; cat /run/kept /data/kept") == "4711\nin memory\nkept"
    assert await linux.shell("ls /data/new 2>/dev/null | wc -l") == "0"
    assert await linux.shell("dmesg | grep -ciE 'ext4.*(error|recover)|I/O error'") == "0"
    assert_tidy(linux.bench)


async def test_the_same_checkpoint_again_and_the_agent_with_it(linux: Linux) -> None:
    """The agent's channel is restored too: it answers, and can hold the file systems."""
    (checkpoint,) = linux.bench.vm(linux.vm).snapshots
    ahead, _ = await linux.tick()
    await linux.tick(ahead + AHEAD)
    await back_at(linux, checkpoint)
    ticks, _ = await linux.tick()
    assert ticks < ahead + AHEAD
    async with asyncio.timeout(PATIENCE):
        while not linux.bench.store.get(VMGuestMetrics, linux.bench.vm(linux.vm).guest_metrics).live:  # noqa: ASYNC110
            await asyncio.sleep(0.05)
    assert (await linux.quiesced()).other_config[quiesce.CONSISTENCY] == quiesce.FILE_SYSTEM
    assert_tidy(linux.bench)


async def test_a_checkpoint_of_a_frozen_guest_does_not_stay_frozen(linux: Linux) -> None:
    """No journal knows of it when it wakes: the look at each agent that appears finds it."""
    driver = linux.bench.engine.context.driver
    await driver.freeze(linux.uuid, quiesce.BUDGET_SECONDS)
    checkpoint: Ref[VM] = Ref(await linux.bench.run(VMCalls.checkpoint, linux.vm, "frozen"))
    await driver.thaw(linux.uuid, quiesce.THAW_SECONDS)
    await back_at(linux, checkpoint)
    ticks, _ = await linux.tick()
    await linux.tick(ticks)
    assert await linux.shell("echo thawed >/data/thawed; sync; cat /data/thawed") == "thawed"
    assert not await driver.is_frozen(linux.uuid)
