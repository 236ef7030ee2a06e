"""For all tests with widgets: coroutines run on Qt's own event loop, as they do in the application."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Mapping
from typing import Any

import qasync
from PySide6.QtWidgets import QApplication


def pytest_asyncio_loop_factories(config: Any, item: Any) -> Mapping[str, Callable[[], asyncio.AbstractEventLoop]]:
    """One loop over Qt's for each test; pytest-asyncio closes it."""

    def make() -> asyncio.AbstractEventLoop:
        app = QApplication.instance() or QApplication([])
        app.setProperty("quitOnLastWindowClosed", False)  # else closing a dialog ends the loop
        loop: asyncio.AbstractEventLoop = qasync.QEventLoop(app)
        return loop

    return {"qasync": make}
