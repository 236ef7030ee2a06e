"""What a run of many cuts found, in words and as JSON."""

from __future__ import annotations

import json
import time
from collections import Counter
from pathlib import Path

from tests.faults.workshop import Outcome

RECOVERY_LIMIT = 5.0
"""Seconds that opening after a kill may take."""


class Report:
    """Counts outcomes as they come in."""

    def __init__(self, seed: int | None = None) -> None:
        self._seed = seed
        self._began = time.monotonic()
        self._kinds: Counter[str] = Counter()
        self._scenarios: Counter[str] = Counter()
        self._recoveries: list[float] = []
        self.failures: list[str] = []
        self.passed = 0

    def add(self, outcome: Outcome) -> None:
        """Count one, and say so if something is wrong."""
        problem = outcome.problem
        if not problem and outcome.recovery > RECOVERY_LIMIT:
            problem = f"recovery took {outcome.recovery:.1f} s"
        self._kinds[_kind(outcome)] += 1
        self._scenarios[outcome.cut.scenario] += 1
        self._recoveries.append(outcome.recovery)
        if problem:
            self.fail(str(outcome.cut), problem)
        else:
            self.passed += 1

    def fail(self, what: str, problem: str) -> None:
        """Note what is wrong."""
        self.failures.append(what)
        print(f"FAILED {what}\n{problem}", flush=True)

    def summary(self) -> dict[str, object]:
        """The figures."""
        seconds, recoveries = time.monotonic() - self._began, sorted(self._recoveries) or [0.0]
        return {
            "cuts": len(self._recoveries),
            "kinds": dict(sorted(self._kinds.items())),
            "scenarios": dict(sorted(self._scenarios.items())),
            "seed": self._seed,
            "seconds": round(seconds, 1),
            "cuts_per_minute": round(len(self._recoveries) / max(seconds, 0.001) * 60),
            "recovery_median_ms": round(recoveries[len(recoveries) // 2] * 1000, 1),
            "recovery_longest_ms": round(recoveries[-1] * 1000, 1),
            "failures": self.failures,
        }

    def print(self, to: Path | None) -> None:
        """Say it, and keep it if asked to. The last line is `N passed, N failed`."""
        found = self.summary()
        for name, value in found.items():
            if name not in ("scenarios", "failures"):
                print(f"{name}: {value}")
        if to is not None:
            to.write_text(json.dumps(found, indent=1) + "\n", encoding="utf-8")
        print(f"{self.passed} passed, {len(self.failures)} failed", flush=True)


def _kind(outcome: Outcome) -> str:
    guest = "with a guest" if outcome.guest else "without a guest"
    return f"{outcome.cut.victim} killed, {guest}" if outcome.reached else f"ended before the kill, {guest}"
