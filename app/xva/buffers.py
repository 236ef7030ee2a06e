"""Large buffers that are used again: giving memory back and taking it anew costs as much as reading a disk into it."""

from __future__ import annotations

import sys
from typing import Final

_KEPT: Final = 12
_OURS: Final = 3
"""References to a buffer that nobody else has: the list's, the loop's and the question's own."""


class Buffers:
    """Buffers of one size. A buffer goes round again when nobody refers to it any more, nor to a view of it."""

    def __init__(self, size: int) -> None:
        self.size = size
        self._known: list[bytearray] = []

    def take(self) -> bytearray:
        """A buffer that nobody uses. What was in it is still there; a new one holds zeros."""
        for buffer in self._known:
            if sys.getrefcount(buffer) <= _OURS:
                return buffer
        made = bytearray(self.size)
        if len(self._known) < _KEPT:
            self._known.append(made)
        return made
