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
        self._old = 0

    def start(self) -> None:
        """Have Python no longer search by itself."""
        gc.disable()

    def stop(self) -> None:
        """Let Python search by itself again."""
        gc.enable()

    def step(self) -> None:
        """Search the generations that are due, in the thread that calls."""
        due = [count > threshold for count, threshold in zip(gc.get_count(), gc.get_threshold(), strict=True)]
        if due[2] and due[1] and self._have_grown():
            gc.collect()
            self._old = len(gc.get_objects(2))
        elif due[1]:
            gc.collect(1)
        elif due[0]:
            gc.collect(0)

    def _have_grown(self) -> bool:
        return len(gc.get_objects(2)) > self._old * FULL_SEARCH_GROWTH
