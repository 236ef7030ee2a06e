"""In the process that is to be hurt: what happens at a point, or some microseconds after it.

`app.crash_points.reach` is replaced in a forked child only. Death comes from the kernel: SIGKILL at the point itself,
or a timer whose signal nobody handles, which can hit between any two instructions.
"""

from __future__ import annotations

import asyncio
import os
import re
import select
import signal
import threading
import time
from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Literal, cast

from app import crash_points

Victim = Literal["engine", "qemu", "both", "enospc", "eio"]
"""Who is killed. The last two are no killings: a write fails, and on a full disk all after it."""


_DEATH = 10.0
"""Seconds at most that a killed process is waited for."""
_WRITTEN = re.compile(r"(\w+)(?:@([\w.]+:\d+))?(?:\+(\d+)us)?(?:/(engine|qemu|both|enospc|eio))?(?:~(\d+)us)?")


@dataclass(frozen=True)
class Cut:
    """Who is killed, and when. Written `SCENARIO@POINT:N+MICROSECONDSus/VICTIM`; all but the scenario may lack.

    `~MICROSECONDSus` at the end kills the engine that opens next as well, so long after it begins to.

    :ivar point: `name:N` of a crash point, or `call:N` of a failing write; "" counts the delay from the
        beginning of the operation.
    :ivar delay: microseconds after the point; 0 kills at the point itself.
    """

    scenario: str
    point: str = ""
    delay: int = 0
    victim: Victim = "engine"
    again: int = 0

    def __str__(self) -> str:
        when = f"@{self.point}" if self.point else ""
        later = f"+{self.delay}us" if self.delay or not self.point else ""
        victim = "" if self.victim == "engine" else f"/{self.victim}"
        return f"{self.scenario}{when}{later}{victim}{f'~{self.again}us' if self.again else ''}"


def read_cut(text: str) -> Cut:
    """The cut that is written so. :raise ValueError: none is."""
    found = _WRITTEN.fullmatch(text)
    if found is None:
        raise ValueError(f"not a cut: {text!r}")
    scenario, point, delay, victim, again = found.groups()
    return Cut(scenario, point or "", int(delay or 0), cast("Victim", victim or "engine"), int(again or 0))


class Recorder:
    """Writes down the points an operation passes, and how long it takes."""

    def __init__(self) -> None:
        self.points: list[str] = []
        self._seen: Counter[str] = Counter()
        self._lock = threading.Lock()
        self._began = time.perf_counter()

    def reach(self, name: str) -> None:
        with self._lock:
            self._seen[name] += 1
            self.points.append(f"{name}:{self._seen[name]}")

    def begin(self) -> None:
        """The operation begins now."""
        self._began = time.perf_counter()
        crash_points.reach = self.reach

    def seconds(self) -> float:
        """Since it began."""
        return time.perf_counter() - self._began


class Trap:
    """Kills when the cut says.

    :ivar hit: a guest was killed. Whether we were, others can tell.
    """

    def __init__(self, cut: Cut, guests: Callable[[], list[int]], mark: Path) -> None:
        """:param guests: answers the processes of QEMU. :param mark: a file to make when one is killed."""
        self._cut = cut
        self._guests = guests
        self._mark = mark
        self._seen: Counter[str] = Counter()
        self._lock = threading.Lock()
        self._timer: threading.Timer | None = None
        self.hit = False

    async def struck(self) -> None:
        """Wait for a strike that is still to come."""
        if self._timer is not None:
            await asyncio.to_thread(self._timer.join)

    def begin(self) -> None:
        """The operation begins now."""
        if self._cut.point:
            crash_points.reach = self._reach
        else:
            self._spring()

    def _reach(self, name: str) -> None:
        with self._lock:
            self._seen[name] += 1
            hit = self._cut.point == f"{name}:{self._seen[name]}"
        if hit:
            self._spring()

    def _spring(self) -> None:
        if self._cut.victim == "engine" and self._cut.delay > 0:
            # Nobody handles SIGALRM here, so it ends the process at once, as SIGKILL would.
            signal.setitimer(signal.ITIMER_REAL, self._cut.delay / 1e6)
        elif self._cut.delay > 0:
            self._timer = threading.Timer(self._cut.delay / 1e6, self._strike)
            self._timer.daemon = True
            self._timer.start()
        else:
            self._strike()

    def _strike(self) -> None:
        if self._cut.victim != "engine":
            for pid in self._guests():
                process = os.pidfd_open(pid)
                os.kill(pid, signal.SIGKILL)
                self._mark.touch()
                self.hit = True
                # On a busy machine it dies some time later; until then all looks well.
                select.select([process], [], [], _DEATH)
                os.close(process)
        if self._cut.victim != "qemu":
            os.kill(os.getpid(), signal.SIGKILL)
