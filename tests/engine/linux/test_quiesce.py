"""Quiesced snapshots of a real Linux guest with ext4 and qemu-ga. The tests go on with one guest, in their order."""

from __future__ import annotations

import asyncio
import os
import signal

import pytest

from app.api import VM, Ref, VMCalls, VMGuestMetrics, VMOperation, VMPowerState
from app.hypervisor.driver import FreezeFacts
from app.ops import quiesce
from tests.engine.linux.guest import PATIENCE, Linux
from tests.engine.vm.guests import assert_tidy, pid_of
from tests.support import linux_guest
from tests.support.ext4 import file_system_on

pytestmark = [pytest.mark.asyncio(loop_scope="package"), pytest.mark.timeout(600)]


def image_of(linux: Linux, snapshot: VM) -> tuple[bool, str, str | None]:
    """Of the snapshot's disk: does it need recovery, what does a check say, what does the counter read?"""
    with file_system_on(linux.bench.image(linux.bench.store.by_uuid(VM, snapshot.uuid))) as found:
        return found.needs_recovery(), found.complaints(), found.read("/counter")


async def test_the_agent_tells_of_the_guest(linux: Linux) -> None:
    told = linux.bench.store.get(VMGuestMetrics, linux.bench.vm(linux.vm).guest_metrics)
    assert told.live and told.PV_drivers_detected
    assert told.os_version["name"] == "Stillframe test Linux 1"
    assert told.os_version["hostname"] == "stillframe-linux"
    assert told.networks == {"0/ip": linux_guest.ADDRESS, "0/ipv4/0": linux_guest.ADDRESS} | {
        key: value for key, value in told.networks.items() if key.startswith("0/ipv6/")
    }
    assert VMOperation.snapshot_with_quiesce in linux.bench.vm(linux.vm).allowed_operations


async def test_without_the_agent_the_file_system_has_to_recover(linux: Linux) -> None:
    """The counterproof: the next test's proof is able to fail."""
    snapshot = linux.bench.vm(await linux.bench.run(VMCalls.snapshot, linux.vm, "plain", []))
    needs_recovery, _, _ = image_of(linux, snapshot)
    assert needs_recovery
    assert snapshot.other_config[quiesce.CONSISTENCY] == quiesce.CRASH


async def test_with_the_agent_the_file_system_is_clean(linux: Linux) -> None:
    before, process = await linux.tick()
    snapshot = await linux.quiesced()
    after, same_process = await linux.tick(before)
    assert (snapshot.other_config[quiesce.CONSISTENCY], process) == (quiesce.FILE_SYSTEM, same_process)
    assert snapshot.snapshot_info["disk-snapshot-type"] == "quiesced"
    assert 0 < float(snapshot.other_config[quiesce.FREEZE_TIME]) < 1000 * quiesce.BUDGET_SECONDS
    needs_recovery, complaints, counted = image_of(linux, snapshot)
    assert not needs_recovery
    assert complaints == ""
    # The last number written before the freeze is whole and in the snapshot, without any sync of the guest's own.
    assert counted is not None and before - 1 <= int(counted) <= after
    assert_tidy(linux.bench)


async def test_a_guest_left_frozen_is_let_go_by_the_next_engine(linux: Linux) -> None:
    """As after a kill between freeze and switch; the kill itself is one of the fault scenarios."""
    context = linux.bench.engine.context
    context.journal.begin(quiesce.FREEZE, vm=linux.vm)
    await context.driver.freeze(linux.uuid, quiesce.BUDGET_SECONDS)
    assert await context.driver.is_frozen(linux.uuid)
    await linux.close()
    await linux.open()
    assert linux.bench.vm(linux.vm).power_state is VMPowerState.Running
    assert not await linux.bench.engine.context.driver.is_frozen(linux.uuid)
    assert_tidy(linux.bench)
    counter, _ = await linux.tick()
    await linux.tick(counter)


