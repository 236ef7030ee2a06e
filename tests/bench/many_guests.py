"""One run of a schedule over many running guests against a loop of `virsh snapshot-create-as`, a VM after another.

The sample guest takes 15 % of a processor under emulation; these are calm ones (calm.asm), with 0.3 %.
"""

from __future__ import annotations

import asyncio
import os
from collections.abc import Sequence
from pathlib import Path

from app.api import VM, VMSS, Ref
from app.engine.bootstrap import memory_free
from tests.bench import libvirt
from tests.bench.benchmark import Benchmark, Options, Unavailable
from tests.bench.engine import MEMORY_MIB, EngineBench, data_folder, opened, rotated, timed, timed_call
from tests.bench.guest_stall import assembled
from tests.bench.result import Result, ratio
from tests.bench.snapshot_speed import wait_until_it_counts
from tests.support.guest_disk import write_bytes

GUESTS = 100
ROUNDS = 3
TARGET = 1 / 3
BYTES_OF_A_GUEST = 80 << 20
"""What a QEMU of such a guest takes at most: 49 MiB, measured, and half as much for what it shares."""
GUESTS_OF_A_PROCESSOR = 100
"""So many calm ones on either side leave it two fifths of its time."""
SOURCE = Path(__file__).with_name("calm.asm")
AT_ONCE = 10
"""Guests that boot at the same time."""
LEAST = 4


def benchmark() -> Benchmark:
    """The benchmark."""
    return Benchmark("schedule-run", f"one schedule over up to {GUESTS} running guests against a virsh loop", measure)


def measure(options: Options) -> Sequence[Result]:
    """Run it with as many guests as the machine holds twice: ours and libvirt's run side by side.

    :raise Unavailable: nasm or memory is missing.
    """
    code = assembled(SOURCE)
    held = (os.cpu_count() or 1) * GUESTS_OF_A_PROCESSOR
    guests = min(GUESTS, held, memory_free() // 2 // BYTES_OF_A_GUEST)
    if guests < LEAST:
        raise Unavailable(f"there is no memory for {LEAST} guests twice")
    with libvirt.opened(options) as peer, data_folder(options) as folder:
        samples = asyncio.run(_measure(options, peer, folder, code, guests))
    return [
        ratio(
            "schedule-run",
            samples,
            ours="schedule",
            theirs="virsh",
            unit="s",
            target=TARGET,
            compared_with="virsh snapshot-create-as --disk-only --atomic, one process for each VM, one after the other",
            how=f"{guests} running guests with one disk on either side, which write it every four seconds; schedule: "
            "VMSS.snapshot_now until its answer, with its log, durable; in turns",
        )
    ]


async def _measure(
    options: Options, peer: libvirt.Libvirt, folder: Path, code: bytes, guests: int
) -> dict[str, list[float]]:
    samples: dict[str, list[float]] = {"schedule": [], "virsh": []}
    names = [f"guest{number}" for number in range(guests)]
    async with opened(folder) as bench:
        vms = [await calm_vm(bench, name, code) for name in names]
        facts = await bench.engine.context.driver.facts()
        for name, vm in zip(names, vms, strict=True):
            image = [bench.image(vm)]
            await asyncio.to_thread(peer.start_guest, name, image, MEMORY_MIB, facts.accelerator, facts.binary)
        await _boot(bench, vms)
        for name in names:
            await asyncio.to_thread(wait_until_it_counts, peer.serial(name), 600.0)
        schedule = await _protect(bench, vms)
        for number in range(options.take(ROUNDS)):
            for series in rotated(list(samples), number):
                ours = series == "schedule"
                work = _run(bench, schedule) if ours else _loop(peer, names, f"round{number}")
                samples[series].append(await work)
    return samples


async def calm_vm(bench: EngineBench, name: str, code: bytes) -> Ref[VM]:
    """A Halted VM of the guest in this boot sector."""
    vm = await bench.sample_vm(name)
    await asyncio.to_thread(write_bytes, bench.image(vm), 0, code)
    return vm


async def _boot(bench: EngineBench, vms: Sequence[Ref[VM]]) -> None:
    limit = asyncio.Semaphore(AT_ONCE)

    async def one(vm: Ref[VM]) -> None:
        async with limit:
            await bench.start_and_boot(vm)

    await asyncio.gather(*(one(vm) for vm in vms))


async def _protect(bench: EngineBench, vms: Sequence[Ref[VM]]) -> Ref[VMSS]:
    """A schedule over these VMs that does not run by itself meanwhile."""
    record = {"name_label": "All", "type": "snapshot", "frequency": "weekly", "enabled": False}
    schedule = await bench.session.VMSS.create(record)
    for vm in vms:
        await bench.session.VM.set_snapshot_schedule(vm, schedule)
    return schedule


async def _run(bench: EngineBench, schedule: Ref[VMSS]) -> float:
    answers: list[str] = []

    async def run() -> None:
        answers.append(await bench.session.VMSS.snapshot_now(schedule))

    seconds = await timed_call(run())
    assert answers == ["True"], "not every guest was snapshotted"
    return seconds


async def _loop(peer: libvirt.Libvirt, names: Sequence[str], snapshot: str) -> float:
    def all_of_them() -> None:
        for name in names:
            peer.virsh("snapshot-create-as", name, snapshot, "--disk-only", "--atomic")

    return await asyncio.to_thread(timed, all_of_them)
