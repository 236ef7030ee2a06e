"""The workspace: what every command, tab and dialog works with. One per window.

It holds the session, the object cache, the commands, the settings and the history, and runs coroutines whose errors
end in a dialog rather than nowhere.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Coroutine
from typing import Any

from PySide6.QtCore import QObject, Signal
from PySide6.QtWidgets import QWidget

from app.api import ConnectionLost, Failure, Ref, Task
from app.client import Delta, ObjectCache, Session, wait_for
from app.client.service import Service
from app.log import get
from ui.base.commands import Command, Registry, Selection
from ui.base.dialogs import ErrorDialog, ask
from ui.base.failures import explain
from ui.base.history import Entry, History
from ui.base.property_page import PropertyPage
from ui.base.settings import Settings

log = get(__name__)


class Workspace(QObject):
    """The one context that commands get. `changed` carries the Delta of each batch from the engine."""

    changed = Signal(object)
    #: "connecting", "connected" or "lost"
    status_changed = Signal(str)
    #: asks the window to show an object: class, reference, tab ("" keeps the tab)
    show_requested = Signal(str, str, str)

    def __init__(self, session: Session, cache: ObjectCache, settings: Settings, parent: QObject | None = None) -> None:
        super().__init__(parent)
        self.session = session
        self.cache = cache
        self.settings = settings
        self.history = History(self)
        self.commands = Registry(self, self._command_failed, self)
        self.window: QWidget | None = None
        #: what can keep the engine running without the window; None where a service does already
        self.service: Service | None = None
        #: what makes pages for the properties of what is chosen; each answers None for what it has nothing to say of
        self.property_pages: list[Callable[[Workspace, Selection], PropertyPage | None]] = []
        self._tasks: set[asyncio.Task[Any]] = set()
        self._stop_listening = cache.listen(self._on_delta)

    def spawn(self, work: Coroutine[Any, Any, Any], doing: str = "") -> asyncio.Task[Any]:
        """Run a coroutine; an error is shown as "`doing` failed"."""
        reported = self._reported(work, doing)
        task = asyncio.ensure_future(reported)
        self._tasks.add(task)
        # A task cancelled before its first step would leave them waiting for somebody to run them.
        task.add_done_callback(lambda _: (reported.close(), work.close()))
        task.add_done_callback(self._tasks.discard)
        return task

    async def run_task(self, title: str, started: Awaitable[Ref[Task]], subject: tuple[str, str] = ("", "")) -> str:
        """Follow a task from `session.start(…)` to its end, in the history; answer its result.

        :raise Failure: the task's error, TASK_CANCELLED included; it is in the history already, show it or not.
        """
        entry = self.history.begin(title, subject)
        try:
            task = await started
            entry.task = task
            result = await wait_for(self.session, self.cache, task, lambda record: self.history.follow(entry, record))
        except (Failure, ConnectionLost) as error:
            self.history.end(entry, error)
            raise
        except BaseException:
            self.history.end(entry, ConnectionLost("the window closed"))
            raise
        self.history.end(entry)
        return result

    async def cancel(self, entry: Entry) -> None:
        """Ask a running operation to stop."""
        if entry.state != "running" or not (entry.task or entry.stop):
            return
        entry.cancel_asked = True
        self.history.changed.emit(entry)
        if entry.stop is not None:
            entry.stop()
        else:
            await self.session.task.cancel(Ref(entry.task))

    async def show_error(self, error: Exception, doing: str) -> None:
        """Say what happened, why, and what to do. A cancellation is no error."""
        if isinstance(error, Failure) and error.code == "TASK_CANCELLED":
            return
        words = explain(error, self.cache)
        dialog = ErrorDialog(
            what=f"{doing} failed" if doing else "That did not work",
            why=words.why,
            what_to_do=words.advice,
            details=words.details,
            parent=self.window,
        )
        await ask(dialog)

    def show(self, cls: str, ref: str, tab: str = "") -> None:
        """Show an object in the window."""
        self.show_requested.emit(cls, ref, tab)

    async def close(self) -> None:
        """End what this window started itself; operations in the engine go on."""
        self._stop_listening()
        for task in list(self._tasks):
            task.cancel()
        if self._tasks:
            await asyncio.wait(self._tasks)

    def _on_delta(self, delta: Delta) -> None:
        self.changed.emit(delta)
        self.commands.refresh()

    def _command_failed(self, command: Command, error: Exception) -> None:
        if not isinstance(error, Failure | ConnectionLost):
            log.error("a command failed", command=command.id, exc_info=error)
        self.spawn(self.show_error(error, command.plain_title))

    async def _reported(self, work: Coroutine[Any, Any, Any], doing: str) -> Any:
        try:
            return await work
        except asyncio.CancelledError:
            raise
        except Exception as error:
            if not isinstance(error, Failure | ConnectionLost):
                log.exception("a coroutine of the window failed")
            await self.show_error(error, doing)
            return None
