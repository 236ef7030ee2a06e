"""Values as XenAPI writes them in JSON, for large answers: records are encoded as they are, but for their dates."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from datetime import UTC, datetime
from functools import cache, lru_cache
from itertools import islice
from typing import Any, Final

import msgspec

from app.api import Event, EventBatch
from app.api.types import Record, fields_of
from app.api.wire import DATE_FORM, VOID
from app.engine.record_texts import RecordTexts
from app.engine.xml_values import AT_ONCE


def encoded(value: Any) -> bytes:
    """A value of declared type as JSON; "" for None."""
    if isinstance(value, Mapping) and len(value) > AT_ONCE:
        return b"{%b}" % b",".join(_pieces(value))
    return _ENCODER.encode(_plain(value))


def _pieces(value: Mapping[Any, Any]) -> Iterator[memoryview]:
    """The members of a large map without its braces, some hundred at once; they are not worth remembering."""
    left = iter(value.items())
    while batch := list(islice(left, AT_ONCE)):
        yield memoryview(_ENCODER.encode({name: _one_of_many(item) for name, item in batch}))[1:-1]


def _one_of_many(item: Any) -> Any:
    if not isinstance(item, Record):
        return _plain(item)
    known = _texts.known(item)
    return _fields(item) if known is None else msgspec.Raw(known)


def _plain(value: Any) -> Any:
    """The value with dates as text, and events as clients know them. The encoder does the rest."""
    if value is None:
        return VOID
    if isinstance(value, Record):
        return msgspec.Raw(_texts(value))
    if isinstance(value, datetime):
        return _date(value)
    if isinstance(value, Event):
        return _event(value)
    if isinstance(value, EventBatch):
        return {
            "events": [_event(event) for event in value.events],
            "valid_ref_counts": value.valid_ref_counts,
            "token": value.token,
        }
    if isinstance(value, Mapping):
        return {key: _plain(item) for key, item in value.items()}
    if isinstance(value, list | tuple):
        return [_plain(item) for item in value]
    return value


def _record(record: msgspec.Struct) -> bytes:
    return _ENCODER.encode(_fields(record))


def _fields(record: msgspec.Struct) -> dict[str, Any]:
    fields = msgspec.structs.asdict(record)
    for name in _dates(type(record)):
        fields[name] = _date(fields[name])
    return fields


def _event(event: Event) -> dict[str, Any]:
    fields: dict[str, Any] = {
        "id": event.id,
        "timestamp": event.timestamp,
        "class": event.cls.lower(),
        "operation": event.operation,
        "ref": event.ref,
    }
    if event.snapshot is not None:
        fields["snapshot"] = msgspec.Raw(_texts(event.snapshot))
    return fields


@lru_cache(4096)
def _date(value: datetime) -> str:
    return value.astimezone(UTC).strftime(DATE_FORM)


@cache
def _dates(record: type[Any]) -> tuple[str, ...]:
    return tuple(field.name for field in fields_of(record) if field.value.scalar == "datetime")


def _other(value: Any) -> Any:
    """What the encoder does not know: read-only maps."""
    if isinstance(value, Mapping):
        return dict(value)
    raise NotImplementedError


_ENCODER: Final = msgspec.json.Encoder(enc_hook=_other)
_texts: Final = RecordTexts(_record)
