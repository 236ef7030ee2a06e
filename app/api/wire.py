"""Values on a wire: from the declared types to plain JSON values as XenAPI has them, and back.

Dates are text, `20261126T09:30:00Z`; sets are lists; void is "". An event names its class in lower case.
"""

from __future__ import annotations

import typing
from collections.abc import Callable, Hashable, Mapping, Sequence
from collections.abc import Set as AbstractSet
from datetime import UTC, datetime
from enum import Enum
from functools import cache
from typing import Any, Final

import msgspec

from app.api.control import Event, EventBatch
from app.api.enums import EventOperation
from app.api.failure import type_error
from app.api.types import Field, Record, XenClass, classes

DATE_FORM: Final = "%Y%m%dT%H:%M:%SZ"
VOID: Final = ""


def plain(value: Any) -> Any:
    """A value of declared type as JSON holds it."""
    if isinstance(value, str):
        return value.value if isinstance(value, Enum) else value
    if value is None:
        return VOID
    if isinstance(value, bool | int | float):
        return value
    if isinstance(value, datetime):
        return value.astimezone(UTC).strftime(DATE_FORM)
    if isinstance(value, Event):
        return _plain_event(value)
    if isinstance(value, msgspec.Struct):
        return {name: plain(getattr(value, name)) for name in value.__struct_fields__}
    if isinstance(value, Mapping):
        return {str(plain(key)): plain(item) for key, item in value.items()}
    return [plain(item) for item in (sorted(value) if isinstance(value, AbstractSet) else value)]


def _plain_event(event: Event) -> dict[str, Any]:
    found = {
        "id": event.id,
        "timestamp": event.timestamp,
        "class": event.cls.lower(),
        "operation": event.operation.value,
        "ref": event.ref,
    }
    return found if event.snapshot is None else {**found, "snapshot": plain(event.snapshot)}


def restored(value: Any, annotation: Any, name: str = "value") -> Any:
    """A JSON value as the declared type. :raise Failure: FIELD_TYPE_ERROR[name]."""
    try:
        return _decoder(annotation)(value)
    except (msgspec.ValidationError, ValueError, TypeError, KeyError, AttributeError, RecursionError) as error:
        raise type_error(name) from error


Decoder = Callable[[Any], Any]


def _decoder(annotation: Any) -> Decoder:
    if annotation is EventBatch:
        return _batch
    if annotation is None or annotation is type(None):
        return lambda _value: None
    target = annotation.__origin__ if hasattr(annotation, "__metadata__") else annotation
    if isinstance(target, type) and issubclass(target, Record):
        return _record_decoder(target)
    if target is datetime:
        return _date
    origin, arguments = typing.get_origin(target), typing.get_args(target)
    if origin is not None and arguments and _has_inside(arguments[-1]):
        return _container_decoder(origin, arguments)
    return lambda value: msgspec.convert(value, annotation, strict=True)


def _has_inside(annotation: Any) -> bool:
    """Whether values of this type are more than msgspec can make by itself."""
    target = annotation.__origin__ if hasattr(annotation, "__metadata__") else annotation
    if target is datetime or (isinstance(target, type) and issubclass(target, Record)):
        return True
    return any(_has_inside(inner) for inner in typing.get_args(target))


def _container_decoder(origin: Any, arguments: tuple[Any, ...]) -> Decoder:
    inner = _decoder(arguments[-1])
    if issubclass(origin, Mapping):
        return lambda value: {str(key): inner(item) for key, item in _of(value, dict).items()}
    if issubclass(origin, AbstractSet):
        return lambda value: frozenset(inner(item) for item in _of(value, list))
    return lambda value: tuple(inner(item) for item in _of(value, list))


def _of(value: Any, kind: type) -> Any:
    if not isinstance(value, kind):
        raise TypeError(f"{kind.__name__} wanted")
    return value


def _date(value: Any) -> datetime:
    return datetime.strptime(value, DATE_FORM).replace(tzinfo=UTC)


def _record_decoder(record: Any) -> Decoder:
    return _decoder_of(record)


@cache
def _decoder_of(record: Hashable) -> Decoder:
    assert isinstance(record, type)
    dates = [name for name, hint in typing.get_type_hints(record).items() if hint is datetime]

    def decode(value: Any) -> Any:
        fields = dict(_of(value, dict))
        for name in dates:
            if isinstance(fields.get(name), str):
                fields[name] = _date(fields[name])
        return msgspec.convert(fields, record, strict=True)

    return decode


@cache
def _class_by_lower_name() -> Mapping[str, XenClass[Any]]:
    return {name.lower(): declared for name, declared in classes().items()}


def _batch(value: Any) -> EventBatch:
    known = _class_by_lower_name()
    events = tuple(_event(item, known[item["class"]]) for item in value["events"] if item["class"] in known)
    return EventBatch(events=events, valid_ref_counts=dict(value["valid_ref_counts"]), token=value["token"])


def _event(item: Mapping[str, Any], declared: XenClass[Any]) -> Event:
    snapshot = item.get("snapshot")
    return Event(
        id=item["id"],
        timestamp=item["timestamp"],
        cls=declared.name,
        operation=EventOperation(item["operation"]),
        ref=item["ref"],
        snapshot=None if snapshot is None else _record_decoder(declared.record)(snapshot),
    )


def parameter_types(method: str) -> Sequence[Any]:
    """The declared types of a message's parameters after the session; none for a message nobody declared."""
    name, _, call = method.removeprefix("Async.").partition(".")
    declared = classes().get(name)
    if declared is None:
        return ()
    if call in declared.messages:
        spec = declared.messages[call]
        return [spec.types[parameter.name] for parameter in spec.parameters]
    verb, field = _accessor(declared, call)
    if field is None or verb in ("get", "remove_from"):
        return (str, str)
    if verb == "add_to":
        return (str, str, typing.get_args(_bare(field.annotation))[-1])
    if verb in ("add", "remove"):
        return (str, typing.get_args(_bare(field.annotation))[0])
    return (str, field.annotation)


def result_type(method: str) -> Any:
    """The declared type of a message's result."""
    name, _, call = method.partition(".")
    declared = classes().get(name)
    if method.startswith("Async.") or declared is None:
        return str
    if call in declared.messages:
        return declared.messages[call].result
    if call in ("get_all", "get_all_where", "get_by_name_label"):
        return list[str]
    if call in ("get_all_records", "get_all_records_where"):
        return Mapping[str, declared.record]  # type: ignore[name-defined]
    if call == "get_record":
        return declared.record
    if call == "get_by_uuid":
        return str
    verb, field = _accessor(declared, call)
    return field.annotation if verb == "get" and field is not None else None


_VERBS: Final = ("add_to", "remove_from", "add", "remove", "get", "set")


def _accessor(declared: XenClass[Any], call: str) -> tuple[str, Field | None]:
    """`set` and the field, from `set_name_label`."""
    for verb in _VERBS:
        if call.startswith(f"{verb}_") and (field := declared.by_name.get(call.removeprefix(f"{verb}_"))) is not None:
            return verb, field
    return "", None


def _bare(annotation: Any) -> Any:
    return annotation.__origin__ if hasattr(annotation, "__metadata__") else annotation
