"""Whether a scroll area comes to rest: one that takes its scroll bar away, wraps anew and puts it back never does."""

from __future__ import annotations

from collections.abc import Callable, Iterable

from PySide6.QtCore import QEvent, QObject
from PySide6.QtWidgets import QApplication, QScrollArea

#: so often a page may be laid out anew after it got another size
_ROUNDS = 12


class _Watch(QObject):
    """Notes whether a page was given another size."""

    def __init__(self, area: QScrollArea) -> None:
        super().__init__()
        self.moved = False
        page = area.widget()
        assert page is not None
        page.installEventFilter(self)

    def eventFilter(self, _watched: QObject, event: QEvent) -> bool:
        self.moved = self.moved or event.type() == QEvent.Type.Resize
        return False


def restless(area: QScrollArea, resize: Callable[[int], None], heights: Iterable[int]) -> list[int]:
    """The heights at which the area does not come to rest. `resize` gives what holds it a height.

    Not for a test that is a coroutine: its other tasks would never wake again.
    """
    watch, found = _Watch(area), []
    for height in heights:
        resize(height)
        for _ in range(_ROUNDS):
            watch.moved = False
            QApplication.processEvents()
            if not watch.moved:
                break
        else:
            found.append(height)
    watch.deleteLater()
    return found