async def test_an_agent_that_ends_is_noticed(linux: Linux) -> None:
    driver = linux.bench.engine.context.driver
    await linux.shell("kill $(cat /run/qemu-ga.pid)")
    async with asyncio.timeout(PATIENCE):
        while VMOperation.snapshot_with_quiesce in linux.bench.vm(linux.vm).allowed_operations:  # noqa: ASYNC110
            await asyncio.sleep(0.05)
    assert not driver.has_agent(linux.uuid)
    assert not linux.bench.store.get(VMGuestMetrics, linux.bench.vm(linux.vm).guest_metrics).live
    await linux.shell("qemu-ga -d -t /run -f /run/qemu-ga.pid")
    async with asyncio.timeout(PATIENCE):
        while VMOperation.snapshot_with_quiesce not in linux.bench.vm(linux.vm).allowed_operations:  # noqa: ASYNC110
            await asyncio.sleep(0.05)
    assert (await linux.quiesced("again")).other_config[quiesce.CONSISTENCY] == quiesce.FILE_SYSTEM


async def test_a_stopped_agent_costs_the_consistency_and_not_the_snapshot(
    linux: Linux, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Its port is open and it answers nothing: it may freeze when it goes on, so it is told to let go until it has."""
    monkeypatch.setattr(quiesce, "BUDGET_SECONDS", 0.5)
    monkeypatch.setattr(quiesce, "THAW_SECONDS", 0.5)
    await linux.shell("kill -STOP $(cat /run/qemu-ga.pid)")
    snapshot = await linux.quiesced("stopped")
    assert snapshot.other_config[quiesce.CONSISTENCY] == quiesce.CRASH
    assert snapshot.other_config[quiesce.REASON] == "The guest's agent did not answer in time."
    await linux.shell("kill -CONT $(cat /run/qemu-ga.pid)")
    async with asyncio.timeout(PATIENCE):
        while linux.bench.engine.context.freezing:  # noqa: ASYNC110
            await asyncio.sleep(0.05)
    assert not await linux.bench.engine.context.driver.is_frozen(linux.uuid)
    assert_tidy(linux.bench)
    counter, _ = await linux.tick()
    await linux.tick(counter)


async def test_after_a_revert_the_file_is_gone(linux: Linux) -> None:
    """And the reverted guest starts from a file system that needs no recovery."""
    await linux.shell("echo before >/data/before")
    snapshot = await linux.quiesced("to return to")
    assert await linux.shell("echo after >/data/after; sync; cat /data/after") == "after"
    ref: Ref[VM] = linux.bench.store.by_uuid(VM, snapshot.uuid)
    await linux.bench.run(VMCalls.revert, ref)
    assert linux.bench.vm(linux.vm).power_state is VMPowerState.Halted
    with file_system_on(linux.bench.image(linux.vm)) as found:
        assert not found.needs_recovery()
        assert (found.read("/before"), found.read("/after")) == ("before\n", None)
    await linux.boot()
    assert await linux.shell("cat /data/before; ls /data/after 2>/dev/null") == "before"
    assert await linux.shell("dmesg | grep -ci 'ext4.*recover'") == "0"
    assert_tidy(linux.bench)


async def test_a_guest_that_is_killed_while_it_is_frozen(linux: Linux, monkeypatch: pytest.MonkeyPatch) -> None:
    """QEMU dies between the freeze and the switch. The snapshot shows what was there, and nothing is left over."""
    driver = linux.bench.engine.context.driver
    freeze = driver.freeze

    async def freeze_and_die(uuid: str, budget: float) -> FreezeFacts:
        facts = await freeze(uuid, budget)
        os.kill(pid_of(linux.folder, uuid), signal.SIGKILL)
        return facts

    monkeypatch.setattr(driver, "freeze", freeze_and_die)
    await linux.shell("echo one >/data/one; sync")
    snapshot = await linux.quiesced("killed")
    assert snapshot.other_config[quiesce.CONSISTENCY] == quiesce.CRASH
    async with asyncio.timeout(PATIENCE):
        await linux.bench.state(linux.vm, VMPowerState.Halted)
        while linux.bench.engine.context.freezing:  # noqa: ASYNC110
            await asyncio.sleep(0.05)
    assert_tidy(linux.bench)
    with file_system_on(linux.bench.image(linux.vm)) as found:
        assert (found.read("/one"), found.complaints()) == ("one\n", "")
