"""The process that is killed: `python -m tests.faults.child SCENARIO FOLDER`. It tells the facts before it acts.

The point to die at, or the file for the names of points, comes in FAULT_AT or FAULT_LOG: set for the act alone.
"""

from __future__ import annotations

import asyncio
import json
import os
import sys
from pathlib import Path

from app import crash_points
from tests.faults.scenarios import SCENARIOS
from tests.support.engine import open_bench

AT = "FAULT_AT"
LOG = "FAULT_LOG"
DONE = "done"


async def run(name: str, folder: Path) -> None:
    """Prepare, tell the facts, act."""
    scenario = SCENARIOS[name]
    async with open_bench(folder, kill_guests=False) as bench:
        facts = await scenario.prepare(bench, folder)
        print(json.dumps(facts), flush=True)
        for given, variable in ((AT, crash_points.CRASH_AT), (LOG, crash_points.CRASH_LOG)):
            if given in os.environ:
                os.environ[variable] = os.environ[given]
        await scenario.act(bench, facts)
        os.environ.pop(crash_points.CRASH_LOG, None)
    print(DONE, flush=True)


if __name__ == "__main__":
    asyncio.run(run(sys.argv[1], Path(sys.argv[2])))
