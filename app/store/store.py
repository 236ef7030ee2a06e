"""The store: every object in memory as an immutable record, written through to SQLite.

A transaction is synchronous: SQL first, then memory, then the change log. If SQL fails, nothing changed.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from types import MappingProxyType
from typing import Any, TypeVar, cast

import msgspec

from app.api.enums import EventOperation
from app.api.failure import handle_invalid, uuid_invalid
from app.api.types import Record, Ref, class_of, classes, is_null, new_ref, new_uuid
from app.store.database import Database
from app.store.feed import Feed
from app.store.links import links_from, links_to

R = TypeVar("R", bound=Record)


class Store:
    """All objects of one engine. Not for use by several threads."""

    def __init__(self, path: Path | None = None, backups: Path | None = None) -> None:
        """Open the database at `path`, or keep everything in memory; `backups` gets a copy before an upgrade.

        :raise StoreDamaged: it cannot be used; the file's content is as it was.
        """
        self._database = Database(path, backups)
        self.reserve = self._database.reserve
        self.feed = Feed()
        self._objects: dict[str, dict[str, Record]] = {name: {} for name in classes()}
        self._by_uuid: dict[tuple[str, str], str] = {}
        self._listeners: list[Callable[[], None]] = []
        self._open: Transaction | None = None
        try:
            for cls, ref, record in self._database.load():
                self._objects[cls][ref] = record
                self._by_uuid[cls, record.uuid] = ref
        except BaseException:
            self._database.close()
            raise
        self._link_all()
        for cls, objects in self._objects.items():
            for ref in objects:
                self.feed.note(cls, ref, EventOperation.add)

    def close(self) -> None:
        """Close the database."""
        self._database.close()

    def on_change(self, listener: Callable[[], None]) -> None:
        """Call `listener` after each commit or publication."""
        self._listeners.append(listener)

    def get(self, record: type[R], ref: str) -> R:
        """The object's record. :raise Failure: HANDLE_INVALID."""
        found = self.find(record, ref)
        if found is None:
            raise handle_invalid(class_of(record).name, ref)
        return found

    def find(self, record: type[R], ref: str) -> R | None:
        """The object's record, or None."""
        return cast("R | None", self._objects[class_of(record).name].get(ref))

    def all(self, record: type[R]) -> Mapping[Ref[R], R]:
        """All objects of a class by reference: a live view, do not change the store while iterating over it."""
        return cast("Mapping[Ref[R], R]", MappingProxyType(self._objects[class_of(record).name]))

    def of_class(self, name: str) -> Mapping[str, Record]:
        """All objects of the class called `name`."""
        return MappingProxyType(self._objects[name])

    def by_uuid(self, record: type[R], uuid: str) -> Ref[R]:
        """The reference of the object with this uuid. :raise Failure: UUID_INVALID."""
        name = class_of(record).name
        ref = self._by_uuid.get((name, uuid))
        if ref is None:
            raise uuid_invalid(name, uuid)
        return Ref(ref)

    @contextmanager
    def transaction(self, *, synced: bool = True) -> Iterator[Transaction]:
        """Collect changes and commit them all when the block ends, or none of them if it raises.

        :param synced: False: a power cut may undo them, until the next that is synced. For what can be found out again.
        :raise Failure: SR_BACKEND_FAILURE_44 or INTERNAL_ERROR: they could not be written, and nothing changed.
        """
        if self._open is not None:
            raise RuntimeError("a transaction is open already")
        self._open = transaction = Transaction(self._objects)
        try:
            yield transaction
        finally:
            self._open = None
        self._commit(transaction, synced)

    def publish(self, record: type[R], ref: str, **fields: Any) -> None:
        """Change volatile fields: clients hear of it, nothing is written. An object that is gone is passed over."""
        name = class_of(record).name
        current = self._objects[name].get(ref)
        if current is None:
            return
        changed = msgspec.structs.replace(current, **fields)
        if changed != current:
            self._objects[name][ref] = changed
            self.feed.note(name, ref, EventOperation.mod)
            self._tell()

    def _commit(self, transaction: Transaction, synced: bool) -> None:
        changes = [(cls, ref, transaction.changed[cls, ref]) for cls, ref in transaction.written]
        self._database.write(changes, synced=synced)
        for (cls, ref), record in transaction.changed.items():
            before = self._objects[cls].get(ref)
            if before is not None:
                self._by_uuid.pop((cls, before.uuid), None)
            if record is None:
                if self._objects[cls].pop(ref, None) is not None:
                    self.feed.note(cls, ref, EventOperation.delete)
                continue
            self._objects[cls][ref] = record
            self._by_uuid[cls, record.uuid] = ref
            if before != record:
                self.feed.note(cls, ref, EventOperation.add if before is None else EventOperation.mod)
        if transaction.changed:
            self._tell()

    def _tell(self) -> None:
        for listener in self._listeners:
            listener()

    def _link_all(self) -> None:
        """Fill the reverse links after loading."""
        for cls, objects in self._objects.items():
            for link in links_to(cls):
                sources: dict[str, set[str]] = {}
                for ref, source in self._objects[link.source].items():
                    sources.setdefault(getattr(source, link.forward), set()).add(ref)
                for target, refs in sources.items():
                    if target in objects:
                        objects[target] = msgspec.structs.replace(objects[target], **{link.backward: frozenset(refs)})


