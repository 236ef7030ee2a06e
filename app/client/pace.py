"""Progress of a transfer: rate and time left, told not too often."""

from __future__ import annotations

import time
from collections import deque
from typing import Final

from app.client.transfer_types import Progress, Report, Stage

BETWEEN_SECONDS: Final = 0.1
_WINDOW_SECONDS: Final = 5.0
"""The rate is that of the last seconds: disks and networks change their minds."""


_TELLING: Final = 0.02
_SETTLED: Final = 64 << 20
"""With less than this, what is read ahead and not yet here would tell more than what is."""


class Pace:
    """Follows one stage and tells of it."""

    def __init__(self, report: Report, stage: Stage, total: int | None, done: int = 0) -> None:
        self._report = report
        self._stage: Stage = stage
        self.total = total
        self._done = done
        self._marks: deque[tuple[float, int]] = deque([(time.monotonic(), done)])
        self._tell(0.0, None)

    def add(self, count: int) -> None:
        """So many bytes more."""
        self.reach(self._done + count)

    def reach(self, done: int) -> None:
        """So many bytes in all."""
        self._done = done
        now = time.monotonic()
        if now - self._marks[-1][0] < BETWEEN_SECONDS:
            return
        self._marks.append((now, done))
        while now - self._marks[0][0] > _WINDOW_SECONDS and len(self._marks) > 2:
            self._marks.popleft()
        then, before = self._marks[0]
        rate = (done - before) / max(now - then, 1e-6)
        left = (self.total - done) / rate if self.total is not None and rate > 0 else None
        self._tell(rate, None if left is None else max(0.0, left))

    def estimate(self, share: float) -> None:
        """This share of the stage is done, whatever it will be in bytes: for streams whose length nobody knows."""
        if share >= _TELLING and self._done >= _SETTLED:
            self.total = max(self._done, round(self._done / share))

    def finish(self) -> None:
        """The stage is over: what was done is all there is."""
        then, before = self._marks[0]
        elapsed = max(time.monotonic() - then, 1e-6)
        self.total = self._done
        self._tell((self._done - before) / elapsed, 0.0)

    def _tell(self, rate: float, left: float | None) -> None:
        self._report(Progress(self._stage, self._done, self.total, rate, left))
