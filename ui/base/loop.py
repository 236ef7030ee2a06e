"""Qt and asyncio on one event loop."""

from __future__ import annotations

import asyncio
from collections.abc import Coroutine
from typing import Any, TypeVar

import qasync
from PySide6.QtWidgets import QApplication

T = TypeVar("T")


def run(app: QApplication, main: Coroutine[Any, Any, T]) -> T:
    """Run `main` on Qt's event loop until it is done; windows live meanwhile.

    The last window closing must not end the loop: `main` decides when it is over.
    """
    app.setQuitOnLastWindowClosed(False)
    loop = qasync.QEventLoop(app)
    asyncio.set_event_loop(loop)
    with loop:
        result: T = loop.run_until_complete(main)
        loop.run_until_complete(loop.shutdown_asyncgens())
    asyncio.set_event_loop(None)
    return result
