"""The desktop as a process: how soon its window is there, and what it takes when nothing happens."""

from __future__ import annotations

import os
import subprocess
import sys
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path

from tests.bench.benchmark import Benchmark, Options
from tests.bench.engine import data_folder
from tests.bench.result import Result, medians, value
from ui.application import MARK_FILE

STARTS = 7
SETTLE_SECONDS = 10.0
IDLE_SECONDS = 20.0
PATIENCE_SECONDS = 60.0
VISIBLE_TARGET = 1.5
MEMORY_TARGET = 200
PROCESSOR_TARGET = 0.5
_LIMIT = "a fixed limit"
_DROPPED = ("DISPLAY", "WAYLAND_DISPLAY", "PYTHONDONTWRITEBYTECODE")
"""The last: whoever builds the program may forbid it, but a user's Python keeps what it compiled at the first start."""


def benchmarks() -> list[Benchmark]:
    """The benchmarks of the desktop as a process."""
    return [
        Benchmark("window-visible", "from the start of the process until the window is shown", window_visible),
        Benchmark("idle", "memory and processor time of the desktop with its engine when nothing happens", idle),
    ]


def window_visible(options: Options) -> Sequence[Result]:
    """Start the desktop again and again over one data folder; the first start makes the folder and warms up."""
    with data_folder(options) as folder:
        first = _prepare(folder)
        starts = [_start_once(folder) for _ in range(options.take(STARTS))]
    samples = {"warm": [wall for wall, _ in starts], "first": [first[0]], "processor": [used for _, used in starts]}
    how = (
        "from before the process starts until MainWindow.show() has returned over an open engine and a filled cache, "
        "without a screen; first: with an empty data folder; processor: what the warm starts took of it until then"
    )
    middle = medians(samples)["warm"]
    return [
        value("window-visible", middle, samples, unit="s", target=VISIBLE_TARGET, compared_with=_LIMIT, how=how),
    ]


def idle(options: Options) -> Sequence[Result]:
    """Let the desktop settle, then look at it for a while."""
    with data_folder(options) as folder:
        _prepare(folder)
        with _desktop(folder) as (process, _):
            time.sleep(SETTLE_SECONDS)
            before, began = _processor_seconds(process.pid), time.monotonic()
            time.sleep(IDLE_SECONDS)
            share = 100 * (_processor_seconds(process.pid) - before) / (time.monotonic() - began)
            memory = _memory(process.pid)
    how = f"one process with window and engine, without guests, {SETTLE_SECONDS:.0f} s after its window was shown"
    kinds = {kind: [mib] for kind, mib in memory.items()}
    over = f"{how}, over {IDLE_SECONDS:.0f} s; of one processor"
    return [
        value(
            "idle-memory", memory["Rss"], kinds, unit="MiB", target=MEMORY_TARGET, compared_with=_LIMIT, how=how
        ),
        value(
            "idle-processor", share, {"share": [share]}, unit="%", target=PROCESSOR_TARGET, compared_with=_LIMIT,
            how=over,
        ),
    ]  # fmt: skip


def environment() -> Mapping[str, str]:
    """Of a user's desktop, but without a screen."""
    kept = {name: text for name, text in os.environ.items() if name not in _DROPPED}
    return {**kept, "QT_QPA_PLATFORM": "offscreen"}


def _prepare(folder: Path) -> tuple[float, float]:
    """The first start, until the accelerators were tried: ended earlier it would leave its trial guests behind."""
    with _desktop(folder) as (_, seconds):
        _wait_for(folder / "data" / "hypervisor.json", None)
    return seconds


def _start_once(folder: Path) -> tuple[float, float]:
    with _desktop(folder) as (_, seconds):
        return seconds


@contextmanager
def _desktop(folder: Path) -> Iterator[tuple[subprocess.Popen[bytes], tuple[float, float]]]:
    """A desktop that shows its window, the seconds that took and those of a processor; killed in the end, it holds no
    guest."""
    mark = folder / "mark"
    mark.unlink(missing_ok=True)
    argv = [sys.executable, "-m", "app", "--data-dir", str(folder / "data")]
    began = time.monotonic()
    process = subprocess.Popen(argv, env={**environment(), MARK_FILE: str(mark)})
    try:
        shown, used = map(float, _wait_for(mark, process).split()[1:])
        yield process, (shown - began, used)
    finally:
        process.kill()
        process.wait()


def _wait_for(path: Path, process: subprocess.Popen[bytes] | None) -> str:
    """The file's content once it is there, its last line whole. :raise RuntimeError: the process ended, or too late."""
    deadline = time.monotonic() + PATIENCE_SECONDS
    while not path.exists() or not (text := path.read_text()).rstrip(" ").endswith(("\n", "}")):
        if time.monotonic() > deadline or (process is not None and process.poll() is not None):
            raise RuntimeError(f"the desktop did not write {path.name}")
        time.sleep(0.02)
    return text


def _processor_seconds(pid: int) -> float:
    """User and system time of a process and its threads; proc(5), stat, after the name in brackets."""
    fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")


def _memory(pid: int) -> dict[str, float]:
    """Resident memory in MiB: all of it, and with shared pages divided among those who share them."""
    lines = Path(f"/proc/{pid}/smaps_rollup").read_text().splitlines()
    kinds = {line.split(":")[0]: line.split()[1] for line in lines if line.startswith(("Rss:", "Pss:"))}
    return {kind: int(kib) / 1024 for kind, kib in kinds.items()}
