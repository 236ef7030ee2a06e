"""Snapshots with memory of a guest that never stops writing to it: ours against the ways there are to keep memory.

- savevm: QEMU's job `snapshot-save`, disk and memory into the qcow2 file, the guest standing still.
- suspend: stop, write the memory to a file, go on: what a suspend and resume around a snapshot amounts to, without the
  start of a new process.
- libvirt: `virsh snapshot-create-as --memspec`, which stops the guest too: with `--live` it never converges here.
"""

from __future__ import annotations

import asyncio
import os
import shutil
import subprocess
import threading
import time
from collections.abc import Awaitable, Callable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

from qemu.qmp import QMPClient

from app.api import VDI, VM, Ref, VMCalls
from app.hypervisor.argv import first_node
from app.ops.vm_snapshot import STALL_KEY
from tests.bench import libvirt
from tests.bench.benchmark import Benchmark, Options, Unavailable
from tests.bench.engine import EngineBench, data_folder, opened
from tests.bench.guest_stall import internal_snapshot, listening, longest_gap, rescue_monitor
from tests.bench.result import Result, ratio
from tests.support.dirty_guest import boot_sector
from tests.support.guest_disk import write_bytes

MIB = 1 << 20
ROUNDS = 3
SIZES = {256: (1.0, 1.0), 1024: (0.08, 0.05), 4096: (0.05, 0.02)}
"""MiB -> the targets against suspend and against savevm."""
TOTAL_TARGET = 3.0
SETTLE_SECONDS = 1.0
FILL_SECONDS = 300.0
_HOW = (
    "a guest fills seven tenths of its memory with noise and touches half of it without end; it sends a byte each "
    "millisecond, and a process of its own notes when they arrive; pause: the longest gap during the operation; total: "
    "until the image is durable; one after the other on the same guest"
)


def benchmarks() -> list[Benchmark]:
    """One for each size of memory."""
    return [
        Benchmark(f"checkpoint-{size}", f"snapshots with memory of a guest of {size} MiB that keeps writing", _of(size))
        for size in SIZES
    ]


def _of(size: int) -> Callable[[Options], Sequence[Result]]:
    return lambda options: measure(options, size)


def measure(options: Options, size: int) -> Sequence[Result]:
    """Run it. :raise Unavailable: nasm is missing, or the file system has not the room."""
    code = boot_sector()
    if code is None:
        raise Unavailable("nasm is not installed, which makes the guest: sudo apt-get install nasm")
    needed = 6 * size * MIB
    if shutil.disk_usage(options.folder).free < needed:
        raise Unavailable(f"{options.folder} has not the {needed >> 30} GiB free that this takes")
    with data_folder(options) as folder:
        taken = asyncio.run(_measure(options, folder, code, size))
    try:
        with libvirt.opened(options) as peer:
            _measure_libvirt(peer, options, code, size, taken)
    except Unavailable as reason:
        print(f"  without libvirt: {reason}")
    return list(_results(taken, size))


class Taken:
    """Samples by series, in milliseconds and MiB."""

    def __init__(self) -> None:
        self.pauses: dict[str, list[float]] = {}
        self.totals: dict[str, list[float]] = {}
        self.sizes: dict[str, list[float]] = {}

    def add(self, series: str, pause: float, total: float, size: int) -> None:
        """Seconds, seconds, bytes."""
        for kept, value in ((self.pauses, pause * 1000), (self.totals, total * 1000), (self.sizes, size / MIB)):
            kept.setdefault(series, []).append(value)


def _results(taken: Taken, size: int) -> Iterator[Result]:
    suspend, savevm = SIZES[size]
    targets = {"suspend": suspend, "savevm": savevm, "libvirt": 1.0}
    for peer in (name for name in targets if name in taken.pauses):
        yield ratio(
            f"checkpoint-{size}-pause-{peer}", taken.pauses, ours="checkpoint", theirs=peer, unit="ms",
            target=targets[peer], compared_with=peer, how=_HOW,
        )  # fmt: skip
        yield ratio(
            f"checkpoint-{size}-total-{peer}", taken.totals, ours="checkpoint", theirs=peer, unit="ms",
            target=TOTAL_TARGET, compared_with=peer, how=_HOW,
        )  # fmt: skip
        yield ratio(
            f"checkpoint-{size}-size-{peer}", taken.sizes, ours="checkpoint", theirs=peer, unit="MiB",
            target=1.0, compared_with=peer, how=_HOW,
        )  # fmt: skip


async def _measure(options: Options, folder: Path, code: bytes, size: int) -> Taken:
    taken = Taken()
    async with opened(folder) as bench:
        vm = await _dirty_vm(bench, code, size)
        operations: dict[str, Callable[[int], Awaitable[tuple[int, float]]]] = {
            "checkpoint": lambda number: _checkpoint(bench, vm, number),
            "suspend": lambda number: _suspend(bench, vm, folder / f"suspend-{number}"),
            "savevm": lambda number: _savevm(bench, vm),
        }
        for number in range(options.take(ROUNDS)):
            for series, operation in operations.items():
                async with listening(bench, vm) as times:
                    await asyncio.sleep(SETTLE_SECONDS)
                    started = time.monotonic()
                    kept, done = await operation(number)
                    ended = time.monotonic()
                    await asyncio.sleep(SETTLE_SECONDS)
                taken.add(series, longest_gap(times, started, ended + 0.05), done, kept)
    return taken


