"""`python -m tests.faults [--jobs N] [--list] [SCENARIO[@POINT]…]`: kill each operation at every point it passes.

The last line reads `N passed, N failed`; the exit status is 0 if none failed.
"""

from __future__ import annotations

import argparse
import asyncio
import os
import sys
import tempfile
import traceback
from pathlib import Path

from tests.faults.scenarios import SCENARIOS
from tests.faults.sweep import find_accelerators, kill_at, points_of


async def main() -> int:
    """Run the sweep."""
    arguments = _arguments()
    with tempfile.TemporaryDirectory() as name:
        findings = await find_accelerators(Path(name))
        limit = asyncio.Semaphore(arguments.jobs)
        asked = arguments.scenario or list(SCENARIOS)
        groups = await asyncio.gather(*(_points(scenario, findings, limit) for scenario in asked))
        wanted = [(name, point) for name, points in groups for point in points or ()]
        if arguments.list:
            print("\n".join(f"{name}@{point}" for name, point in wanted))
            return 0
        results = await asyncio.gather(*(_one(name, point, findings, limit) for name, point in wanted))
    failed = results.count(False) + sum(1 for _, points in groups if points is None)
    print(f"{results.count(True)} passed, {failed} failed")
    return 1 if failed else 0


def _arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="python -m tests.faults", description=__doc__)
    parser.add_argument("scenario", nargs="*", help=", ".join(SCENARIOS))
    parser.add_argument("--jobs", type=int, default=os.cpu_count() or 1)
    parser.add_argument("--list", action="store_true", help="name the points and kill nothing")
    return parser.parse_args()


async def _points(asked: str, findings: Path, limit: asyncio.Semaphore) -> tuple[str, list[str] | None]:
    """The scenario's name and the points to kill it at; None if it fails without being killed."""
    name, _, point = asked.partition("@")
    if point:
        return name, [point]
    async with limit:
        try:
            return name, await points_of(name, findings)
        except Exception:
            print(f"FAILED {name}\n{traceback.format_exc()}", flush=True)
            return name, None


async def _one(scenario: str, point: str, findings: Path, limit: asyncio.Semaphore) -> bool:
    async with limit:
        try:
            reached = await kill_at(scenario, point, findings)
        except Exception:
            print(f"FAILED {scenario}@{point}\n{traceback.format_exc()}", flush=True)
            return False
        print(f"passed {scenario}@{point}{'' if reached else ' (not reached)'}", flush=True)
        return True


if __name__ == "__main__":
    sys.exit(asyncio.run(main()))
