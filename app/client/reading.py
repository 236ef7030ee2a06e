"""What a XenServer says, as the declared types: patient with versions that are newer or older than ours.

Classes and fields that we do not know are passed over. A member of an enumeration that we do not know is left out of a
set or map. A field whose value still cannot be understood has its default; the log says so once.
"""

from __future__ import annotations

import typing
from collections.abc import Callable, Mapping, Sequence
from collections.abc import Set as AbstractSet
from datetime import UTC, datetime
from enum import StrEnum
from functools import cache
from typing import Any

import msgspec

from app.api import Event, EventBatch, EventOperation, XenClass, class_of, classes
from app.api.failure import type_error
from app.api.types import Field, Record
from app.log import get

log = get(__name__)
Reader = Callable[[Any], Any]
_WRONG = (msgspec.ValidationError, ValueError, TypeError, KeyError, AttributeError, RecursionError)
_told: set[tuple[str, str]] = set()


def read(value: Any, annotation: Any, name: str = "value") -> Any:
    """A value from JSON-RPC or XML-RPC as the declared type; whole numbers may be text.

    :raise Failure: FIELD_TYPE_ERROR[name]: it makes no sense.
    """
    try:
        return _reader(annotation)(value)
    except _WRONG as error:
        raise type_error(name) from error


def _reader(annotation: Any) -> Reader:
    if annotation is EventBatch:
        return _batch
    if annotation is None or annotation is type(None):
        return lambda value: None if value == "" else value  # a message that we do not know may answer something
    target = annotation.__origin__ if hasattr(annotation, "__metadata__") else annotation
    if isinstance(target, type) and issubclass(target, Record):
        return record_reader(target)
    if target is Any:
        return lambda value: value
    if target is datetime:
        return date
    origin, arguments = typing.get_origin(target), typing.get_args(target)
    if origin is not None and arguments:
        return _container_reader(origin, arguments)
    return lambda value: msgspec.convert(value, target, strict=False)


def _container_reader(origin: Any, arguments: tuple[Any, ...]) -> Reader:
    inner = _reader(arguments[-1] if issubclass(origin, Mapping) else arguments[0])
    if issubclass(origin, Mapping):
        return lambda value: {str(key): inner(item) for key, item in _of(value, dict).items()}
    if issubclass(origin, AbstractSet):
        return lambda value: frozenset(inner(item) for item in _of(value, list))
    make = list if origin is list else tuple
    return lambda value: make(inner(item) for item in _of(value, list))


def _of(value: Any, kind: type) -> Any:
    if not isinstance(value, kind):
        raise TypeError(f"{kind.__name__} wanted")
    return value


def date(value: Any) -> datetime:
    """Any ISO 8601 date, as `20261126T09:30:00Z`; UTC where it does not say. :raise ValueError: it is none."""
    found = datetime.fromisoformat(_of(value, str))
    return found.replace(tzinfo=UTC) if found.tzinfo is None else found


def record_reader(record: type[Record]) -> Reader:
    """Reads records of a class."""
    return _reader_of(class_of(record).name)


@cache
def _reader_of(name: str) -> Reader:
    declared = classes()[name]
    record = declared.record
    dates = tuple(field.name for field in declared.fields if field.value.scalar == "datetime" and not field.container)

    def decode(value: Any) -> Any:
        fields = dict(_of(value, dict))
        try:
            for name in dates:
                if name in fields:
                    fields[name] = date(fields[name])
            return msgspec.convert(fields, record, strict=False)
        except _WRONG:
            return _piecemeal(declared, value)

    return decode


def _piecemeal(declared: XenClass[Any], value: Mapping[str, Any]) -> Record:
    """A record with some values that are not as declared."""
    understood = {}
    for field in declared.fields:
        if field.name in value:
            try:
                understood[field.name] = _reader(field.annotation)(_known_members(field, value[field.name]))
            except _WRONG:
                _tell(declared.name, field.name, value[field.name])
    found: Record = declared.record(**understood)
    return found


def _known_members(field: Field, value: Any) -> Any:
    """The value without members that the field's enumeration does not have."""
    enum = field.value.enum
    if enum is None:
        return value
    known = _members(enum)
    if isinstance(value, list):
        return [member for member in value if member in known]
    if isinstance(value, dict):
        return {key: member for key, member in value.items() if member in known}
    return value


@cache
def _members(enum: type[StrEnum]) -> frozenset[str]:
    return frozenset(member.value for member in enum)


def _tell(cls: str, field: str, value: Any) -> None:
    if (cls, field) not in _told:
        _told.add((cls, field))
        log.warning("a value that we do not understand", field=f"{cls}.{field}", value=repr(value)[:80])


@cache
def _class_by_lower_name() -> Mapping[str, XenClass[Any]]:
    return {name.lower(): declared for name, declared in classes().items()}


def _batch(value: Any) -> EventBatch:
    counts = {str(name): int(count) for name, count in value["valid_ref_counts"].items()}
    return EventBatch(events=events(value["events"]), valid_ref_counts=counts, token=_of(value["token"], str))


def events(items: Sequence[Mapping[str, Any]]) -> tuple[Event, ...]:
    """The events of classes that we know."""
    known = _class_by_lower_name()
    named = ((item, known.get(item["class"].lower())) for item in items)
    return tuple(_event(item, declared) for item, declared in named if declared is not None)


def _event(item: Mapping[str, Any], declared: XenClass[Any]) -> Event:
    snapshot = item.get("snapshot")
    return Event(
        id=str(item["id"]),
        timestamp=str(item["timestamp"]),
        cls=declared.name,
        operation=EventOperation(item["operation"]),
        ref=item["ref"],
        snapshot=None if snapshot in (None, "") else record_reader(declared.record)(snapshot),
    )
