"""Exports and imports of .xva files against qemu-img and zstd, and how much memory they need."""

from __future__ import annotations

import asyncio
import json
import os
import shutil
import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path

from app.api import VM, Ref, VMCalls
from app.client.exchange import ExportOptions, export_vm, import_xva
from app.storage.image_writer import new_image
from tests.bench.benchmark import Benchmark, Options, Unavailable
from tests.bench.engine import EngineBench, data_folder, opened, rotated, timed, timed_call
from tests.bench.result import Result, ratio, value
from tests.engine.vm.guests import snapshot

ROUNDS = 5
MIB = 1 << 20
GIB = 1 << 30
DATA = GIB
TARGET = 1 / 0.9
"""At least 0.9 of their speed."""
MOST_MEMORY = 100.0
PLAIN = ExportOptions(verify=False)
_CONVERT = ("qemu-img", "convert", "-W", "-m", "8")


def benchmarks() -> list[Benchmark]:
    """The benchmarks."""
    return [
        Benchmark("exchange-speed", "export and import of 1 GiB against qemu-img, zstd export against zstd", speed),
        Benchmark("exchange-sparse", "1 GiB of data in a disk of 1 TiB against one of 2 GiB", sparse),
        Benchmark("exchange-memory", "how much memory an export and an import of 2 GiB take", memory),
    ]


