"""Cancelling what writes images: the program that writes is stopped, and nothing of it is left."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable, Sequence
from pathlib import Path
from typing import Any

import pytest

from app.api import NULL, VM, Ref, Task, VDICalls, VMCalls
from app.storage import qemu_img
from app.storage.qemu_img import Output
from tests.engine.vm.guests import assert_tidy, disks_of, images_of
from tests.support.engine import Bench


class Gate:
    """Every qemu-img convert begins and waits; it notes how it ended."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch) -> None:
        self.begun, self.opened = asyncio.Event(), asyncio.Event()
        self.stopped = False
        real = qemu_img.run

        async def run(arguments: Sequence[str], **options: Any) -> Output:
            if arguments[0] == "convert":
                Path(arguments[-1]).write_bytes(b"half a disk")
                self.begun.set()
                try:
                    await self.opened.wait()
                except asyncio.CancelledError:
                    self.stopped = True
                    raise
            return await real(arguments, **options)

        monkeypatch.setattr(qemu_img, "run", run)


@pytest.fixture
async def gate(monkeypatch: pytest.MonkeyPatch) -> AsyncIterator[Gate]:
    gate = Gate(monkeypatch)
    yield gate
    gate.opened.set()


async def sample(bench: Bench, gate: Gate) -> Ref[VM]:
    """Made with the gate open."""
    gate.opened.set()
    vm = await bench.sample_vm(disks=2)
    gate.opened.clear()
    gate.begun.clear()
    return vm


async def copy(bench: Bench, gate: Gate, _folder: Path) -> Callable[[], Awaitable[str]]:
    vm = await sample(bench, gate)
    return lambda: bench.session.start(VMCalls.copy, vm, "copy", NULL)


async def copy_disk(bench: Bench, gate: Gate, _folder: Path) -> Callable[[], Awaitable[str]]:
    vdi = disks_of(bench, await sample(bench, gate))["0"]
    return lambda: bench.session.start(VDICalls.copy, vdi, bench.sr())


async def provision(bench: Bench, _gate: Gate, _folder: Path) -> Callable[[], Awaitable[str]]:
    new = await bench.session.VM.clone(await bench.session.by_name(VM, "Sample guest"), "new")
    return lambda: bench.session.start(VMCalls.provision, new)


async def import_file(bench: Bench, _gate: Gate, folder: Path) -> Callable[[], Awaitable[str]]:
    source = folder / "source.raw"
    source.write_bytes(bytes(1 << 20))
    return lambda: bench.session.start(VDICalls.import_file, bench.sr(), str(source), "imported")


def objects(bench: Bench) -> dict[str, dict[str, Any]]:
    return {name: dict(bench.store.of_class(name)) for name in ("VM", "VDI", "VBD", "VIF", "VM_metrics")}


@pytest.mark.parametrize("prepare", [copy, copy_disk, provision, import_file], ids=lambda prepare: prepare.__name__)
async def test_a_cancelled_one_leaves_nothing(bench: Bench, gate: Gate, tmp_path: Path, prepare: Any) -> None:
    start = await prepare(bench, gate, tmp_path)
    before, images = objects(bench), images_of(bench)
    task = Ref[Task](await start())
    await gate.begun.wait()
    await bench.session.task.cancel(task)
    while bench.store.get(Task, task).status.value == "pending":  # noqa: ASYNC110
        await asyncio.sleep(0)
    assert bench.store.get(Task, task).status.value == "cancelled"
    assert gate.stopped
    assert (objects(bench), images_of(bench)) == (before, images)
    assert_tidy(bench)
    gate.opened.set()
    again = Ref[Task](await start())
    while bench.store.get(Task, again).status.value == "pending":  # noqa: ASYNC110
        await asyncio.sleep(0.01)
    assert bench.store.get(Task, again).status.value == "success"
    assert_tidy(bench)


async def test_the_engine_closes_while_a_copy_is_written(bench: Bench, gate: Gate) -> None:
    """What is under way is cancelled, not waited for; nothing of it is left."""
    vm = await sample(bench, gate)
    images = images_of(bench)
    await bench.session.start(VMCalls.copy, vm, "copy", NULL)
    await gate.begun.wait()
    await bench.engine._tasks.close()
    assert gate.stopped
    assert images_of(bench) == images
    assert_tidy(bench)
