"""A page that is brought up to date when it is seen, and while it is hidden only remembers that it has to be."""

from __future__ import annotations

from PySide6.QtGui import QShowEvent
from PySide6.QtWidgets import QWidget


class SeenPage(QWidget):
    """`stale`: something changed since the page was brought up to date."""

    def __init__(self, parent: QWidget | None = None) -> None:
        super().__init__(parent)
        self.stale = False

    def refresh(self) -> None:
        """Bring it up to date."""
        raise NotImplementedError

    def refresh_or_wait(self) -> None:
        """Something changed: bring it up to date now, or when it is seen."""
        self.stale = True
        self._refresh_if_seen()

    def showEvent(self, event: QShowEvent) -> None:
        super().showEvent(event)
        self._refresh_if_seen()

    def _refresh_if_seen(self) -> None:
        if self.stale and self.isVisible():
            self.stale = False
            self.refresh()
