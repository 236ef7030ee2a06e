"""Processes that are not bound to us: started, known again, noticed when they end, with and without pidfd."""

from __future__ import annotations

import asyncio
import fcntl
import os
import signal
import subprocess
import sys
import threading
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from app.hypervisor import process
from app.hypervisor.process import Process, identity, lock_holder, spawn
from app.hypervisor.qemu import QemuDriver
from tests.engine.hypervisor.guests import Events, GuestFolder, ticks

Start = Callable[[str], int]


@pytest.fixture(params=["pidfd", "polling"])
def watching(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> None:
    """Systems without pidfd_open are imitated by not using it."""
    if request.param == "polling":
        monkeypatch.setattr(process, "_open_process", lambda pid: -1)


@pytest.fixture
def start(tmp_path: Path) -> Iterator[Start]:
    """Start a shell script; its output goes to `log`."""
    pids: list[int] = []

    def begin(script: str) -> int:
        with (tmp_path / "log").open("wb") as log:
            pids.append(spawn(["/bin/sh", "-c", script], descriptors={}, log=log.fileno()))
        return pids[-1]

    yield begin
    for pid in pids:
        try:
            os.kill(pid, signal.SIGKILL)
            os.waitpid(pid, 0)
        except (ProcessLookupError, ChildProcessError):
            pass


@pytest.mark.usefixtures("watching")
@pytest.mark.parametrize(("script", "status"), [("exit 0", 0), ("exit 3", 3), ("kill -9 $$", -9)])
async def test_end_and_status_are_noticed(start: Start, script: str, status: int) -> None:
    child = Process(start(script))
    await child.wait()
    assert not child.alive
    assert child.status == status
    child.signal(signal.SIGKILL)


@pytest.mark.usefixtures("watching")
async def test_signals_arrive(start: Start) -> None:
    child = Process(start("exec sleep 100"))
    assert child.alive
    child.signal(signal.SIGTERM)
    await child.wait()
    assert child.status == -signal.SIGTERM


async def test_a_process_that_is_not_our_child(tmp_path: Path) -> None:
    script = "from subprocess import *; print(Popen(['sleep', '100'], stdout=DEVNULL, stderr=DEVNULL).pid)"
    found = await asyncio.to_thread(subprocess.run, [sys.executable, "-c", script], capture_output=True, check=True)
    other = Process(int(found.stdout))
    other.signal(signal.SIGKILL)
    await other.wait()
    assert other.status is None


async def test_nobody(start: Start) -> None:
    pid = start("exit 0")
    await Process(pid).wait()
    assert identity(pid) == ""
    if hasattr(os, "pidfd_open"):
        with pytest.raises(ProcessLookupError):
            Process(pid)


@pytest.mark.parametrize("proc", [True, False])
async def test_identity_belongs_to_one_process(start: Start, monkeypatch: pytest.MonkeyPatch, proc: bool) -> None:
    monkeypatch.setattr(process, "_HAS_PROC", proc)
    pid = start("exec sleep 100")
    assert identity(pid) == identity(pid) != ""
    if proc:
        assert identity(pid) != identity(os.getpid())
    os.kill(pid, signal.SIGKILL)
    await asyncio.to_thread(os.waitid, os.P_PID, pid, os.WEXITED | os.WNOWAIT)
    assert identity(pid) == "", "a zombie is nobody"


async def test_only_the_given_descriptors_are_handed_on(start: Start, tmp_path: Path) -> None:
    reader, writer = os.pipe()
    os.set_blocking(reader, False)
    os.set_inheritable(reader, True)
    try:
        with (tmp_path / "log").open("wb") as log:
            script = "ls /proc/self/fd; echo heard > /dev/fd/10"
            pid = spawn(["/bin/sh", "-c", script], descriptors={10: writer}, log=log.fileno())
        await Process(pid).wait()
        assert os.read(reader, 100) == b"heard\n"
    finally:
        os.close(reader)
        os.close(writer)
    listed = (tmp_path / "log").read_text().split()
    assert set(listed) <= {"0", "1", "2", "3", "10"}  # 3 is the folder that ls reads


async def test_targets_that_are_our_sources_are_not_mixed_up(tmp_path: Path) -> None:
    """Descriptor numbers of the child may be the numbers of other descriptors of ours."""
    pipes = [os.pipe() for _ in range(2)]
    first, second = pipes[0][1], pipes[1][1]
    for reader, _ in pipes:
        os.set_blocking(reader, False)
    with (tmp_path / "log").open("wb") as log:
        script = f"echo one > /dev/fd/{second}; echo two > /dev/fd/{first}"
        pid = spawn(["/bin/sh", "-c", script], descriptors={second: first, first: second}, log=log.fileno())
    await Process(pid).wait()
    assert [os.read(reader, 100) for reader, _ in pipes] == [b"one\n", b"two\n"]
    for descriptor in (number for pipe in pipes for number in pipe):
        os.close(descriptor)


async def test_lock_holder(tmp_path: Path, start: Start) -> None:
    path = tmp_path / "pid"
    assert lock_holder(path) == 0
    path.write_text("1\n")
    assert lock_holder(path) == 0
    script = (
        f"import fcntl; f = open({str(path)!r}, 'r+'); fcntl.lockf(f, fcntl.LOCK_EX); print(1, flush=True); input()"
    )
    holder = await asyncio.create_subprocess_exec(
        sys.executable, "-c", script, stdin=asyncio.subprocess.PIPE, stdout=asyncio.subprocess.PIPE
    )
    assert holder.stdout is not None
    await holder.stdout.readline()
    assert lock_holder(path) == 1
    await holder.communicate(b"\n")
    assert lock_holder(path) == 0
    with path.open("r+") as file:
        fcntl.lockf(file, fcntl.LOCK_EX)  # free again


def test_guests_run_from_a_thread_with_a_loop_of_its_own(folder: GuestFolder) -> None:
    spec = folder.spec()
    failures: list[BaseException] = []

    async def live() -> None:
        driver, events = QemuDriver(folder.data), Events()
        await driver.open(events.take)
        await driver.start(spec)
        await ticks(driver, spec.uuid)
        await driver.kill(spec.uuid)
        await events.next("stopped")
        await driver.close()

    def run() -> None:
        try:
            with asyncio.Runner(loop_factory=asyncio.SelectorEventLoop) as runner:
                runner.run(live())
        except BaseException as error:
            failures.append(error)

    thread = threading.Thread(target=run)
    thread.start()
    thread.join()
    assert not failures
