"""Waiting inside coroutines, where the event loop must not be run again."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from typing import TypeVar

from PySide6.QtWidgets import QApplication, QDialog

D = TypeVar("D", bound=QDialog)
_PATIENCE = 4000


async def until(holds: Callable[[], object], patience: int = _PATIENCE) -> None:
    """Let the loop go on until something holds, so many turns at most. :raise AssertionError: it never does."""
    for _ in range(patience):
        if holds():
            return
        await asyncio.sleep(0)
    raise AssertionError("it never happened")


async def opened(kind: type[D]) -> D:
    """The dialog of this class, once it is open."""
    found: list[D] = []

    def look() -> bool:
        found[:] = [w for w in QApplication.topLevelWidgets() if isinstance(w, kind) and w.isVisible()]
        return bool(found)

    await until(look)
    return found[0]
