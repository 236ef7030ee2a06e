"""The longest stall of the window's event loop while snapshots are taken and appear in the graph.

The window wants an event loop of its own kind, so it is measured in a process of its own:
`python -m tests.bench.ui_stall FOLDER SNAPSHOTS`.
"""

from __future__ import annotations

import asyncio
import json
import subprocess
import sys
import time
from collections.abc import Sequence
from pathlib import Path

from PySide6.QtCore import Qt, QTimer

from app.api import VM, Ref
from app.config import load
from app.engine.local import EngineThread
from tests.bench.benchmark import Benchmark, Options
from tests.bench.desktop import environment
from tests.bench.engine import EmulatedDriver, data_folder, kill_guests
from tests.bench.result import Result, value
from ui.application import Desktop, make_application
from ui.base import loop

SNAPSHOTS = 20
MOST_SNAPSHOTS = 28
TARGET = 50
TICK_MS = 5
BOOT_SECONDS = 3.0
PAUSE_SECONDS = 0.1
TIMEOUT_SECONDS = 300
KEPT = 50


def benchmark() -> Benchmark:
    """The benchmark."""
    return Benchmark("ui-stall", f"the longest stall of the window's event loop during {SNAPSHOTS} snapshots", measure)


def measure(options: Options) -> Sequence[Result]:
    """Run it. :raise RuntimeError: the window's process failed; with its last words."""
    snapshots = min(options.take(SNAPSHOTS), MOST_SNAPSHOTS)
    with data_folder(options) as folder:
        argv = [sys.executable, "-m", "tests.bench.ui_stall", str(folder), str(snapshots)]
        done = subprocess.run(
            argv, env=environment(), capture_output=True, text=True, check=False, timeout=TIMEOUT_SECONDS
        )
    if done.returncode:
        raise RuntimeError(f"the window's process ended with {done.returncode}: {done.stderr[-800:]}")
    lateness: dict[str, list[float]] = json.loads(done.stdout.splitlines()[-1])
    longest = {series: sorted(values, reverse=True)[:KEPT] for series, values in lateness.items()}
    return [
        value(
            "ui-stall",
            longest["snapshots"][0],
            longest,
            unit="ms",
            target=TARGET,
            compared_with="a fixed limit; undisturbed: the same window over the same running VM without snapshots; "
            "worked: processor time of the window's thread between two ticks, which other programs do not add to",
            how=f"lateness of a precise {TICK_MS} ms timer in the shown window, its Snapshots tab open, while "
            f"{snapshots} snapshots of a running VM are taken; the value is the worst, the samples the worst {KEPT}",
        )
    ]


class Lateness:
    """Notes by how many milliseconds each tick of a timer comes late, and how long the thread worked before it."""

    def __init__(self) -> None:
        self._late: list[float] = []
        self._worked: list[float] = []
        self._last, self._work = time.perf_counter(), time.thread_time()
        self._timer = QTimer()
        self._timer.setTimerType(Qt.TimerType.PreciseTimer)
        self._timer.timeout.connect(self._tick)
        self._timer.start(TICK_MS)

    def take(self) -> tuple[list[float], list[float]]:
        """What was noted since the last time: lateness, and processor time of the thread."""
        taken = self._late, self._worked
        self._late, self._worked = [], []
        return taken

    def stop(self) -> None:
        """Note nothing more."""
        self._timer.stop()

    def _tick(self) -> None:
        now, work = time.perf_counter(), time.thread_time()
        self._late.append((now - self._last) * 1000 - TICK_MS)
        self._worked.append((work - self._work) * 1000)
        self._last, self._work = now, work


async def _stalls(folder: Path, snapshots: int) -> dict[str, list[float]]:
    config = load(folder / "data")
    desktop = Desktop(config, EngineThread(config, EmulatedDriver(config.data_dir, config.run_dir)))
    await desktop.open()
    try:
        desktop.window.resize(1440, 900)
        desktop.window.show()
        return await _take_snapshots(desktop, snapshots)
    finally:
        await desktop.thread.run(kill_guests(desktop.thread))
        await desktop.close()


async def _take_snapshots(desktop: Desktop, snapshots: int) -> dict[str, list[float]]:
    vm = await _running_vm(desktop)
    desktop.window.show_object("VM", vm, "snapshots")
    await asyncio.sleep(BOOT_SECONDS)
    lateness = Lateness()
    await asyncio.sleep(snapshots * PAUSE_SECONDS)
    undisturbed, _ = lateness.take()
    for number in range(snapshots):
        await desktop.session.VM.snapshot(vm, f"snapshot {number}")
        await asyncio.sleep(PAUSE_SECONDS)
    lateness.stop()
    shown = sum(record.snapshot_of == vm for record in desktop.cache.all(VM).values())
    if shown != snapshots:
        raise RuntimeError(f"the window knows of {shown} snapshots, not {snapshots}")
    late, worked = lateness.take()
    return {"snapshots": late, "worked": worked, "undisturbed": undisturbed}


async def _running_vm(desktop: Desktop) -> Ref[VM]:
    session = desktop.session
    vm = await session.VM.clone(await session.by_name(VM, "Sample guest"), "sample")
    await session.VM.provision(vm)
    await session.VM.start(vm)
    return vm


if __name__ == "__main__":
    print(json.dumps(loop.run(make_application(), _stalls(Path(sys.argv[1]), int(sys.argv[2])))))
