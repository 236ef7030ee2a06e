"""`python -m tests.bench`: measure, print a table, store the figures."""

from __future__ import annotations

import argparse
import signal
import sys
import tempfile
import time
from collections.abc import Sequence
from pathlib import Path

from tests.bench import (
    checkpoint_pause,
    desktop,
    exchange,
    guest_stall,
    many_guests,
    merging,
    schedules,
    size_independence,
    snapshot_speed,
    store_speed,
    ui_stall,
    wire_encoding,
    wire_load,
)
from tests.bench.benchmark import Benchmark, Options, choose, run
from tests.bench.machine import facts
from tests.bench.result import Result, figure, save, table, verdict


def known() -> list[Benchmark]:
    """All benchmarks, in the order in which they run."""
    return [
        *snapshot_speed.benchmarks(),
        guest_stall.benchmark(),
        *checkpoint_pause.benchmarks(),
        size_independence.benchmark(),
        *desktop.benchmarks(),
        ui_stall.benchmark(),
        store_speed.benchmark(),
        wire_encoding.benchmark(),
        wire_load.benchmark(),
        schedules.benchmark(),
        many_guests.benchmark(),
        *merging.benchmarks(),
        *exchange.benchmarks(),
    ]


def main(arguments: Sequence[str] | None = None, benchmarks: Sequence[Benchmark] | None = None) -> int:
    """Run the program. The status is 0 when everything was measured or skipped, whether targets were met or not."""
    parser = _parser()
    asked = parser.parse_args(arguments)
    available = known() if benchmarks is None else benchmarks
    if asked.list:
        width = max((len(benchmark.name) for benchmark in available), default=0)
        for benchmark in available:
            print(f"{benchmark.name.ljust(width)}  {benchmark.about}")
        return 0
    try:
        chosen = choose(available, asked.names)
    except KeyError as error:
        parser.error(f"there is no benchmark {error.args[0]}; --list shows them")
    options = Options(asked.folder, asked.rounds, asked.install_peers)
    before = facts(options.folder)
    results = _run(chosen, options)
    print(f"\n{', '.join(f'{name} {fact}' for name, fact in before.items())}\n\n{table(results)}")
    if asked.json is not None:
        save(asked.json, results, before)
    return 1 if any(result.failed for result in results) else 0


def _run(chosen: Sequence[Benchmark], options: Options) -> list[Result]:
    results: list[Result] = []
    for benchmark in chosen:
        print(f"{benchmark.name}: {benchmark.about}", file=sys.stderr, flush=True)
        started = time.monotonic()
        for _, found in run([benchmark], options):
            results += found
            told = "; ".join(f"{result.name} {figure(result)} {verdict(result)}" for result in found)
            print(f"  {told} ({time.monotonic() - started:.0f} s)", file=sys.stderr, flush=True)
    return results


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="python -m tests.bench", description="Measures Stillframe; see docs/benchmarks.md."
    )
    parser.add_argument(
        "names", nargs="*", metavar="NAME", help="a benchmark, or several by snapshot-*; all without any"
    )
    parser.add_argument("--list", action="store_true", help="list the benchmarks and stop")
    parser.add_argument("--json", type=Path, metavar="FILE", help="store results and machine facts in FILE")
    parser.add_argument(
        "--rounds", type=_positive, metavar="N", help="take N samples instead of each benchmark's own number"
    )
    parser.add_argument(
        "--install-peers", action="store_true", help="install programs to compare with (libvirt) if missing"
    )
    parser.add_argument(
        "--folder", type=Path, metavar="DIR", default=Path(tempfile.gettempdir()), help="where data folders are made"
    )
    return parser


def _positive(text: str) -> int:
    number = int(text)
    if number < 1:
        raise argparse.ArgumentTypeError("at least 1 is needed")
    return number


def _end(_signal: int, _frame: object) -> None:
    """Leave by an exception, so that guests, daemons and folders are cleared away."""
    raise SystemExit(130)


if __name__ == "__main__":
    signal.signal(signal.SIGTERM, _end)
    sys.exit(main())
