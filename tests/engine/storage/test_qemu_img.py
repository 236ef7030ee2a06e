"""The qemu-img runner: progress, cancelling, failures in words, and loops outside the main thread."""

from __future__ import annotations

import asyncio
import contextlib
import os
import select
import shutil
import signal
import subprocess
import sys
import threading
from pathlib import Path

import pytest

from app.storage import qemu_img
from app.storage.errors import StorageError
from tests.engine.storage.conftest import Tool, held_open

MIB = 1 << 20


@pytest.fixture
def slow_source(tmp_path: Path) -> Path:
    """A raw image that takes long enough to copy that a copy can be interrupted at its first progress."""
    path = tmp_path / "source.raw"
    path.write_bytes(os.urandom(1 << 16) * 1024)
    return path


def _processes(argument: Path) -> list[int]:
    """Processes with this path among their arguments, ended ones that nobody waited for left out."""
    found = []
    for folder in Path("/proc").glob("[0-9]*"):
        with contextlib.suppress(OSError):
            if os.fsencode(argument) in (folder / "cmdline").read_bytes():
                found.append(int(folder.name))
    return found


async def test_converts_with_progress(tmp_path: Path, slow_source: Path, tool: Tool) -> None:
    target, seen = tmp_path / "target.qcow2", list[float]()
    await qemu_img.convert(slow_source, "raw", target, progress=seen.append)
    assert seen[-1] == 1.0
    assert seen == sorted(set(seen))
    assert len(seen) > 10
    tool("qemu-img", "compare", "-f", "raw", "-F", "qcow2", slow_source, target)


async def test_a_set_event_cancels_and_leaves_nothing(tmp_path: Path, slow_source: Path) -> None:
    cancel = asyncio.Event()
    with pytest.raises(StorageError, match="cancelled") as caught:
        await qemu_img.convert(
            slow_source, "raw", tmp_path / "target.qcow2", progress=lambda _: cancel.set(), cancel=cancel
        )
    assert caught.value.cause == "cancelled"
    assert list(tmp_path.iterdir()) == [slow_source]
    assert _processes(tmp_path) == []


async def test_a_chain_of_ours_is_read_whatever_lock_a_guest_has(tmp_path: Path, tool: Tool) -> None:
    base, leaf, copy = (tmp_path / f"{name}.qcow2" for name in ("base", "leaf", "copy"))
    tool("qemu-img", "create", "-q", "-f", "qcow2", base, "4M")
    tool("qemu-io", "-f", "qcow2", "-c", "write -P 7 0 1M", base)
    tool("qemu-img", "create", "-q", "-f", "qcow2", "-b", base, "-F", "qcow2", leaf)
    async with held_open(base):
        assert await qemu_img.measure(leaf, "qcow2", follow_parent=True) > MIB
        await qemu_img.convert(leaf, "qcow2", copy, follow_parent=True)
        with pytest.raises(StorageError) as caught:
            await qemu_img.measure(base, "qcow2")
    assert caught.value.cause == "in_use", "what is not ours has to be free"
    tool("qemu-io", "-f", "qcow2", "-c", "read -P 7 0 1M", copy)


async def test_nothing_starts_when_cancelled_before(tmp_path: Path, slow_source: Path) -> None:
    cancel = asyncio.Event()
    cancel.set()
    with pytest.raises(StorageError, match="cancelled"):
        await qemu_img.convert(slow_source, "raw", tmp_path / "target.qcow2", cancel=cancel)
    assert list(tmp_path.iterdir()) == [slow_source]


async def test_a_cancelled_task_leaves_nothing(tmp_path: Path, slow_source: Path) -> None:
    begun = asyncio.Event()
    task = asyncio.create_task(
        qemu_img.convert(slow_source, "raw", tmp_path / "target.qcow2", progress=lambda _: begun.set())
    )
    await begun.wait()
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task
    assert list(tmp_path.iterdir()) == [slow_source]
    assert _processes(tmp_path) == []


async def test_a_failing_progress_callback_ends_the_copy(tmp_path: Path, slow_source: Path) -> None:
    def progress(_: float) -> None:
        raise ValueError("no such bar")

    with pytest.raises(ValueError, match="no such bar"):
        await qemu_img.convert(slow_source, "raw", tmp_path / "target.qcow2", progress=progress)
    assert list(tmp_path.iterdir()) == [slow_source]


