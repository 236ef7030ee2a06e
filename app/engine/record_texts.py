"""Records as they were written before: a record never changes, so many clients can be sent the same text."""

from __future__ import annotations

from collections.abc import Callable, Sized
from typing import Final, Generic, TypeVar

import msgspec

T = TypeVar("T", bound=Sized)

MOST: Final = 64 << 20
"""Characters or bytes kept. A VM's record takes some ten thousand of them."""


class RecordTexts(Generic[T]):
    """Writes records, and remembers what was written. Several threads may use it."""

    def __init__(self, write: Callable[[msgspec.Struct], T]) -> None:
        self._write = write
        # By identity, which is safe because the record is kept, too: records with maps in them have no hash.
        self._known: dict[int, tuple[msgspec.Struct, T]] = {}
        self._size = 0

    def once(self, record: msgspec.Struct) -> T:
        """The text of a record among so many that they would drive the others out."""
        known = self.known(record)
        return self._write(record) if known is None else known

    def known(self, record: msgspec.Struct) -> T | None:
        """What was written of the record, if that is remembered."""
        known = self._known.get(id(record))
        return None if known is None else known[1]

    def __call__(self, record: msgspec.Struct) -> T:
        """The text of a record."""
        known = self._known.get(id(record))
        if known is not None:
            return known[1]
        text = self._write(record)
        self._size += len(text)
        if self._size > MOST:
            # All at once: most of it is of records that have changed since.
            self._known, self._size = {}, len(text)
        self._known[id(record)] = (record, text)
        return text