async def with_data(bench: EngineBench, folder: Path, size: int, step: int = MIB) -> Ref[VM]:
    """A snapshot of a VM whose second disk has 1 GiB of data: a MiB every `step` bytes, half of it in an overlay."""
    vm = await bench.sample_vm(disks=2, size=size)
    pieces = [os.urandom(MIB // 2) + os.urandom(4096) * 128 for _ in range(16)]
    image = bench.image(vm, "1")
    await asyncio.to_thread(_fill, image, size, step, pieces)
    await snapshot(bench, vm, "below")
    source = folder / "piece"
    source.write_bytes(pieces[0])
    await asyncio.to_thread(_write_over, bench.image(vm, "1"), step, source)
    return await snapshot(bench, vm, "exported")


def _fill(image: Path, size: int, step: int, pieces: Sequence[bytes]) -> None:
    image.unlink()
    with new_image(image, size) as writer:
        for number in range(DATA // MIB):
            writer.write(number * step, pieces[number % len(pieces)])


def _write_over(image: Path, step: int, source: Path) -> None:
    writes = (f"write -q -s {source} {number * step} {MIB}" for number in range(0, DATA // MIB, 2))
    commands = [word for write in writes for word in ("-c", write)]
    subprocess.run(["qemu-io", "-f", "qcow2", *commands, str(image)], check=True)


def _converted(source: Path, source_format: str, target: Path, target_format: str) -> None:
    subprocess.run([*_CONVERT, "-f", source_format, "-O", target_format, str(source), str(target)], check=True)
    _synced(target)


def _synced(path: Path) -> None:
    with path.open("rb") as file:
        os.fsync(file.fileno())


def _packed(source: Path, target: Path) -> None:
    subprocess.run(["zstd", "-q", "-3", "-T0", str(source), "-o", str(target)], check=True)
    _synced(target)


def speed(options: Options) -> Sequence[Result]:
    """All three comparisons, in turns."""
    if shutil.which("zstd") is None:
        raise Unavailable("zstd is not installed")
    with data_folder(options) as folder:
        samples = asyncio.run(_speed(options, folder))
    told = (
        "of 1 GiB in a chain of two images, both sides synced; seconds, so smaller is better; 1.11 is 0.9 of the speed"
    )
    names = (
        ("export", "qemu-img convert -W -m 8 of the chain to raw", f"export_vm {told}"),
        ("import", "qemu-img convert -W -m 8 from raw to qcow2", f"import_xva {told}"),
        ("zstd", "zstd -3 -T0 of the finished, uncompressed .xva", f"export_vm with zstd {told}"),
    )
    return [
        ratio(
            f"exchange-{name}",
            {f"our {name}": samples[f"our {name}"], f"their {name}": samples[f"their {name}"]},
            ours=f"our {name}",
            theirs=f"their {name}",
            unit="s",
            target=TARGET,
            compared_with=other,
            how=how,
        )
        for name, other, how in names
    ]


async def _speed(options: Options, folder: Path) -> dict[str, list[float]]:
    samples: dict[str, list[float]] = {f"{who} {what}": [] for who in ("our", "their") for what in _KINDS}
    async with opened(folder) as bench:
        snap = await with_data(bench, folder, DATA)
        for number in range(options.take(ROUNDS)):
            for name in rotated(list(samples), number):
                for left in folder.glob("out.*"):
                    left.unlink()
                if not (folder / "kept.xva").exists():
                    await export_vm(bench.session, snap, folder / "kept.xva", PLAIN)
                    _converted(bench.image(snap, "1"), "qcow2", folder / "kept.raw", "raw")
                samples[name].append(await _one(bench, snap, folder, name))
    return samples


_KINDS = ("export", "import", "zstd")


async def _one(bench: EngineBench, snap: Ref[VM], folder: Path, name: str) -> float:
    out, image = folder / "out.xva", bench.image(snap, "1")
    match name:
        case "our export":
            return (await export_vm(bench.session, snap, out, PLAIN)).seconds
        case "our zstd":
            return (await export_vm(bench.session, snap, out, ExportOptions("zstd", verify=False))).seconds
        case "our import":
            made: list[Ref[VM]] = []

            async def take() -> None:
                made.extend(await import_xva(bench.session, folder / "kept.xva"))

            seconds = await timed_call(take())
            await bench.run(VMCalls.uninstall, made[0], False)
            return seconds
        case "their export":
            return timed(lambda: _converted(image, "qcow2", folder / "out.raw", "raw"))
        case "their import":
            return timed(lambda: _converted(folder / "kept.raw", "raw", folder / "out.qcow2", "qcow2"))
    return timed(lambda: _packed(folder / "kept.xva", folder / "out.zst"))


def sparse(options: Options) -> Sequence[Result]:
    """The time follows the data, not the disk's size."""
    with data_folder(options) as folder:
        samples = asyncio.run(_sparse(options, folder))
    return [
        ratio(
            "exchange-sparse",
            samples,
            ours="1 TiB",
            theirs="2 GiB",
            unit="s",
            target=1.5,
            compared_with="itself: the same amount of data in a disk of 2 GiB",
            how="export_vm; in the disk of 1 TiB each GiB has one MiB of data",
        )
    ]


async def _sparse(options: Options, folder: Path) -> dict[str, list[float]]:
    sizes = {"2 GiB": 2 * MIB, "1 TiB": GIB}
    samples: dict[str, list[float]] = {name: [] for name in sizes}
    async with opened(folder) as bench:
        snaps = {name: await with_data(bench, folder, DATA // MIB * step, step) for name, step in sizes.items()}
        for number in range(options.take(ROUNDS)):
            for name in rotated(list(sizes), number):
                out = folder / "out.xva"
                samples[name].append((await export_vm(bench.session, snaps[name], out, PLAIN)).seconds)
                out.unlink()
    return samples


def memory(options: Options) -> Sequence[Result]:
    """Looked at in a process of its own, which does nothing else."""
    with data_folder(options) as folder:
        command = [sys.executable, "-m", "tests.bench.exchange", str(folder)]
        found = json.loads(subprocess.run(command, check=True, capture_output=True, text=True).stdout)
    how = (
        "peak resident memory (VmHWM) of a process with the engine and its client, export with verification and import"
    )
    results = []
    for name, figure in found.items():
        target = MOST_MEMORY if name == "grown" else None
        compared = "before the first export" if name == "grown" else "the whole process"
        results.append(
            value(f"exchange-memory-{name}", figure, {}, unit="MiB", target=target, compared_with=compared, how=how)
        )
    return results


async def _memory(folder: Path) -> dict[str, float]:
    async with opened(folder) as bench:
        snap = await with_data(bench, folder, 4 * GIB)
        before = _peak()
        for compression in ("none", "zstd"):
            path = folder / f"{compression}.xva"
            await export_vm(bench.session, snap, path, ExportOptions(compression))
            (vm,) = await import_xva(bench.session, path)
            await bench.run(VMCalls.uninstall, vm, False)
        return {"whole": _peak(), "grown": _peak() - before}


def _peak() -> float:
    """The most memory that this process ever had resident, in MiB (proc(5), VmHWM)."""
    lines = Path("/proc/self/status").read_text(encoding="ascii").splitlines()
    return int(next(line for line in lines if line.startswith("VmHWM")).split()[1]) / 1024


if __name__ == "__main__":
    print(json.dumps(asyncio.run(_memory(Path(sys.argv[1])))))
