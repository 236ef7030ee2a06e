"""Reading the cache and noting what was read, so that a later delta can be told to matter or not."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TypeVar

from app.api import Record, Ref, class_of
from app.client import Delta, ObjectCache

R = TypeVar("R", bound=Record)


class Looking:
    """One pass over the cache for one thing that is shown."""

    def __init__(self, cache: ObjectCache) -> None:
        self._cache = cache
        self._keys: set[tuple[str, str]] = set()
        self._classes: set[str] = set()

    def get(self, record: type[R], ref: str) -> R | None:
        """The object's record; noted even where there is none."""
        self._keys.add((class_of(record).name, ref))
        return self._cache.get(record, ref)

    def all(self, record: type[R]) -> Mapping[Ref[R], R]:
        """All objects of a class; noted, so that any change of one of them matters."""
        self._classes.add(class_of(record).name)
        return self._cache.all(record)

    def matters(self, delta: Delta) -> bool:
        """Whether the delta changes anything that was read."""
        touched = delta.added | delta.changed | delta.removed
        return not self._keys.isdisjoint(touched) or any(cls in self._classes for cls, _ in touched)
