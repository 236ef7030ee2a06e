"""The channel of a guest that has no agent, and of one that an older version started. Agents: tests/engine/linux."""

from __future__ import annotations

import dataclasses
import os
import stat
from typing import Any

import pytest

from app.hypervisor import agent, launch
from app.hypervisor.argv import AGENT_PORT, build_argv
from app.hypervisor.driver import DriverError
from app.hypervisor.qemu import QemuDriver
from tests.engine.hypervisor.guests import Events, GuestFolder, ticks


def without_the_ports_id(*args: Any, **more: Any) -> list[str]:
    """The command line as the first version wrote it."""
    argv = [part.replace(f"id={AGENT_PORT},", "") for part in build_argv(*args, **more)]
    assert not any(AGENT_PORT in part for part in argv)
    return argv


async def test_the_channel_is_private_and_nobody_answers(
    driver: QemuDriver, folder: GuestFolder, events: Events, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(agent, "GREETING_SECONDS", 0.3)
    spec = folder.spec()
    await driver.start(spec)
    (run,) = folder.run_folders()
    channel = (run / "agent").stat()
    assert stat.S_ISSOCK(channel.st_mode) and stat.S_IMODE(channel.st_mode) == 0o600
    assert stat.S_IMODE(run.stat().st_mode) == 0o700
    assert len(os.fsencode(run / "agent")) <= 107
    assert not driver.has_agent(spec.uuid)
    assert not await driver.look_for_agent(spec.uuid)
    # QEMU takes the connection whether there is an agent or not.
    with pytest.raises(DriverError, match="in time") as caught:
        await driver.freeze(spec.uuid, 5)
    assert caught.value.cause == "state", "the guest was told nothing"
    with pytest.raises(DriverError, match="in time"):
        await driver.thaw(spec.uuid, 0.5)
    assert [event for event in events.all if event.kind == "agent"] == []
    await driver.kill(spec.uuid)
    assert not driver.has_agent(spec.uuid)
    with pytest.raises(DriverError, match="not running"):
        await driver.thaw(spec.uuid, 0.5)


async def test_memory_that_an_older_version_saved_is_restored(
    driver: QemuDriver, folder: GuestFolder, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Its port had no id, which is not part of a guest's state."""
    spec = folder.spec()
    memory = folder.data / "memory.bin"
    with monkeypatch.context() as older:
        older.setattr(launch, "build_argv", without_the_ports_id)
        await driver.start(spec)
        before = await ticks(driver, spec.uuid, 4)
        assert not await driver.look_for_agent(spec.uuid)
        saved = await driver.save(spec.uuid, memory, lambda fraction: None)
    await driver.kill(spec.uuid)
    await driver.start(dataclasses.replace(spec, machine=saved.machine, cpu=saved.cpu), restore=memory)
    after = await ticks(driver, spec.uuid, 1)
    assert after.since_boot > before.since_boot
    assert after.counter == after.since_boot
    assert not driver.has_agent(spec.uuid)
