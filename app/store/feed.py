"""The change log that feeds event.from: the newest change of each object, in order, with tokens."""

from __future__ import annotations

import re
import time
from collections import OrderedDict
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Final

from app.api.enums import EventOperation
from app.api.failure import Failure
from app.api.types import classes

_TOKEN: Final = re.compile(r"(\d{1,20}),(\d{1,20})")
_TOMBSTONES_KEPT: Final = 20_000

Key = tuple[str, str]


@dataclass(frozen=True)
class Change:
    """One object's newest change."""

    cls: str
    ref: str
    operation: EventOperation
    generation: int


class Feed:
    """Remembers when each object was made, last changed and deleted, counted in generations.

    Generations start at the clock's milliseconds, so that a token of an earlier run is older than everything now.
    """

    def __init__(self) -> None:
        self.generation = time.time_ns() // 1_000_000
        self._changed: OrderedDict[Key, int] = OrderedDict()
        self._made: dict[Key, int] = {}
        self._gone: OrderedDict[Key, int] = OrderedDict()
        self._lost = 0

    def note(self, cls: str, ref: str, operation: EventOperation) -> None:
        """Record a change of an object."""
        self.generation += 1
        key = (cls, ref)
        if operation is EventOperation.delete:
            self._changed.pop(key, None)
            self._made.pop(key, None)
            self._gone[key] = self.generation
            if len(self._gone) > _TOMBSTONES_KEPT:
                _, self._lost = self._gone.popitem(last=False)
            return
        if operation is EventOperation.add:
            self._made[key] = self.generation
        self._changed[key] = self.generation
        self._changed.move_to_end(key)

    def token(self) -> str:
        """The token of this moment."""
        return f"{self.generation:020d},{0:020d}"

    def since(self, token: str) -> list[Change]:
        """What changed after the token, oldest first; several changes of one object are one.

        :raise Failure: EVENT_FROM_TOKEN_PARSE_FAILURE.
        """
        generation = parse_token(token)
        found = [*self._newer(self._changed, generation, gone=False), *self._newer(self._gone, generation, gone=True)]
        return sorted(found, key=lambda change: change.generation)

    def has_lost(self, token: str) -> bool:
        """Whether deletions after the token are no longer known."""
        return parse_token(token) < self._lost

    def _newer(self, log: OrderedDict[Key, int], generation: int, *, gone: bool) -> Iterator[Change]:
        for (cls, ref), changed in reversed(log.items()):
            if changed <= generation:
                return
            if gone:
                operation = EventOperation.delete
            else:
                made = self._made.get((cls, ref), 0)
                operation = EventOperation.add if made > generation else EventOperation.mod
            yield Change(cls, ref, operation, changed)


def parse_token(token: str) -> int:
    """The generation in a token; 0 for the empty one. :raise Failure: EVENT_FROM_TOKEN_PARSE_FAILURE."""
    if not token:
        return 0
    match = _TOKEN.fullmatch(token)
    if match is None:
        raise Failure("EVENT_FROM_TOKEN_PARSE_FAILURE", token)
    return int(match[1])


class Subscription:
    """What a client wants to hear of: `*`, a class, or `class/ref`; case does not matter.

    A name that is no class of ours is accepted and matches nothing, as XenServer does.
    """

    def __init__(self, wanted: Sequence[str]) -> None:
        self._all = "*" in wanted
        known = {name.lower(): name for name in classes()}
        self._classes = {known[w.lower()] for w in wanted if w.lower() in known}
        pairs = [w.split("/", 1) for w in wanted if "/" in w]
        self._objects = {(known[c.lower()], ref) for c, ref in pairs if c.lower() in known}

    def matches(self, change: Change) -> bool:
        """True if the client wants to hear of this change. Sessions are nobody's business but their owner's."""
        if change.cls == "session":
            return False
        return self._all or change.cls in self._classes or (change.cls, change.ref) in self._objects