class Transaction:
    """Changes waiting to be committed. Reads see them; reverse links follow at once."""

    def __init__(self, objects: Mapping[str, Mapping[str, Record]]) -> None:
        self._objects = objects
        self.changed: dict[tuple[str, str], Record | None] = {}
        self.written: dict[tuple[str, str], None] = {}

    def get(self, record: type[R], ref: str) -> R:
        """The object's record as of now in this transaction. :raise Failure: HANDLE_INVALID."""
        name = class_of(record).name
        found = self._now(name, ref)
        if found is None:
            raise handle_invalid(name, ref)
        return cast("R", found)

    def create(self, record: R, ref: Ref[R] | None = None) -> Ref[R]:
        """Add an object; a missing uuid is made up. Answer its reference."""
        name = class_of(type(record)).name
        ref = ref or new_ref()
        made = record if record.uuid else msgspec.structs.replace(record, uuid=new_uuid())
        self._set(name, ref, made)
        for link in links_from(name):
            self._link(link.target, getattr(made, link.forward), link.backward, add=ref)
        return ref

    def update(self, record: type[R], ref: str, **fields: Any) -> R:
        """Change fields of an object and answer the new record. :raise Failure: HANDLE_INVALID."""
        name = class_of(record).name
        before = self.get(record, ref)
        after = msgspec.structs.replace(before, **fields)
        self._set(name, ref, after)
        for link in links_from(name):
            old, new = getattr(before, link.forward), getattr(after, link.forward)
            if old != new:
                self._link(link.target, old, link.backward, remove=ref)
                self._link(link.target, new, link.backward, add=ref)
        # A target may be the object itself, as in a tree of snapshots.
        return self.get(record, ref)

    def delete(self, record: type[R], ref: str) -> None:
        """Remove an object. References to it dangle, as XenAPI's do. An object that is gone is passed over."""
        name = class_of(record).name
        before = self._now(name, ref)
        if before is None:
            return
        for link in links_from(name):
            self._link(link.target, getattr(before, link.forward), link.backward, remove=ref)
        self._set(name, ref, None)

    def delete_all(self, record: type[R], refs: Iterable[str]) -> None:
        """Remove several objects."""
        for ref in refs:
            self.delete(record, ref)

    def _now(self, name: str, ref: str) -> Record | None:
        key = (name, ref)
        return self.changed[key] if key in self.changed else self._objects[name].get(ref)

    def _set(self, name: str, ref: str, record: Record | None) -> None:
        self.changed[name, ref] = record
        self.written[name, ref] = None

    def _link(self, name: str, target: str, backward: str, *, add: str = "", remove: str = "") -> None:
        if is_null(target):
            return
        record = self._now(name, target)
        if record is None:
            return
        refs = getattr(record, backward)
        after = (refs | {add}) if add else (refs - {remove})
        self.changed[name, target] = msgspec.structs.replace(record, **{backward: after})
