"""How fast deleted snapshots are merged away, against qemu-img commit, and what a long chain costs each read."""

from __future__ import annotations

import asyncio
import re
import shutil
import subprocess
import time
from collections.abc import Awaitable, Callable, Sequence
from pathlib import Path

from app.api import SR, VBD, VDI, VM, Ref, VBDType
from app.ops.disks import CHAIN_LIMIT
from app.ops.merge_run import SPEED_KEY
from tests.bench.benchmark import Benchmark, Options
from tests.bench.engine import EngineBench, data_folder, opened, rotated
from tests.bench.result import Result, medians, ratio, value

ROUNDS = 4
MIB = 1 << 20
DATA_MIB = 512
TARGET = 1 / 0.9
"""In time; at least 0.9 of the peer's MB/s."""
READS = 30_000
DEVICE = "1"


def benchmarks() -> list[Benchmark]:
    """The benchmarks."""
    return [
        Benchmark("merge", f"merging {DATA_MIB} MiB of a deleted snapshot, against qemu-img commit", measure_merge),
        Benchmark("chain-depth", f"reads of a disk with {CHAIN_LIMIT} images in a row and with one", measure_depth),
    ]


def measure_merge(options: Options) -> Sequence[Result]:
    """Run it."""
    with data_folder(options) as folder:
        samples = asyncio.run(_merges(options, folder))
    speeds = ", ".join(f"{name} {DATA_MIB * MIB / 1e3 / middle:.0f} MB/s" for name, middle in medians(samples).items())
    return [
        ratio(
            "merge",
            {name: samples[name] for name in ("halted", "qemu-img")},
            ours="halted",
            theirs="qemu-img",
            unit="ms",
            target=TARGET,
            compared_with=f"qemu-img commit of copies of the same two files; {speeds}",
            how="SR.coalesce until its answer: journal, copy, proof, sync, records and the freed file included",
        ),
        value(
            "merge-beside-a-guest",
            medians(samples)["running"],
            {"running": samples["running"]},
            unit="ms",
            target=None,
            compared_with="the same while the VM runs, without a limit of speed",
            how="block-stream into the running VM's disk; nothing else reads or writes there",
        ),
    ]


async def _merges(options: Options, folder: Path) -> dict[str, list[float]]:
    samples: dict[str, list[float]] = {"halted": [], "qemu-img": [], "running": []}
    async with opened(folder) as bench:
        await bench.session.set(SR, bench.sr(), other_config={SPEED_KEY: "0"})
        vm = await bench.sample_vm(disks=2, size=1 << 30)

        async def halted() -> float:
            return await _timed(bench.session.SR.coalesce(bench.sr()))

        async def running() -> float:
            await bench.start_and_boot(vm)
            taken = await _timed(bench.session.SR.coalesce(bench.sr()))
            await bench.session.VM.hard_shutdown(vm)
            return taken

        async def peer() -> float:
            return await asyncio.to_thread(_commit_copies, bench, vm, folder / "copies")

        turns: dict[str, Callable[[], Awaitable[float]]] = {"halted": halted, "qemu-img": peer, "running": running}
        for number in range(options.take(ROUNDS)):
            for name in rotated(list(turns), number):
                await _write_and_delete(bench, vm)
                samples[name].append(await turns[name]() * 1000)
                await bench.session.SR.coalesce(bench.sr())
    return samples


async def _write_and_delete(bench: EngineBench, vm: Ref[VM]) -> None:
    """A deleted snapshot: below it what is read, above it as much written again."""
    _fill(bench.image(vm, DEVICE), 1)
    others = [vdi for vdi in _disks(bench, vm) if vdi != _disk(bench, vm)]
    snapshot = await bench.session.VM.snapshot(vm, "to be deleted", others)
    _fill(bench.image(vm, DEVICE), 2)
    await bench.session.VM.uninstall(snapshot, False)


def _disks(bench: EngineBench, vm: Ref[VM]) -> dict[Ref[VDI], str]:
    vbds = [bench.store.get(VBD, vbd) for vbd in bench.vm(vm).VBDs]
    return {vbd.VDI: vbd.userdevice for vbd in vbds if vbd.type is VBDType.Disk}


def _disk(bench: EngineBench, vm: Ref[VM]) -> Ref[VDI]:
    """The disk that is measured."""
    return next(vdi for vdi, device in _disks(bench, vm).items() if device == DEVICE)


def _fill(path: Path, pattern: int) -> None:
    _run("qemu-io", "-f", "qcow2", "-c", f"write -P {pattern} 0 {DATA_MIB}M", "-c", "flush", str(path))


def _commit_copies(bench: EngineBench, vm: Ref[VM], folder: Path) -> float:
    files = bench.engine.context.files(bench.sr())
    vdi = bench.store.get(VDI, _disk(bench, vm))
    folder.mkdir()
    for image in files.chain(vdi.location):
        shutil.copy2(files.image_path(image), folder)
    started = time.perf_counter()
    _run("qemu-img", "commit", "-q", "-d", "-f", "qcow2", str(folder / bench.image(vm, DEVICE).name))
    taken = time.perf_counter() - started
    shutil.rmtree(folder)
    return taken


async def _timed(work: Awaitable[object]) -> float:
    started = time.perf_counter()
    await work
    return time.perf_counter() - started


def measure_depth(options: Options) -> Sequence[Result]:
    """Run it."""
    with data_folder(options) as folder:
        samples = asyncio.run(_reads(options, folder))
    middle = medians(samples)
    return [
        value(
            "chain-depth",
            100 * middle["depth 30"] / middle["depth 1"],
            samples,
            unit="%",
            target=None,
            compared_with="reads in a second of the same disk before its snapshots were taken",
            how="qemu-img bench, 4 KiB, 16 at a time, all data in the lowest image and in the page cache",
        )
    ]


async def _reads(options: Options, folder: Path) -> dict[str, list[float]]:
    samples: dict[str, list[float]] = {"depth 1": [], f"depth {CHAIN_LIMIT}": []}
    async with opened(folder) as bench:
        short, long = [await bench.sample_vm(name, disks=2, size=256 * MIB) for name in ("short", "long")]
        for vm in (short, long):
            _fill(bench.image(vm, DEVICE), 1)
        for number in range(CHAIN_LIMIT - 1):
            await bench.session.VM.snapshot(long, str(number))
        images = dict(zip(samples, (bench.image(short, DEVICE), bench.image(long, DEVICE)), strict=True))
        for number in range(options.take(ROUNDS)):
            for name in rotated(list(samples), number):
                samples[name].append(READS / await asyncio.to_thread(_read, images[name]))
    return samples


def _read(path: Path) -> float:
    """Seconds for all reads, by qemu-img's own clock."""
    said = _run("qemu-img", "bench", "-f", "qcow2", "-U", "-c", str(READS), "-d", "16", "-s", "4096", str(path))
    found = re.search(r"completed in ([\d.]+) seconds", said)
    if found is None:
        raise RuntimeError(f"qemu-img bench said only: {said}")
    return float(found[1])


def _run(*command: str) -> str:
    return subprocess.run(command, check=True, capture_output=True, text=True).stdout
