"""An engine over real qcow2 files and simulated guests, driven step by step, beside a model that is plain bytes."""

from __future__ import annotations

import asyncio
import multiprocessing
import os
import shutil
import signal
from collections.abc import Coroutine, Iterator
from concurrent.futures import ProcessPoolExecutor
from contextlib import AsyncExitStack, contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, TypeVar

from app import crash_points
from app.api import VM, Ref, VMCalls
from app.hypervisor.simulated import SimulatedDriver
from tests.engine.vm.guests import assert_tidy, disks_of
from tests.faults.folders import copy_folder
from tests.faults.workshop import roomy_folder, silence
from tests.support.engine import Bench, open_bench
from tests.support.guest_disk import write_bytes
from tests.support.qcow2_view import BLOCK, View, view

T = TypeVar("T")

SIZE = 1 << 20
DEVICES = ("0", "1")
_ZEROS = bytes(BLOCK)


@dataclass
class Machine:
    """What the model knows of a VM, template or snapshot: its disks, and whether a guest runs or waits in memory."""

    ref: str
    disks: dict[str, bytes]
    kind: str = "vm"
    """vm, template, snapshot or checkpoint"""
    state: str = "Halted"
    of: str = ""
    """For a snapshot: the name of its VM."""


@dataclass
class Model:
    """All machines by name."""

    machines: dict[str, Machine] = field(default_factory=dict)

    def snapshots_of(self, name: str) -> list[str]:
        return [other for other, machine in self.machines.items() if machine.of == name]


class Estate:
    """The engine's side. Every method runs until it is done."""

    def __init__(self, workbench: Workbench) -> None:
        self._killers = workbench.killers
        self._base = roomy_folder()
        self.folder = self._base / "data"
        copy_folder(workbench.folder, self.folder)
        self._runner = asyncio.Runner(loop_factory=asyncio.SelectorEventLoop)
        self._stack = AsyncExitStack()
        self.driver = SimulatedDriver()
        self.bench: Bench
        self.open()

    def open(self) -> None:
        """Open an engine, to which the guests of the last one are alive."""
        self.bench = self.run(self._stack.enter_async_context(open_bench(self.folder, self.driver, kill_guests=False)))

    def close(self) -> None:
        """Close the engine; the guests live on."""
        self.run(self._stack.aclose())

    def leave(self) -> None:
        """Remove everything."""
        self.close()
        self._runner.close()
        shutil.rmtree(self._base)

    def run(self, work: Coroutine[Any, Any, T]) -> T:
        """Until it is done; what the engine does by itself goes on meanwhile, and only then."""
        return self._runner.run(work)

    def send(self, message: Any, *args: Any) -> str:
        """Run a message as a task."""
        return self.run(self.bench.run(message, *args))

    def state(self, ref: str) -> str:
        """The power state in the record."""
        return self.bench.vm(ref).power_state.value

    def named(self, name: str) -> str | None:
        """The VM of this name, if there is one."""
        found = [ref for ref, vm in self.bench.store.all(VM).items() if vm.name_label == name]
        assert len(found) <= 1
        return found[0] if found else None

    def shows(self, ref: str, disks: dict[str, bytes]) -> bool:
        """Whether a machine has these disks."""
        return all(view(self.bench.image(ref, device)) == _as_view(data) for device, data in disks.items())

    def write(self, ref: str, device: str, offset: int, data: bytes) -> None:
        """What a guest would do: write to the image that is active."""
        write_bytes(self.bench.image(ref, device), offset, data)

    def die(self, what: str, arguments: list[Any], countdown: int) -> bool:
        """Another process opens the folder, does this, and is killed on the way; its guests and ours die as well.

        Answers whether it was killed before it was done. This engine is open again afterwards.
        """
        self.close()
        killed = self._killers.submit(_die, self.folder, what, arguments, countdown).result()
        self.driver = SimulatedDriver()
        self.open()
        return killed

    def assert_right(self, model: Model) -> None:
        """Every disk shows what the model says, and every state is as it says."""
        for name, machine in model.machines.items():
            record = self.bench.vm(machine.ref)
            assert set(disks_of(self.bench, machine.ref)) == set(DEVICES), name
            for device, expected in machine.disks.items():
                assert view(self.bench.image(machine.ref, device)) == _as_view(expected), f"disk {device} of {name}"
            if machine.kind == "vm":
                assert record.power_state.value == machine.state, name
                refs = {model.machines[snap].ref for snap in model.snapshots_of(name)}
                assert record.snapshots == refs, name

    def assert_tidy(self) -> None:
        """No file without a record, no record without its file."""
        assert_tidy(self.bench)

    def merge(self) -> None:
        """Merge all that can be merged now."""
        self.run(self.bench.coalesce())


def _as_view(data: bytes) -> View:
    pieces = {offset: data[offset : offset + BLOCK] for offset in range(0, len(data), BLOCK)}
    return View(len(data), {offset: piece for offset, piece in pieces.items() if piece != _ZEROS})


# Preparing


@dataclass(frozen=True)
class Workbench:
    """What all estates share: a folder with one Halted VM of two empty disks, its ref, and a process that forks.

    That process has everything loaded, and no threads as a process of tests may have.
    """

    folder: Path
    vm: str
    killers: ProcessPoolExecutor


@contextmanager
def workbench() -> Iterator[Workbench]:
    """Make one; it is gone afterwards."""
    base = roomy_folder()
    try:
        with asyncio.Runner(loop_factory=asyncio.SelectorEventLoop) as runner:
            ref = runner.run(_prepare(base / "prepared"))
        with ProcessPoolExecutor(1, multiprocessing.get_context("spawn"), silence) as killers:
            yield Workbench(base / "prepared", ref, killers)
    finally:
        shutil.rmtree(base)


async def _prepare(folder: Path) -> str:
    async with open_bench(folder, SimulatedDriver()) as bench:
        vm: Ref[VM] = await bench.session.VM.clone(await bench.session.by_name(VM, "Other install media"), "one")
        await bench.session.VM.provision(vm)
        for device in DEVICES:
            vdi = await bench.session.VDI.create({"SR": bench.sr(), "virtual_size": SIZE, "name_label": device})
            await bench.session.VBD.create(
                {
                    "VM": vm,
                    "VDI": vdi,
                    "userdevice": device,
                    "mode": "RW",
                    "type": "Disk",
                    "other_config": {"owner": ""},
                }
            )
        return vm


# Dying


def _die(folder: Path, what: str, arguments: list[Any], countdown: int) -> bool:
    pid = os.fork()
    if pid == 0:
        try:
            with asyncio.Runner(loop_factory=asyncio.SelectorEventLoop) as runner:
                runner.run(_act(folder, what, arguments, countdown))
        finally:
            os._exit(0)
    return os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1]) == -signal.SIGKILL


async def _act(folder: Path, what: str, arguments: list[Any], countdown: int) -> None:
    left = countdown

    def reach(name: str) -> None:
        nonlocal left
        left -= 1
        if left < 0:
            os.kill(os.getpid(), signal.SIGKILL)

    async with open_bench(folder, SimulatedDriver()) as bench:
        crash_points.reach = reach
        if what == "coalesce":
            await bench.coalesce()
        else:
            await bench.run(getattr(VMCalls, what), *arguments)
