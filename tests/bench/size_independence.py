"""Whether a snapshot and a revert take as long on a disk of a tebibyte as on one of a gibibyte."""

from __future__ import annotations

import asyncio
from collections.abc import Mapping, Sequence
from pathlib import Path

from app.api import VM, Ref, VMPowerState
from tests.bench.benchmark import Benchmark, Options
from tests.bench.engine import EngineBench, data_folder, opened, rotated, timed_call
from tests.bench.result import Result, spread

ROUNDS = 9
TARGET = 1.5
GIB = 1 << 30
SIZES = {"1 GiB": GIB, "16 GiB": 16 * GIB, "128 GiB": 128 * GIB, "1 TiB": 1024 * GIB}
_COMPARED = "itself: the slowest size over the fastest, medians, the sizes in turns"


def benchmark() -> Benchmark:
    """The benchmark."""
    return Benchmark("size-independence", "snapshot and revert with a disk of 1 GiB to 1 TiB, sparse", measure)


def measure(options: Options) -> Sequence[Result]:
    """Run it."""
    with data_folder(options) as folder:
        snapshots, reverts = asyncio.run(_measure(options, folder))
    return [
        spread(
            "size-independence-snapshot",
            snapshots,
            unit="ms",
            target=TARGET,
            compared_with=_COMPARED,
            how="VM.snapshot until its answer, of a running sample guest with a second, empty disk of the size",
        ),
        spread(
            "size-independence-revert",
            reverts,
            unit="ms",
            target=TARGET,
            compared_with=_COMPARED,
            how="VM.revert of the running VM to the newest snapshot until its answer, the end of its QEMU included",
        ),
    ]


async def _measure(options: Options, folder: Path) -> tuple[dict[str, list[float]], dict[str, list[float]]]:
    snapshots: dict[str, list[float]] = {name: [] for name in SIZES}
    reverts: dict[str, list[float]] = {name: [] for name in SIZES}
    async with opened(folder) as bench:
        vms = {name: await bench.sample_vm(name, disks=2, size=size) for name, size in SIZES.items()}
        for number in range(options.take(ROUNDS)):
            for name in rotated(list(SIZES), number):
                await _one(bench, vms[name], number, snapshots[name], reverts[name])
        _check_sizes(bench, vms)
    return snapshots, reverts


async def _one(bench: EngineBench, vm: Ref[VM], number: int, snapshots: list[float], reverts: list[float]) -> None:
    """Start the VM, take and revert to a snapshot of it, and leave it Halted."""
    await bench.start_and_boot(vm)
    started = asyncio.get_running_loop().time()
    snapshot = await bench.session.VM.snapshot(vm, f"round {number}")
    snapshots.append((asyncio.get_running_loop().time() - started) * 1000)
    reverts.append(await timed_call(bench.session.VM.revert(snapshot)) * 1000)
    await bench.session.VM.uninstall(snapshot, True)
    await bench.state(vm, VMPowerState.Halted)


def _check_sizes(bench: EngineBench, vms: Mapping[str, Ref[VM]]) -> None:
    """A benchmark of sparse disks is worth nothing if they are not. :raise RuntimeError: one takes real space."""
    for name, vm in vms.items():
        used = bench.image(vm, "1").stat().st_blocks * 512
        if used > 64 << 20:
            raise RuntimeError(f"the disk of {name} takes {used >> 20} MiB")
