"""A QEMU that ends without being asked is noticed, with its last words."""

from __future__ import annotations

import os
import signal

import pytest

from app.hypervisor.qemu import QemuDriver
from tests.engine.hypervisor.guests import Events, GuestFolder, pid_of, ticks


@pytest.mark.parametrize(
    ("number", "reason"), [(signal.SIGKILL, "killed"), (signal.SIGABRT, "crashed"), (signal.SIGTERM, "host-signal")]
)
async def test_death_by_signal(
    driver: QemuDriver, folder: GuestFolder, events: Events, number: signal.Signals, reason: str
) -> None:
    spec = folder.spec()
    await driver.start(spec)
    await ticks(driver, spec.uuid)
    os.kill(pid_of(folder.data, spec.uuid), number)
    stopped = await events.next("stopped")
    assert (stopped.uuid, stopped.reason) == (spec.uuid, reason)
    assert ("terminating on signal 15" in stopped.text) == (reason == "host-signal")
    assert driver.state(spec.uuid) == "absent"
    assert await driver.wait_gone(spec.uuid, 0)
    assert not folder.run_folders()


async def test_wait_gone_sees_the_end(driver: QemuDriver, folder: GuestFolder) -> None:
    spec = folder.spec()
    await driver.start(spec)
    os.kill(pid_of(folder.data, spec.uuid), signal.SIGKILL)
    assert await driver.wait_gone(spec.uuid, 30)


async def test_guest_starts_again_after_its_death(driver: QemuDriver, folder: GuestFolder, events: Events) -> None:
    spec = folder.spec()
    await driver.start(spec)
    os.kill(pid_of(folder.data, spec.uuid), signal.SIGKILL)
    await events.next("stopped")
    await driver.start(spec)
    await ticks(driver, spec.uuid)


async def test_hung_qemu_is_killed_all_the_same(
    driver: QemuDriver, folder: GuestFolder, events: Events, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("app.hypervisor.guest._QUIT_TIMEOUT", 0.2)
    spec = folder.spec()
    await driver.start(spec)
    os.kill(pid_of(folder.data, spec.uuid), signal.SIGSTOP)
    await driver.kill(spec.uuid)
    assert driver.state(spec.uuid) == "absent"
    assert (await events.next("stopped")).reason == "killed"
