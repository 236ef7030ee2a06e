"""Qt and asyncio on one event loop."""

from __future__ import annotations

import asyncio
from collections.abc import Coroutine, Iterator
from contextlib import contextmanager
from typing import Any, Final, TypeVar

import qasync
from PySide6.QtCore import QTimer
from PySide6.QtWidgets import QApplication

from app.garbage import collector

T = TypeVar("T")
SEARCH_INTERVAL: Final = 500
"""Milliseconds between two searches for new garbage."""


def run(app: QApplication, main: Coroutine[Any, Any, T]) -> T:
    """Run `main` on Qt's event loop until it is done; windows live meanwhile.

    The last window closing must not end the loop: `main` decides when it is over.
    """
    app.setQuitOnLastWindowClosed(False)
    loop = qasync.QEventLoop(app)
    asyncio.set_event_loop(loop)
    with loop, garbage_is_found_here():
        result: T = loop.run_until_complete(main)
        loop.run_until_complete(loop.shutdown_asyncgens())
    asyncio.set_event_loop(None)
    return result


@contextmanager
def garbage_is_found_here() -> Iterator[None]:
    """Meanwhile garbage is searched for by this thread's events only: widgets may be among it."""
    timer = QTimer(interval=SEARCH_INTERVAL)
    timer.timeout.connect(collector.step)
    collector.start()
    timer.start()
    try:
        yield
    finally:
        timer.stop()
        collector.stop()
