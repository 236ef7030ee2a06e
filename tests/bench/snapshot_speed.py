"""VM.snapshot of a running VM against `virsh snapshot-create-as --disk-only --atomic` on an equal guest, in turns."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Sequence
from pathlib import Path

from app.api import VM, Ref, VMCalls
from tests.bench import libvirt
from tests.bench.benchmark import Benchmark, Options
from tests.bench.engine import MEMORY_MIB, EngineBench, data_folder, opened, rotated, timed, timed_call
from tests.bench.result import Result, ratio

PAIRS = 12
MOST_PAIRS = 14
"""Each round adds two images to a chain, and a chain has its limit."""
TARGET = 0.25
SETTLE_SECONDS = 0.3
"""Before each measurement, so that none meets what another left to be done."""
_COMPARED = (
    "virsh snapshot-create-as --disk-only --atomic on an equal guest: same QEMU, emulation, machine type, memory and "
    "copies of the same images; both run, and are measured in turns"
)
_HOW = (
    "task: Async.VM.snapshot through the in-process session until the end that the task names; call: VM.snapshot until "
    "its answer; virsh: one process from start to end; virsh-connected: a command to a virsh already connected"
)


def benchmarks() -> list[Benchmark]:
    """One for each number of disks."""
    return [
        Benchmark(
            f"snapshot-{disks}-disk{'s' if disks > 1 else ''}",
            f"disk-only snapshot of a running VM with {disks} disk{'s' if disks > 1 else ''} against libvirt's",
            lambda options, disks=disks: measure(options, disks),  # type: ignore[misc]
        )
        for disks in (1, 2, 4)
    ]


def measure(options: Options, disks: int) -> Sequence[Result]:
    """The benchmark for this number of disks."""
    name = f"snapshot-{disks}-disk{'s' if disks > 1 else ''}"
    with libvirt.opened(options) as peer, data_folder(options) as folder:
        samples = asyncio.run(_measure(options, peer, folder, disks))
    in_ms = {series: [seconds * 1000 for seconds in values] for series, values in samples.items()}
    return [
        ratio(name, in_ms, ours="task", theirs="virsh", unit="ms", target=TARGET, compared_with=_COMPARED, how=_HOW)
    ]


async def _measure(options: Options, peer: libvirt.Libvirt, folder: Path, disks: int) -> dict[str, list[float]]:
    samples: dict[str, list[float]] = {"task": [], "call": [], "virsh": [], "virsh-connected": []}
    async with opened(folder) as bench:
        vm = await bench.sample_vm(disks=disks)
        facts = await bench.engine.context.driver.facts()
        images = [bench.image(vm, str(number)) for number in range(disks)]
        peer.start_guest("guest", images, MEMORY_MIB, facts.accelerator, facts.binary)
        await bench.start_and_boot(vm)
        await asyncio.to_thread(wait_until_it_counts, peer.serial("guest"))
        with peer.shell() as shell:
            for number in range(min(options.take(PAIRS), MOST_PAIRS)):
                await _one_round(bench, vm, peer, shell, samples, number)
    return samples


async def _one_round(
    bench: EngineBench,
    vm: Ref[VM],
    peer: libvirt.Libvirt,
    shell: libvirt.VirshShell,
    samples: dict[str, list[float]],
    number: int,
) -> None:
    options = "--disk-only --atomic"

    async def task() -> float:
        return await bench.timed_task(VMCalls.snapshot, vm, f"task {number}")

    async def call() -> float:
        return await timed_call(bench.session.VM.snapshot(vm, f"call {number}"))

    async def once() -> float:
        return timed(lambda: peer.virsh("snapshot-create-as", "guest", f"once{number}", *options.split()))

    async def connected() -> float:
        return timed(lambda: shell.run(f"snapshot-create-as guest shell{number} {options}"))

    turns = {"task": task, "virsh": once, "call": call, "virsh-connected": connected}
    for series in rotated(list(turns), number):
        await asyncio.sleep(SETTLE_SECONDS)
        samples[series].append(await turns[series]())


def wait_until_it_counts(serial: Path, seconds: float = 60.0) -> None:
    """Wait until the sample guest has written its first tick to this file. :raise TimeoutError: it did not."""
    deadline = time.monotonic() + seconds
    while b"\nn=" not in serial.read_bytes():
        if time.monotonic() > deadline:
            raise TimeoutError(f"the guest said only: {serial.read_text(errors='replace')[-300:]}")
        time.sleep(0.1)
