"""Guests outlive the program that started them, and a later one finds them again."""

from __future__ import annotations

import asyncio
import json
import os
import pickle
import signal
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from app.hypervisor.driver import GuestSpec
from app.hypervisor.qemu import QemuDriver
from tests.engine.hypervisor.guests import ROOT, Events, GuestFolder, pid_of, processes_of, ticks

CONTROLLER = """
import asyncio, pickle, sys
from pathlib import Path
from app.hypervisor.qemu import QemuDriver

async def main():
    driver = QemuDriver(Path(sys.argv[1]))
    await driver.open(lambda event: None)
    await driver.start(pickle.load(sys.stdin.buffer), paused=sys.argv[2] == "paused")
    print("started", flush=True)
    await asyncio.Event().wait()

with asyncio.Runner(loop_factory=asyncio.SelectorEventLoop) as runner:
    runner.run(main())
"""


def start_and_die(folder: GuestFolder, spec: GuestSpec, *, paused: bool = False) -> None:
    """Start a guest from another process, and kill that process."""
    arguments = [sys.executable, "-c", CONTROLLER, str(folder.data), "paused" if paused else "running"]
    controller = subprocess.Popen(arguments, cwd=ROOT, stdin=subprocess.PIPE, stdout=subprocess.PIPE)
    with controller:
        assert controller.stdin is not None
        assert controller.stdout is not None
        controller.stdin.write(pickle.dumps(spec))
        controller.stdin.close()
        assert controller.stdout.readline() == b"started\n"
        controller.kill()


@pytest.fixture
def impatient(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    monkeypatch.setattr("app.hypervisor.attach.ATTACH_TIMEOUT", 0.5)
    monkeypatch.setattr("app.hypervisor.guest._QUIT_TIMEOUT", 0.5)
    yield


@pytest.mark.parametrize("paused", [False, True])
async def test_guest_survives_the_death_of_its_controller(
    driver: QemuDriver, folder: GuestFolder, events: Events, paused: bool
) -> None:
    spec = folder.spec(disks=2, cd=folder.iso("disc"))
    start_and_die(folder, spec, paused=paused)
    assert await driver.attach_all() == {spec.uuid: "paused" if paused else "running"}
    assert not events.all
    assert await driver.active_disks(spec.uuid) == {disk.device: disk.path for disk in spec.disks}
    if paused:
        await driver.unpause(spec.uuid)
    await ticks(driver, spec.uuid)
    await driver.powerdown(spec.uuid)
    assert (await events.next("stopped")).reason == "guest-shutdown"


async def test_death_of_an_attached_guest_is_noticed(driver: QemuDriver, folder: GuestFolder, events: Events) -> None:
    spec = folder.spec()
    start_and_die(folder, spec)
    await driver.attach_all()
    os.kill(pid_of(folder.data, spec.uuid), signal.SIGKILL)
    assert (await events.next("stopped")).reason == "killed"


async def test_attached_guest_can_be_killed_and_started_again(driver: QemuDriver, folder: GuestFolder) -> None:
    spec = folder.spec()
    start_and_die(folder, spec)
    await driver.attach_all()
    await driver.kill(spec.uuid)
    await driver.start(spec)
    await ticks(driver, spec.uuid)


async def test_a_second_driver_takes_over_after_close(driver: QemuDriver, folder: GuestFolder) -> None:
    spec = folder.spec()
    first = QemuDriver(folder.data)
    await first.open(Events().take)
    await first.start(spec)
    await first.close()
    assert await driver.attach_all() == {spec.uuid: "running"}
    assert await driver.attach_all() == {spec.uuid: "running"}


async def test_guests_that_ended_meanwhile_are_tidied_up(
    driver: QemuDriver, folder: GuestFolder, events: Events
) -> None:
    spec = folder.spec()
    start_and_die(folder, spec)
    pid = pid_of(folder.data, spec.uuid)
    descriptor = os.pidfd_open(pid)
    os.kill(pid, signal.SIGTERM)
    gone = asyncio.Event()
    asyncio.get_running_loop().add_reader(descriptor, gone.set)
    await gone.wait()
    asyncio.get_running_loop().remove_reader(descriptor)
    os.close(descriptor)
    assert await driver.attach_all() == {}
    assert not folder.run_folders()
    assert not events.all
    assert "terminating on signal 15" in driver.last_words(spec.uuid)


async def test_a_guest_whose_pid_was_never_noted_is_found(driver: QemuDriver, folder: GuestFolder) -> None:
    """The controller may be killed between the start of the process and the note of its pid."""
    spec = folder.spec()
    start_and_die(folder, spec)
    record = folder.data / "vm" / spec.uuid / "vm.json"
    record.write_text(json.dumps({**json.loads(record.read_text()), "pid": 0, "identity": ""}))
    assert await driver.attach_all() == {spec.uuid: "running"}
    await driver.kill(spec.uuid)
    assert not processes_of(folder.data)


async def test_a_stranger_with_the_noted_pid_is_left_alone(driver: QemuDriver, folder: GuestFolder) -> None:
    spec = folder.spec()
    await driver.start(spec)
    await driver.kill(spec.uuid)
    stranger = subprocess.Popen(["sleep", "60"])  # noqa: ASYNC220 - waited for below
    try:
        record = folder.data / "vm" / spec.uuid / "vm.json"
        record.write_text(json.dumps({**json.loads(record.read_text()), "pid": stranger.pid}))
        assert await driver.attach_all() == {}
        assert stranger.poll() is None
    finally:
        stranger.kill()
        stranger.wait()


@pytest.mark.usefixtures("impatient")
async def test_the_rescue_monitor_helps_when_the_first_is_taken(driver: QemuDriver, folder: GuestFolder) -> None:
    spec = folder.spec()
    start_and_die(folder, spec)
    run = Path(json.loads((folder.data / "vm" / spec.uuid / "vm.json").read_text())["run"])
    reader, writer = await asyncio.open_unix_connection(run / "qmp-engine")
    assert b"QMP" in await reader.readline()
    assert await driver.attach_all() == {spec.uuid: "running"}
    await driver.pause(spec.uuid)
    assert driver.state(spec.uuid) == "paused"
    writer.close()
    await writer.wait_closed()


@pytest.mark.usefixtures("impatient")
async def test_a_hung_guest_is_kept_and_can_be_killed(driver: QemuDriver, folder: GuestFolder, events: Events) -> None:
    spec = folder.spec()
    start_and_die(folder, spec)
    os.kill(pid_of(folder.data, spec.uuid), signal.SIGSTOP)
    assert await driver.attach_all() == {spec.uuid: "unresponsive"}
    await driver.kill(spec.uuid)
    assert (await events.next("stopped")).reason == "killed"
    assert not folder.run_folders()


async def test_a_long_data_path_finds_a_short_place_for_sockets(tmp_path: Path, found_facts: Path) -> None:
    data = tmp_path / ("long-" * 20) / "data"
    data.mkdir(parents=True)
    (data / "hypervisor.json").write_bytes(found_facts.read_bytes())
    folder = GuestFolder(data)
    spec = folder.spec()
    first, second = QemuDriver(data), QemuDriver(data)
    await first.open(Events().take)
    await first.start(spec)
    run = folder.run_folders()[0]
    assert not run.is_relative_to(data)
    assert run.parent.stat().st_mode & 0o777 == 0o700
    await first.close()
    await second.open(Events().take)
    assert await second.attach_all() == {spec.uuid: "running"}
    await ticks(second, spec.uuid)
    await second.kill(spec.uuid)
    await second.close()
    assert not run.parent.exists()
