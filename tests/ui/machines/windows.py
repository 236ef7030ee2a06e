"""Finding, answering and waiting for what a coroutine opened, without running an event loop inside a test."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from typing import TypeVar

from PySide6.QtCore import QEvent
from PySide6.QtWidgets import QApplication, QDialog

from ui.main_window import MainWindow

D = TypeVar("D", bound=QDialog)
T = TypeVar("T")


async def until(met: Callable[[], T]) -> T:
    """Let the loop run until `met` answers something true; that answer."""
    async with asyncio.timeout(20):
        while not (found := met()):  # noqa: ASYNC110  # any state of any widget: no one event tells of it
            await asyncio.sleep(0.001)
    return found


def open_dialogs(kind: type[D]) -> list[D]:
    """The dialogs of that kind that are shown."""
    return [w for w in QApplication.topLevelWidgets() if isinstance(w, kind) and w.isVisible()]


async def opened(kind: type[D]) -> D:
    """The dialog of that kind, once it is shown."""
    return (await until(lambda: open_dialogs(kind)))[0]


async def close_window(window: MainWindow) -> None:
    """Put an end to a whole window and all that it does."""
    window.hide()
    await window.workspace.commands.stop()
    await window.workspace.close()
    window.deleteLater()
    QApplication.sendPostedEvents(None, QEvent.Type.DeferredDelete)
