"""Which snapshots are chosen: one set for graph, list, details and commands, by reference."""

from __future__ import annotations

from collections.abc import Iterable

from PySide6.QtCore import QObject, Signal


class Chosen(QObject):
    """The chosen references in the order shown, and the one the keyboard is on ("" for none)."""

    #: something else is chosen, or the keyboard is elsewhere
    changed = Signal()

    def __init__(self, parent: QObject | None = None) -> None:
        super().__init__(parent)
        self._refs: tuple[str, ...] = ()
        self._current = ""

    @property
    def refs(self) -> tuple[str, ...]:
        """What is chosen."""
        return self._refs

    @property
    def current(self) -> str:
        """Where the keyboard is."""
        return self._current

    def choose(self, refs: Iterable[str], current: str | None = None) -> None:
        """Choose exactly these; ``current`` moves the keyboard, which otherwise stays or goes to the last of them."""
        wanted = tuple(dict.fromkeys(refs))
        if current is None:
            current = self._current if self._current in wanted else wanted[-1] if wanted else self._current
        if (wanted, current) == (self._refs, self._current):
            return
        self._refs, self._current = wanted, current
        self.changed.emit()

    def toggle(self, ref: str) -> None:
        """Choose it as well, or no longer."""
        self.choose((r for r in self._refs if r != ref) if ref in self._refs else (*self._refs, ref), ref)
