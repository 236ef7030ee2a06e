"""Searching for garbage when and where it does no harm, instead of wherever Python happens to run.

Python searches in whichever thread makes the object that is one too many. In the desktop that may be the engine's,
which would then destroy the widgets it finds: a crash, some day (Qt's objects belong to the thread they live in:
https://doc.qt.io/qt-6/threads-qobject.html).
"""

from __future__ import annotations

import contextlib
import gc
from collections.abc import Iterator
from typing import Final

FULL_SEARCH_GROWTH: Final = 1.25
"""Old objects are searched when there are so many times as many as the last search left; Python's own rule is alike."""


@contextlib.contextmanager
def what_is_loaded_stays() -> Iterator[None]:
    """No search while modules are loaded, nor among them ever after: there is no garbage.

    It would take a fifth of the time until the window is there.
    """
    gc.disable()
    try:
        yield
    finally:
        gc.freeze()
        gc.enable()


class Collector:
    """Stands in for Python's own searches: from `start` on, garbage is looked for in `step` and nowhere else."""

    def __init__(self) -> None:
        self._runs = False
        self._old = 0
        self._grown_old = 0

    def start(self) -> None:
        """Have Python no longer search by itself."""
        gc.disable()
        self._runs = True

    def stop(self) -> None:
        """Let Python search by itself again."""
        self._runs = False
        gc.enable()

    def keep(self) -> None:
        """What is there now is there to stay, and never searched again. Nothing happens before `start` or after `stop`.

        A pool of 3,000 VMs with 30,000 snapshots is half a million objects in which no cycle can be: a search among
        them stopped the window for a fifth of a second. What dies of them is freed all the same, by its count of
        references; lost is only what is part of a cycle now. So call it once, before the first window is made.
        """
        if self._runs:
            gc.freeze()
            self._old = self._grown_old = 0

    def step(self) -> None:
        """Search the generations that are due, in the thread that calls."""
        due = [count > threshold for count, threshold in zip(gc.get_count(), gc.get_threshold(), strict=True)]
        if due[2] and due[1] and self._grown_old > self._old * (FULL_SEARCH_GROWTH - 1):
            gc.collect()
            self._old, self._grown_old = len(gc.get_objects(2)), 0
        elif due[1]:
            # Counted while they are young: the old ones may be so many that counting them would be felt.
            young = len(gc.get_objects(0)) + len(gc.get_objects(1))
            self._grown_old += young - gc.collect(1)
        elif due[0]:
            gc.collect(0)


collector: Final = Collector()
"""The one of this process."""
