"""A question to the engine about one object, asked in the background: the newest answer counts."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from typing import Generic, TypeVar

from PySide6.QtCore import QObject, QTimer, Signal
from shiboken6 import isValid

from app.api import ConnectionLost, Failure
from app.log import get
from ui.base.workspace import Workspace

T = TypeVar("T")
log = get(__name__)

_SOON_MS = 250
"""So long changes are collected before the question is asked again."""


class _Signals(QObject):
    answered = Signal()


def _is_answered() -> bool:
    """Whether anybody answers: while the window is put together no loop runs yet."""
    try:
        asyncio.get_running_loop()
    except RuntimeError:
        return False
    return True


class Question(Generic[T]):
    """Asks about one object at a time. An answer stays until there is a newer one of the same object.

    :param ask: sends the question; gets the object's reference.
    :param parent: whose end is the question's end.
    """

    def __init__(self, workspace: Workspace, ask: Callable[[str], Awaitable[T]], parent: QObject) -> None:
        self._workspace, self._ask = workspace, ask
        self._signals = _Signals(parent)
        #: there is an answer, or it is known that there is none
        self.answered = self._signals.answered
        self.ref = ""
        self.answer: T | None = None
        #: why there is no answer: the error's code
        self.failure = ""
        self._under_way: asyncio.Task[None] | None = None
        self._soon = QTimer(self._signals)
        self._soon.setSingleShot(True)
        self._soon.setInterval(_SOON_MS)
        self._soon.timeout.connect(self._begin)

    def about(self, ref: str) -> None:
        """Ask about this object at once."""
        if ref != self.ref:
            self.ref, self.answer, self.failure = ref, None, ""
        self._begin()

    def again(self) -> None:
        """Something changed: ask again soon."""
        if self.ref and not self._soon.isActive():
            self._soon.start()

    def stop(self) -> None:
        """Nobody looks any more."""
        self._soon.stop()
        if self._under_way is not None:
            self._under_way.cancel()
            self._under_way = None

    def _begin(self) -> None:
        self.stop()
        if self.ref and _is_answered():
            self._under_way = self._workspace.spawn(self._work(self.ref))

    async def _work(self, ref: str) -> None:
        failure, answer = "", None
        try:
            answer = await self._ask(ref)
        except ConnectionLost:
            return  # what was known stays
        except Failure as error:
            failure = error.code
            log.debug("a question has no answer", ref=ref, error=str(error))
        if not isValid(self._signals) or ref != self.ref:
            return
        self.answer, self.failure = answer, failure
        self._signals.answered.emit()
