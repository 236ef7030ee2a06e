"""For all tests with widgets: coroutines run on Qt's own event loop, as they do in the application."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Iterator, Mapping
from typing import Any

import pytest
import pytestqt.plugin
import qasync
from PySide6.QtWidgets import QApplication, QDialog

_loops: list[asyncio.AbstractEventLoop] = []


class _Loop(qasync.QEventLoop):  # type: ignore[misc]  # it has no types
    """Is the running loop also for the events that qasync handles once more when a coroutine has ended.

    A task that begins to wait just then would otherwise end with "no running event loop".
    """

    def run_forever(self) -> Any:
        result = super().run_forever()
        asyncio._set_running_loop(self)
        return result

    def run_until_complete(self, future: Any) -> Any:
        try:
            return super().run_until_complete(future)
        finally:
            asyncio._set_running_loop(None)


def pytest_asyncio_loop_factories(config: Any, item: Any) -> Mapping[str, Callable[[], asyncio.AbstractEventLoop]]:
    """One loop over Qt's for each test; pytest-asyncio closes it."""

    def make() -> asyncio.AbstractEventLoop:
        app = QApplication.instance() or QApplication([])
        app.setProperty("quitOnLastWindowClosed", False)  # else closing a dialog ends the loop
        loop: asyncio.AbstractEventLoop = _Loop(app)
        _loops[:] = [loop]
        return loop

    return {"qasync": make}


@pytest.fixture(scope="session", autouse=True)
def _events_between_the_phases() -> Iterator[None]:
    """Let tasks that a fixture left running go on, not fail, when pytest-qt handles events between setup, test and end.

    The loop is not running then, so a task that asks for it would end with "no running event loop".
    """
    original: Callable[[], None] = pytestqt.plugin._process_events

    def process_events() -> None:
        loop = next(iter(_loops), None)
        if loop is None or loop.is_closed() or loop.is_running():
            original()
            return
        asyncio._set_running_loop(loop)
        try:
            original()
        finally:
            asyncio._set_running_loop(None)

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(pytestqt.plugin, "_process_events", process_events)
        yield


@pytest.fixture(autouse=True)
def _no_dialog_is_left() -> Iterator[None]:
    """A dialog that a failed test left open is not what the next test finds."""
    yield
    for window in QApplication.topLevelWidgets():
        if isinstance(window, QDialog) and window.isVisible():
            window.close()
