"""The desktop as a person meets it: how soon its window is there, what it takes when idle, whether it ever stalls."""

from __future__ import annotations

import asyncio
import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

from PySide6.QtCore import QElapsedTimer, Qt, QTimer

from app.api import VM
from app.config import load
from tests.bench.benchmark import Benchmark, Options
from tests.bench.engine import data_folder
from tests.bench.result import Result, value
from ui.application import Desktop, make_application
from ui.base import loop

STARTS = 7
SNAPSHOTS = 20
SETTLE_SECONDS = 10.0
IDLE_SECONDS = 20.0
TICK_MS = 5
PATIENCE_SECONDS = 60.0


def benchmarks() -> list[Benchmark]:
    """The benchmarks of the desktop."""
    return [
        Benchmark("window-visible", "from the start of the process until the window is shown", window_visible),
        Benchmark("ui-stall", "the longest stall of the window's event loop during 20 snapshots", ui_stall),
        Benchmark("idle", "memory and processor time of the idle desktop with its engine", idle),
    ]


def window_visible(options: Options) -> Sequence[Result]:
    """Start the desktop again and again over one data folder; the first start only warms up."""
    seconds: list[float] = []
    with data_folder(options) as folder:
        for _ in range(options.take(STARTS) + 1):
            with _desktop(folder) as (_, shown_after):
                seconds.append(shown_after)
    return [
        value(
            "window-visible",
            sorted(seconds[1:])[len(seconds[1:]) // 2],
            {"start": seconds[1:], "first": seconds[:1]},
            unit="s",
            target=1.5,
            compared_with="a fixed limit",
            how="process start to show() of the main window over an open engine, warm, without a screen",
        )
    ]


def idle(options: Options) -> Sequence[Result]:
    """Let the desktop settle, then look at it for a while."""
    with data_folder(options) as folder, _desktop(folder) as (process, _):
        time.sleep(SETTLE_SECONDS)
        before, began = _processor_seconds(process.pid), time.monotonic()
        time.sleep(IDLE_SECONDS)
        share = 100 * (_processor_seconds(process.pid) - before) / (time.monotonic() - began)
        memory = _memory(process.pid)
    how = f"after {SETTLE_SECONDS:.0f} s, over {IDLE_SECONDS:.0f} s, one process with window and engine, no guest"
    return [
        value(
            "idle-memory", memory["Rss"], {name: [mib] for name, mib in memory.items()}, unit="MiB", target=200,
            compared_with="a fixed limit", how=how,
        ),
        value(
            "idle-processor", share, {"share": [share]}, unit="%", target=0.5,
            compared_with="a fixed limit, of one processor", how=how,
        ),
    ]  # fmt: skip


def ui_stall(options: Options) -> Sequence[Result]:
    """In a process of its own, since the window wants the event loop."""
    with data_folder(options) as folder:
        done = subprocess.run(
            [sys.executable, "-m", "tests.bench.desktop", str(folder), str(options.take(SNAPSHOTS))],
            env=_environment(), stdout=subprocess.PIPE, text=True, check=True, timeout=300,
        )  # fmt: skip
    lateness: list[float] = json.loads(done.stdout)
    return [
        value(
            "ui-stall",
            max(lateness),
            {"timer": sorted(lateness)[-50:]},
            unit="ms",
            target=50,
            compared_with="a fixed limit",
            how=f"lateness of a {TICK_MS} ms timer in the window while {SNAPSHOTS} snapshots of a running VM are taken "
            "one after the other and appear in the graph; the 50 largest of all are listed",
        )
    ]


@contextmanager
def _desktop(folder: Path) -> Iterator[tuple[subprocess.Popen[bytes], float]]:
    """A desktop that shows its window, and how long that took; closed by the block's end."""
    mark = folder / "mark"
    mark.unlink(missing_ok=True)
    environment = {**_environment(), "STILLFRAME_BENCH_MARK": str(mark)}
    began = time.monotonic()
    process = subprocess.Popen([sys.executable, "-m", "app", "--data-dir", str(folder / "data")], env=environment)
    try:
        while not mark.exists() or not mark.read_text().endswith("\n"):
            if process.poll() is not None or time.monotonic() - began > PATIENCE_SECONDS:
                raise RuntimeError(f"the window was not shown (status {process.poll()})")
            time.sleep(0.01)
        yield process, float(mark.read_text().split()[1]) - began
    finally:
        process.send_signal(signal.SIGKILL)
        process.wait()


def _environment() -> dict[str, str]:
    kept = {k: v for k, v in os.environ.items() if k not in ("DISPLAY", "WAYLAND_DISPLAY")}
    return {**kept, "QT_QPA_PLATFORM": "offscreen"}


def _processor_seconds(pid: int) -> float:
    """proc(5): fields 14 and 15 of stat, after the name in brackets."""
    fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")


def _memory(pid: int) -> dict[str, float]:
    lines = Path(f"/proc/{pid}/smaps_rollup").read_text().splitlines()
    found = {line.split(":")[0]: int(line.split()[1]) / 1024 for line in lines if line.startswith(("Rss:", "Pss:"))}
    return {"Rss": found["Rss"], "Pss": found["Pss"]}


def _stalls(folder: Path, snapshots: int) -> list[float]:
    """Milliseconds by which each tick of a timer in the window came late."""
    lateness: list[float] = []

    async def work() -> None:
        desktop = Desktop(load(folder / "data"))
        await desktop.open()
        desktop.window.resize(1440, 900)
        desktop.window.show()
        session = desktop.session
        vm = await session.VM.clone(await session.by_name(VM, "Sample guest"), "stalled?")
        await session.VM.provision(vm)
        await session.VM.start(vm)
        desktop.window.show_object("VM", vm, "snapshots")
        await asyncio.sleep(2)
        clock, timer = QElapsedTimer(), QTimer()
        timer.setTimerType(Qt.TimerType.PreciseTimer)
        timer.timeout.connect(lambda: lateness.append(_since(clock) - TICK_MS))
        clock.start()
        timer.start(TICK_MS)
        for number in range(snapshots):
            await session.VM.snapshot(vm, f"snapshot {number}")
            await asyncio.sleep(0.1)
        timer.stop()
        await session.VM.uninstall(vm, True)
        await desktop.close()

    loop.run(make_application(), work())
    return lateness


def _since(clock: QElapsedTimer) -> float:
    """Milliseconds since the last call."""
    passed = clock.nsecsElapsed() / 1e6
    clock.restart()
    return passed


if __name__ == "__main__":
    json.dump(_stalls(Path(sys.argv[1]), int(sys.argv[2])), sys.stdout)