def test_works_in_a_selector_loop_of_another_thread(tmp_path: Path, slow_source: Path, tool: Tool) -> None:
    target, failures = tmp_path / "target.qcow2", list[BaseException]()

    async def work() -> None:
        await qemu_img.convert(slow_source, "raw", target)
        assert (await qemu_img.check(target, "qcow2")).sound
        cancel = asyncio.Event()
        with pytest.raises(StorageError, match="cancelled"):
            await qemu_img.convert(
                slow_source, "raw", tmp_path / "other.qcow2", progress=lambda _: cancel.set(), cancel=cancel
            )

    def run() -> None:
        loop = asyncio.SelectorEventLoop()
        try:
            loop.run_until_complete(work())
        except BaseException as error:
            failures.append(error)
        finally:
            loop.close()

    thread = threading.Thread(target=run)
    thread.start()
    thread.join()
    assert failures == []
    tool("qemu-img", "compare", "-f", "raw", "-F", "qcow2", slow_source, target)
    assert sorted(tmp_path.iterdir()) == [slow_source, target]


async def test_names_the_package_when_qemu_is_not_installed(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv("PATH", str(tmp_path))
    monkeypatch.setattr(qemu_img, "_USUAL_FOLDERS", ())
    with pytest.raises(StorageError, match="qemu-utils") as caught:
        await qemu_img.check(tmp_path / "any", "qcow2")
    assert caught.value.cause == "tool"


async def test_a_program_that_cannot_run_is_told(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    (tmp_path / "qemu-img").write_text("not a program")
    (tmp_path / "qemu-img").chmod(0o755)
    monkeypatch.setenv("PATH", str(tmp_path))
    with pytest.raises(StorageError, match="cannot be started") as caught:
        await qemu_img.check(tmp_path / "any", "qcow2")
    assert caught.value.cause == "tool"


async def test_failures_carry_command_and_error_text(tmp_path: Path) -> None:
    source = tmp_path / "source.qcow2"
    source.write_bytes(b"nothing of the kind" * 100)
    with pytest.raises(StorageError, match="not in qcow2 format") as caught:
        await qemu_img.convert(source, "qcow2", tmp_path / "target.qcow2")
    assert caught.value.cause == "tool"
    assert caught.value.command.startswith("qemu-img convert ")
    assert "not in qcow2 format" in caught.value.stderr


async def test_an_image_in_use_is_told(tmp_path: Path, tool: Tool) -> None:
    source = tmp_path / "source.qcow2"
    tool("qemu-img", "create", "-q", "-f", "qcow2", source, "1M")
    holder = await asyncio.create_subprocess_exec(
        *("stdbuf", "-oL", "qemu-io", "-f", "qcow2", "-c", "write 0 64k", "-c", "sleep 600000", str(source)),
        stdout=asyncio.subprocess.PIPE,
    )
    assert holder.stdout is not None
    await holder.stdout.readline()
    try:
        with pytest.raises(StorageError, match="in use") as caught:
            await qemu_img.convert(source, "qcow2", tmp_path / "target.qcow2")
    finally:
        holder.kill()
        await holder.communicate()
    assert caught.value.cause == "in_use"
    assert list(tmp_path.iterdir()) == [source]


async def test_finds_damage_and_leaks(tmp_path: Path, tool: Tool) -> None:
    path = tmp_path / "disk.qcow2"
    tool("qemu-img", "create", "-q", "-f", "qcow2", path, "16M")
    tool("qemu-io", "-f", "qcow2", "-c", "write -P 1 0 8M", path)
    assert await qemu_img.check(path, "qcow2") == qemu_img.CheckResult(True, 0, 0, 0)
    leaky = tmp_path / "leaky.qcow2"
    shutil.copy(path, leaky)
    with leaky.open("r+b") as file:
        file.seek(3 << 16)
        file.write(bytes(8))
    result = await qemu_img.check(leaky, "qcow2")
    assert result.leaks > 100
    assert result.sound
    os.truncate(path, 4 * MIB)
    assert not (await qemu_img.check(path, "qcow2")).sound
    raw = tmp_path / "disk.raw"
    raw.write_bytes(bytes(MIB))
    assert await qemu_img.check(raw, "raw") == qemu_img.CheckResult(False, 0, 0, 0)


async def test_maps_a_chain(tmp_path: Path, tool: Tool) -> None:
    base, leaf = tmp_path / "base.qcow2", tmp_path / "leaf.qcow2"
    tool("qemu-img", "create", "-q", "-f", "qcow2", base, "4M")
    tool("qemu-io", "-f", "qcow2", "-c", "write -P 1 0 1M", base)
    tool("qemu-img", "create", "-q", "-f", "qcow2", "-b", base, "-F", "qcow2", leaf)
    tool("qemu-io", "-f", "qcow2", "-c", "write -P 2 1M 1M", leaf)
    entries = await qemu_img.map_image(leaf, "qcow2")
    assert [(e.start, e.length, e.depth, e.data) for e in entries if e.data] == [
        (0, MIB, 1, True),
        (MIB, MIB, 0, True),
    ]
    assert sum(entry.length for entry in entries) == 4 * MIB
    (data,) = [entry for entry in entries if entry.data and entry.depth == 0]
    assert data.offset is not None
    with leaf.open("rb") as file:
        file.seek(data.offset)
        assert file.read(MIB) == b"\2" * MIB


async def test_measures_what_a_copy_will_take(tmp_path: Path, slow_source: Path) -> None:
    assert 64 * MIB <= await qemu_img.measure(slow_source, "raw") <= 66 * MIB


async def test_strange_names_are_only_names(tmp_path: Path, tool: Tool) -> None:
    for name in ("nbd:localhost:1", "json:{}", 'quo"te,comma', "-rf", "grüße"):
        source, target = tmp_path / name, tmp_path / f"{name}.qcow2"
        source.write_bytes(b"x" * MIB)
        await qemu_img.convert(source, "raw", target)
        tool("qemu-img", "info", "-f", "qcow2", target.absolute())
    with pytest.raises(StorageError, match="UTF-8"):
        await qemu_img.convert(Path(os.fsdecode(b"/tmp/\xff")), "raw", tmp_path / "target")


@pytest.mark.skipif(sys.platform != "linux", reason="only Linux ties a process to its parent")
def test_a_copy_ends_with_us(tmp_path: Path, slow_source: Path) -> None:
    code = (
        "import asyncio, os, signal, sys\n"
        "from pathlib import Path\n"
        "from app.storage import qemu_img\n"
        "def die(_):\n"
        "    os.kill(os.getpid(), signal.SIGKILL)\n"
        "asyncio.run(qemu_img.convert(Path(sys.argv[1]), 'raw', Path(sys.argv[2]), progress=die))\n"
    )
    target = tmp_path / "ended.qcow2"
    done = subprocess.run([sys.executable, "-c", code, slow_source, target], check=False)
    assert done.returncode == -signal.SIGKILL
    for pid in _processes(target):
        _wait_for_end(pid)
    assert _processes(target) == []


def _wait_for_end(pid: int) -> None:
    """The kernel has sent the signal; wait until the process is gone, or for the test's time limit."""
    try:
        descriptor = os.pidfd_open(pid)
    except ProcessLookupError:
        return
    try:
        select.select([descriptor], [], [])
    finally:
        os.close(descriptor)


async def test_the_parent_in_a_header_is_not_opened_unless_asked(tmp_path: Path, tool: Tool) -> None:
    base, leaf, target = tmp_path / "base.raw", tmp_path / "leaf.qcow2", tmp_path / "target.qcow2"
    base.write_bytes(b"secret.." * 512)
    tool("qemu-img", "create", "-q", "-f", "qcow2", "-b", base, "-F", "raw", leaf)
    await qemu_img.convert(leaf, "qcow2", target)
    tool("qemu-io", "-f", "qcow2", "-c", "read -P 0 0 4096", target)
    await qemu_img.convert(leaf, "qcow2", tmp_path / "whole.qcow2", follow_parent=True)
    tool("qemu-img", "compare", "-f", "raw", "-F", "qcow2", base, tmp_path / "whole.qcow2")
