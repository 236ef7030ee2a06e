"""`python -m tests.faults [--kill engine|qemu|both] [--long N] [CUT…]`: kill operations at every point they pass.

Without `--kill` the engine, QEMU and both at once are killed in turn, and then every write of ours fails, on a full
disk (enospc) and on a bad block (eio). `--long N` makes N random cuts instead: at a point, some microseconds after one,
or at any moment; `--seed` repeats them. A CUT is a scenario, or one cut as a failure names it.
The last line reads `N passed, N failed`; the exit status is 0 if none failed.
"""

from __future__ import annotations

import argparse
import math
import os
import random
import sys
import time
from collections.abc import Iterable
from concurrent.futures import FIRST_COMPLETED, Future, wait
from itertools import islice, takewhile
from pathlib import Path

from tests.faults import points
from tests.faults.arming import Cut, read_cut
from tests.faults.plan import VICTIMS, every_point, random_cuts
from tests.faults.pool import Pool, workshops
from tests.faults.refusing import ERRORS, compiler
from tests.faults.report import Report
from tests.faults.scenarios import SCENARIOS
from tests.faults.workshop import Course, Outcome

AHEAD = 4
"""Cuts handed out before the oldest is done, for each job."""


def main() -> int:
    """Run the sweep."""
    asked = _arguments()
    seed = asked.seed if asked.seed is not None else random.randrange(1 << 32)
    report = Report(seed if asked.long else None)
    exact = [read_cut(text) for text in asked.cut if text not in SCENARIOS]
    names = [text for text in asked.cut if text in SCENARIOS] or ([] if exact else list(SCENARIOS))
    names = [name for name in names if _possible(name)]
    ahead = asked.jobs * AHEAD
    victims = [asked.kill] if asked.kill else [v for v in VICTIMS if v not in ERRORS or compiler()]
    with workshops(asked.jobs, refusing=bool(compiler())) as pool:
        courses = _courses(pool, names, report)
        if asked.points:
            points.record(_by_name(courses))
        if names == list(SCENARIOS):
            for problem in points.missing(_by_name(courses)):
                report.fail("points.txt", problem)
        if asked.long:
            cuts: Iterable[Cut] = random_cuts(courses, asked.long, seed, asked.guests)
        else:
            cuts = [*exact, *every_point(courses, victims)]
        if asked.list or asked.points:
            print("\n".join(map(str, cuts if asked.list else ())))
            return 1 if report.failures else 0
        until = time.monotonic() + 60 * asked.minutes
        for number, outcome in enumerate(_made(pool, takewhile(lambda _: time.monotonic() < until, cuts), ahead), 1):
            report.add(outcome)
            _tell(outcome, number, quiet=bool(asked.long))
    report.print(asked.report)
    return 1 if report.failures else 0


def _possible(name: str) -> bool:
    reason = SCENARIOS[name].missing()
    if reason is not None:
        print(f"skipped {name}: {reason}", flush=True)
    return reason is None


def _arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="python -m tests.faults", description=__doc__)
    parser.add_argument("cut", nargs="*", help=f"a scenario ({', '.join(SCENARIOS)}) or a cut")
    parser.add_argument(
        "--kill",
        choices=VICTIMS,
        help="only this victim",
    )
    parser.add_argument("--long", type=int, metavar="N", default=0, help="make N random cuts")
    parser.add_argument("--seed", type=int, help="of an earlier --long, to repeat it")
    parser.add_argument(
        "--guests", type=float, default=0.03, help="share of --long with real guests (default %(default)s)"
    )
    parser.add_argument("--minutes", type=float, default=math.inf, help="begin no cut after that time")
    parser.add_argument("--jobs", type=int, default=2 * (os.cpu_count() or 1))
    parser.add_argument("--report", type=Path, metavar="FILE", help="write the figures as JSON")
    parser.add_argument("--points", action="store_true", help="write points.txt anew and make no cuts")
    parser.add_argument("--list", action="store_true", help="name the cuts and make none")
    return parser.parse_args()


def _courses(pool: Pool, names: list[str], report: Report) -> list[Course]:
    found = []
    for name, future in [(name, pool.course(name)) for name in names]:
        try:
            found.append(future.result())
        except Exception as error:
            report.fail(name, str(error))
    return found


def _by_name(courses: Iterable[Course]) -> dict[str, set[str]]:
    """The points of each scenario, without how often they are passed."""
    return {course.scenario: {point.rpartition(":")[0] for point in course.points} for course in courses}


def _made(pool: Pool, cuts: Iterable[Cut], ahead: int) -> Iterable[Outcome]:
    """The outcomes, as they come in."""
    waiting, left = set[Future[Outcome]](), iter(cuts)
    while True:
        waiting |= {pool.cut(cut) for cut in islice(left, ahead - len(waiting))}
        if not waiting:
            return
        done, waiting = wait(waiting, return_when=FIRST_COMPLETED)
        for future in done:
            yield future.result()


def _tell(outcome: Outcome, number: int, *, quiet: bool) -> None:
    if quiet:
        if number % 100 == 0:
            print(f"{number} cuts made", flush=True)
    elif not outcome.problem:
        print(f"passed {outcome.cut}{'' if outcome.reached else ' (not reached)'}", flush=True)


if __name__ == "__main__":
    sys.exit(main())
