"""The generic messages that every class has: records, lookups, getters and setters, from the declarations alone."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from app.api.failure import duplicate_key, handle_invalid, parameter_count, type_error, uuid_invalid
from app.api.types import Field, Record, XenClass
from app.api.values import check_reference, checked
from app.engine.where import parse_where
from app.store import Store

Handler = Callable[[Sequence[Any]], Any]


@dataclass(frozen=True)
class Accessor:
    """A generic message: how many parameters it takes after the session, and what it does."""

    parameters: int
    handler: Handler
    writes: bool = False

    def __call__(self, method: str, params: Sequence[Any]) -> Any:
        if len(params) != self.parameters:
            raise parameter_count(method, self.parameters, len(params))
        return self.handler(params)


def accessors(store: Store, declared: XenClass[Any]) -> dict[str, Accessor]:
    """The generic messages of a class by name, without the class."""
    reads = _Reads(store, declared)
    found = {
        "get_all": Accessor(0, lambda _: list(store.of_class(declared.name))),
        "get_all_records": Accessor(0, lambda _: dict(store.of_class(declared.name))),
        "get_all_records_where": Accessor(1, reads.where),
        "get_all_where": Accessor(1, lambda params: list(reads.where(params))),
        "get_record": Accessor(1, reads.record),
        "get_by_uuid": Accessor(1, reads.by_uuid),
    }
    if "name_label" in declared.by_name:
        found["get_by_name_label"] = Accessor(1, reads.by_name)
    for field in declared.fields:
        found[f"get_{field.name}"] = Accessor(1, _getter(reads, field))
        if field.spec.access == "rw":
            found.update(_setters(store, declared, field))
    return found


class _Reads:
    def __init__(self, store: Store, declared: XenClass[Any]) -> None:
        self._store = store
        self._declared = declared

    def record(self, params: Sequence[Any]) -> Record:
        found = self._store.of_class(self._declared.name).get(params[0]) if isinstance(params[0], str) else None
        if found is None:
            raise handle_invalid(self._declared.name, str(params[0]))
        return found

    def by_uuid(self, params: Sequence[Any]) -> str:
        uuid = params[0]
        if not isinstance(uuid, str):
            raise type_error("uuid")
        objects = self._store.of_class(self._declared.name)
        ref = next((r for r, record in objects.items() if record.uuid == uuid), None)
        if ref is None:
            raise uuid_invalid(self._declared.name, uuid)
        return ref

    def where(self, params: Sequence[Any]) -> dict[str, Record]:
        if not isinstance(params[0], str):
            raise type_error("expr")
        holds = parse_where(self._declared, params[0])
        return {ref: record for ref, record in self._store.of_class(self._declared.name).items() if holds(record)}

    def by_name(self, params: Sequence[Any]) -> list[str]:
        if not isinstance(params[0], str):
            raise type_error("name_label")
        objects = self._store.of_class(self._declared.name)
        return [ref for ref, record in objects.items() if getattr(record, "name_label", None) == params[0]]


def _getter(reads: _Reads, field: Field) -> Handler:
    return lambda params: getattr(reads.record(params), field.name)


def _setters(store: Store, declared: XenClass[Any], field: Field) -> dict[str, Accessor]:
    setter = _Setter(store, declared, field)
    found = {f"set_{field.name}": Accessor(2, setter.set, writes=True)}
    if field.container == "map":
        found[f"add_to_{field.name}"] = Accessor(3, setter.add_to, writes=True)
        found[f"remove_from_{field.name}"] = Accessor(2, setter.remove_from, writes=True)
    elif field.container == "set":
        found[f"add_{field.name}"] = Accessor(2, setter.add, writes=True)
        found[f"remove_{field.name}"] = Accessor(2, setter.remove, writes=True)
    return found


class _Setter:
    def __init__(self, store: Store, declared: XenClass[Any], field: Field) -> None:
        self._store = store
        self._declared = declared
        self._field = field

    def set(self, params: Sequence[Any]) -> None:
        value = checked(params[1], self._field.annotation, self._field.name)
        check_reference(self._field, value, lambda cls, ref: ref in self._store.of_class(cls))
        self._write(params[0], value)

    def add_to(self, params: Sequence[Any]) -> None:
        ref, key, value = params
        entries = self._map(ref)
        if self._key(key) in entries:
            raise duplicate_key(self._declared.name, self._field.name, ref, key)
        self.set((ref, {**entries, key: value}))

    def remove_from(self, params: Sequence[Any]) -> None:
        ref, key = params
        gone = self._key(key)
        self.set((ref, {k: v for k, v in self._map(ref).items() if k != gone}))

    def add(self, params: Sequence[Any]) -> None:
        self.set((params[0], [*self._current(params[0]), params[1]]))

    def remove(self, params: Sequence[Any]) -> None:
        (gone,) = checked([params[1]], self._field.annotation, self._field.name)
        self.set((params[0], [v for v in self._current(params[0]) if v != gone]))

    def _key(self, key: Any) -> str:
        # Every map with a setter has text for keys.
        return str(checked(key, str, self._field.name))

    def _map(self, ref: Any) -> Mapping[str, Any]:
        entries: Mapping[str, Any] = self._current(ref)
        return entries

    def _current(self, ref: Any) -> Any:
        record = self._store.of_class(self._declared.name).get(ref) if isinstance(ref, str) else None
        if record is None:
            raise handle_invalid(self._declared.name, str(ref))
        return getattr(record, self._field.name)

    def _write(self, ref: Any, value: Any) -> None:
        self._current(ref)
        with self._store.transaction() as tx:
            tx.update(self._declared.record, ref, **{self._field.name: value})
