"""The guest's longest stall while a snapshot is taken: ours against an internal snapshot of an equal guest.

An internal snapshot (QEMU's job `snapshot-save`) is what a qcow2 file offers by itself: disks and memory in the same
file, the guest standing still until all is written.
"""

from __future__ import annotations

import asyncio
import bisect
import itertools
import json
import shutil
import subprocess
import sys
import tempfile
import time
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any, cast

from qemu.qmp import EventListener, QMPClient

from app.api import VM, Ref
from app.hypervisor.argv import first_node
from app.hypervisor.layout import Layout
from app.ops.vm_snapshot import STALL_KEY
from tests.bench.benchmark import Benchmark, Options, Unavailable
from tests.bench.engine import EngineBench, data_folder, opened
from tests.bench.result import Result, ratio
from tests.support.guest_disk import write_bytes

ROUNDS = 10
MOST_ROUNDS = 28
TARGET = 1.0
SETTLE_SECONDS = 0.4
"""Before and after each measurement: the guest goes its normal pace again."""
SOURCE = Path(__file__).with_name("ticker.asm")
_COMPARED = "an internal snapshot (QEMU's job snapshot-save, disk and 32 MiB of memory) of an equal guest, in turns"
_HOW = (
    "a guest writes its disk and sends a byte each millisecond; a process of its own notes when the bytes arrive; a "
    "stall is the longest gap from the call to 50 ms after its answer; undisturbed: 50 ms without a snapshot; switch: "
    "QEMU's transaction as the engine times it"
)


def benchmark() -> Benchmark:
    """The benchmark."""
    return Benchmark("guest-stall", "the guest's longest stall during a snapshot against an internal one", measure)


def measure(options: Options) -> Sequence[Result]:
    """Run it. :raise Unavailable: nasm is missing."""
    code = assembled()
    with data_folder(options) as folder:
        samples = asyncio.run(_measure(options, folder, code))
    in_ms = {series: [seconds * 1000 for seconds in values] for series, values in samples.items()}
    return [
        ratio(
            "guest-stall", in_ms, ours="snapshot", theirs="internal", unit="ms", target=TARGET, compared_with=_COMPARED,
            how=_HOW,
        )
    ]  # fmt: skip


def assembled(source: Path = SOURCE) -> bytes:
    """The boot sector made from a source. :raise Unavailable: nasm is missing."""
    if shutil.which("nasm") is None:
        raise Unavailable("nasm is not installed, which makes the guest: sudo apt-get install nasm")
    with tempfile.TemporaryDirectory() as folder:
        output = Path(folder) / "sector"
        subprocess.run(["nasm", "-Werror", "-f", "bin", "-o", str(output), str(source)], check=True)
        return output.read_bytes()


async def _measure(options: Options, folder: Path, code: bytes) -> dict[str, list[float]]:
    samples: dict[str, list[float]] = {"snapshot": [], "internal": [], "undisturbed": [], "switch": []}
    async with opened(folder) as bench:
        ours, other = [await _ticking_vm(bench, name, code) for name in ("ours", "internal")]
        async with listening(bench, ours) as our_line, listening(bench, other) as other_line:
            windows = await _disturb(bench, ours, other, min(options.take(ROUNDS), MOST_ROUNDS), samples["switch"])
        for series, line in (("snapshot", our_line), ("internal", other_line), ("undisturbed", our_line)):
            samples[series] = [longest_gap(line, *window) for window in windows[series]]
    return samples


async def _ticking_vm(bench: EngineBench, name: str, code: bytes) -> Ref[VM]:
    vm = await bench.sample_vm(name)
    await asyncio.to_thread(write_bytes, bench.image(vm), 0, code)
    await bench.session.VM.start(vm)
    return vm


