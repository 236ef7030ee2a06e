"""The object cache: what the engine holds, as this client last heard, changed by the event feed alone."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from types import MappingProxyType
from typing import TypeVar, cast

from app.api import Event, EventBatch, EventOperation, Record, Ref, class_of, classes
from app.log import get

R = TypeVar("R", bound=Record)
Key = tuple[str, str]
log = get(__name__)


@dataclass(frozen=True)
class Delta:
    """What one batch of events changed: (class, reference) pairs. `before` has the records that changed or went."""

    added: frozenset[Key] = frozenset()
    changed: frozenset[Key] = frozenset()
    removed: frozenset[Key] = frozenset()
    before: Mapping[Key, Record] = field(default_factory=dict)

    def touches(self, *records: type[Record]) -> bool:
        """True if an object of one of these classes came, changed or went."""
        names = {class_of(r).name for r in records}
        return any(cls in names for cls, _ in self.added | self.changed | self.removed)

    def __bool__(self) -> bool:
        return bool(self.added or self.changed or self.removed)


Listener = Callable[[Delta], None]


class ObjectCache:
    """All records by class and reference. Belongs to one thread."""

    def __init__(self) -> None:
        self._objects: dict[str, dict[str, Record]] = {name: {} for name in classes()}
        self._listeners: list[Listener] = []
        self.filled = False

    def get(self, record: type[R], ref: str) -> R | None:
        """The object's record, or None if it is gone or was never there."""
        return cast("R | None", self._objects[class_of(record).name].get(ref))

    def all(self, record: type[R]) -> Mapping[Ref[R], R]:
        """All objects of a class by reference, a live view."""
        return cast("Mapping[Ref[R], R]", MappingProxyType(self._objects[class_of(record).name]))

    def one(self, record: type[R]) -> tuple[Ref[R], R] | None:
        """The only object of a class, such as the pool; None before the cache is filled."""
        return next(iter(self.all(record).items()), None)

    def listen(self, listener: Listener) -> Callable[[], None]:
        """Call `listener` with each delta; the answer ends that."""
        self._listeners.append(listener)

        def stop() -> None:
            if listener in self._listeners:
                self._listeners.remove(listener)

        return stop

    def apply(self, batch: EventBatch, *, complete: bool = False) -> Delta:
        """Take a batch in and tell the listeners. A complete batch holds everything: what it lacks is gone.

        A listener that raises does not keep the others from hearing; the first one's error is raised afterwards.
        """
        delta = self._change(batch.events, complete)
        self.filled = True
        failed: Exception | None = None
        for listener in list(self._listeners) if delta else ():
            try:
                listener(delta)
            except Exception as error:
                failed = failed or error
        if failed is not None:
            raise failed
        return delta

    def differing(self, counts: Mapping[str, int]) -> frozenset[str]:
        """The classes of which the cache has more or fewer objects than the engine says: events were lost."""
        return frozenset(
            name
            for name, objects in self._objects.items()
            # Tasks and sessions come and go between the batch and its counts.
            if name not in ("task", "session") and len(objects) != counts.get(name.lower(), len(objects))
        )

    def _change(self, events: tuple[Event, ...], complete: bool) -> Delta:
        before: dict[Key, Record] = {}
        added: set[Key] = set()
        changed: set[Key] = set()
        removed: set[Key] = set()
        seen: set[Key] = set()
        for event in events:
            objects = self._objects.get(event.cls)
            if objects is None:
                continue
            key = (event.cls, event.ref)
            old = objects.get(event.ref)
            if event.operation is EventOperation.delete or event.snapshot is None:
                if objects.pop(event.ref, None) is not None:
                    removed.add(key)
            else:
                seen.add(key)
                objects[event.ref] = event.snapshot
                if old is None:
                    added.add(key)
                elif old != event.snapshot:
                    changed.add(key)
            if old is not None and key not in added:
                before.setdefault(key, old)  # an object may be told of twice in a batch
        if complete:
            removed |= self._drop_unseen(seen, before)
        told = {key: record for key, record in before.items() if key in changed or key in removed}
        return Delta(frozenset(added - removed), frozenset(changed - added - removed), frozenset(removed), told)

    def _drop_unseen(self, seen: set[Key], before: dict[Key, Record]) -> set[Key]:
        stale = {(cls, ref) for cls, objects in self._objects.items() for ref in objects} - seen
        for cls, ref in stale:
            before[cls, ref] = self._objects[cls].pop(ref)
        return stale