async def _dirty_vm(bench: EngineBench, code: bytes, size: int) -> Ref[VM]:
    vm = await bench.sample_vm("dirty")
    octets = size * MIB
    await bench.session.VM.set_memory_limits(vm, octets, octets, octets, octets)
    await asyncio.to_thread(write_bytes, bench.image(vm), 0, code)
    await bench.session.VM.start(vm)
    reader, writer = await bench.serial(vm)
    async with asyncio.timeout(FILL_SECONDS):
        while b"R" not in (data := await reader.read(4096)):
            assert data
    writer.close()
    await writer.wait_closed()
    return vm


async def _checkpoint(bench: EngineBench, vm: Ref[VM], number: int) -> tuple[int, float]:
    total = await bench.timed_task(VMCalls.checkpoint, vm, f"round {number}")
    snapshot = bench.vm(vm).parent
    print(f"  the engine's own clock: {bench.vm(snapshot).other_config[STALL_KEY]} ms")
    return bench.store.get(VDI, bench.vm(snapshot).suspend_VDI).virtual_size, total


async def _suspend(bench: EngineBench, vm: Ref[VM], path: Path) -> tuple[int, float]:
    started = time.monotonic()
    async with rescue_monitor(bench, vm) as monitor:
        await monitor.execute("migrate-set-parameters", {"max-bandwidth": 1 << 50})
        descriptor = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
        try:
            monitor.send_fd_scm(descriptor)
            await monitor.execute("getfd", {"fdname": "suspend"})
            await monitor.execute("stop")
            await monitor.execute("migrate", {"uri": "fd:suspend"})
            await _completed(monitor)
            await monitor.execute("cont")
            await asyncio.to_thread(os.fsync, descriptor)
        finally:
            os.close(descriptor)
    size = path.stat().st_size
    total = time.monotonic() - started
    path.unlink()
    return size, total


async def _completed(monitor: QMPClient) -> None:
    while True:
        info = await monitor.execute("query-migrate")
        assert isinstance(info, dict)
        status = await monitor.execute("query-status")
        assert isinstance(status, dict)
        if info["status"] == "completed" and status["status"] == "postmigrate":
            return
        if info["status"] not in ("setup", "active", "device", "completed"):
            raise RuntimeError(f"the migration ended as {info['status']}")
        await asyncio.sleep(0.002)


async def _savevm(bench: EngineBench, vm: Ref[VM]) -> tuple[int, float]:
    """Into the disk's active image; what that grows by is the memory's size."""
    image = bench.image(vm)
    before = image.stat().st_blocks * 512
    async with rescue_monitor(bench, vm) as monitor:
        node = await _active_node(monitor)
        started = time.monotonic()
        await internal_snapshot(monitor, "snapshot-save", devices=[node], vmstate=node)
        total = time.monotonic() - started
        size = image.stat().st_blocks * 512 - before
        await internal_snapshot(monitor, "snapshot-delete", devices=[node])
    return size, total


async def _active_node(monitor: QMPClient) -> str:
    blocks = await monitor.execute("query-block")
    assert isinstance(blocks, list)
    for block in blocks:
        if block.get("inserted") and "disk0" in block["qdev"]:
            return str(block["inserted"]["node-name"])
    return first_node("disk0")


# libvirt


def _measure_libvirt(peer: libvirt.Libvirt, options: Options, code: bytes, size: int, taken: Taken) -> None:
    disk = options.folder / f"checkpoint-{os.getpid()}.qcow2"
    raw = disk.with_suffix(".raw")
    raw.write_bytes(code.ljust(MIB, b"\0"))
    try:
        subprocess.run(["qemu-img", "convert", "-f", "raw", "-O", "qcow2", str(raw), str(disk)], check=True)
        peer.start_guest("dirty", [disk], size, "tcg", Path(shutil.which("qemu-system-x86_64") or ""))
        with _watched(peer.serial("dirty")) as times:
            _filled(peer.serial("dirty"))
            for number in range(options.take(ROUNDS)):
                image = peer.folder / "disks" / f"memory-{number}"
                time.sleep(SETTLE_SECONDS)
                started = time.monotonic()
                peer.virsh(
                    "snapshot-create-as", "dirty", f"s{number}", "--memspec", f"file={image},snapshot=external",
                    "--diskspec", f"vda,snapshot=external,file={image}.qcow2", "--atomic",
                )  # fmt: skip
                ended = time.monotonic()
                time.sleep(SETTLE_SECONDS)
                taken.add("libvirt", longest_gap(times, started, ended + 0.05), ended - started, image.stat().st_size)
    finally:
        for path in (disk, raw):
            path.unlink(missing_ok=True)


def _filled(serial: Path) -> None:
    deadline = time.monotonic() + FILL_SECONDS
    while not serial.exists() or b"R" not in serial.read_bytes():
        if time.monotonic() > deadline:
            raise RuntimeError("libvirt's guest did not fill its memory")
        time.sleep(0.2)


@contextmanager
def _watched(serial: Path) -> Iterator[list[float]]:
    """When the file grew, looked at each half millisecond: libvirt's guests have no socket to listen at."""
    times: list[float] = []
    over = threading.Event()

    def watch() -> None:
        known = 0
        while not over.wait(0.0005):
            size = serial.stat().st_size if serial.exists() else 0
            if size > known:
                known = size
                times.append(time.monotonic())

    thread = threading.Thread(target=watch, daemon=True)
    thread.start()
    try:
        yield times
    finally:
        over.set()
        thread.join()