async def _disturb(
    bench: EngineBench, ours: Ref[VM], other: Ref[VM], rounds: int, switches: list[float]
) -> dict[str, list[tuple[float, float]]]:
    """Take snapshots in turns, one guest standing while the other is measured; answer when that was."""
    windows: dict[str, list[tuple[float, float]]] = {"snapshot": [], "internal": [], "undisturbed": []}
    async with rescue_monitor(bench, other) as monitor:
        await bench.session.VM.pause(other)
        for number in range(rounds):
            await asyncio.sleep(SETTLE_SECONDS)
            started = time.monotonic()
            snapshot = await bench.session.VM.snapshot(ours, f"round {number}")
            windows["snapshot"].append(await _to_the_end(started))
            switches.append(float(bench.vm(snapshot).other_config[STALL_KEY]) / 1000)
            started = time.monotonic()
            windows["undisturbed"].append(await _to_the_end(started))
            await bench.session.VM.pause(ours)
            await bench.session.VM.unpause(other)
            await asyncio.sleep(SETTLE_SECONDS)
            started = time.monotonic()
            await internal_snapshot(monitor, "snapshot-save", vmstate=first_node("disk0"))
            windows["internal"].append(await _to_the_end(started))
            await internal_snapshot(monitor, "snapshot-delete")
            await bench.session.VM.pause(other)
            await bench.session.VM.unpause(ours)
    return windows


async def _to_the_end(started: float) -> tuple[float, float]:
    """The window that ends a little after now, when it is over; what follows does not disturb it."""
    end = time.monotonic() + 0.05
    await asyncio.sleep(SETTLE_SECONDS)
    return started, end


@asynccontextmanager
async def listening(bench: EngineBench, vm: Ref[VM]) -> AsyncIterator[list[float]]:
    """When the guest's bytes came, filled in at the end of the block. :raise RuntimeError: a write failed."""
    socket = bench.engine.context.driver.serial_socket(bench.vm(vm).uuid)
    argv = (sys.executable, "-m", "tests.bench.tick_reader", str(socket))
    pipe = asyncio.subprocess.PIPE
    process = await asyncio.create_subprocess_exec(*argv, stdin=pipe, stdout=pipe, limit=1 << 26)
    times: list[float] = []
    try:
        assert process.stdout is not None
        await process.stdout.readline()
        yield times
        output, _ = await process.communicate(b"")
        heard = json.loads(output)
        if heard["errors"]:
            raise RuntimeError(f"the guest failed to write its disk {heard['errors']} times")
        times += heard["times"]
    finally:
        if process.returncode is None:
            process.kill()
            await process.wait()


@asynccontextmanager
async def rescue_monitor(bench: EngineBench, vm: Ref[VM]) -> AsyncIterator[QMPClient]:
    """The guest's second monitor; the engine uses the first."""
    layout = Layout(bench.config.data_dir, bench.config.run_dir)
    record = layout.read(bench.vm(vm).uuid)
    assert record is not None
    client = QMPClient("benchmark")
    await client.connect(str(layout.run_paths(record).rescue))
    try:
        yield client
    finally:
        await client.disconnect()


async def internal_snapshot(monitor: QMPClient, command: str, **more: Any) -> None:
    """Run one of QEMU's snapshot jobs to its end. :raise RuntimeError: the job failed; with QEMU's words."""
    listener = EventListener(names={"JOB_STATUS_CHANGE"})
    with monitor.listen(listener):
        arguments = {"job-id": "internal", "tag": "internal", "devices": [first_node("disk0")]} | more
        await monitor.execute(command, arguments)
        async for event in listener:
            if event["data"] == {"id": "internal", "status": "concluded"}:
                break
    (job,) = cast("list[dict[str, Any]]", await monitor.execute("query-jobs"))
    await monitor.execute("job-dismiss", {"id": "internal"})
    if "error" in job:
        raise RuntimeError(f"{command}: {job['error']}")


def longest_gap(times: Sequence[float], start: float, end: float) -> float:
    """The longest time without a tick that reaches into the window. :raise RuntimeError: there is none around it."""
    first, last = bisect.bisect_right(times, start), bisect.bisect_left(times, end)
    around = times[max(first - 1, 0) : last + 1]
    if first == 0 or last == len(times) or len(around) < 2:
        raise RuntimeError("the guest did not tick before or after the snapshot")
    return max(later - earlier for earlier, later in itertools.pairwise(around))
