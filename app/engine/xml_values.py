"""Values as XenAPI writes them in XML-RPC: results of tasks, and whole answers. Whole numbers are text.

Written for large answers: what a record has by default, which is most of it, is prepared once for its class.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Iterator, Mapping
from datetime import UTC, datetime
from enum import Enum
from functools import cache, lru_cache
from itertools import islice
from typing import Any, Final, TypeVar

import msgspec

from app.api import Event, EventBatch, Record
from app.api.wire import DATE_FORM
from app.engine.record_texts import RecordTexts

T = TypeVar("T")

AT_ONCE: Final = 256
"""Records in a piece."""
_CONTROL: Final = re.compile("[^\t\n\x20-\ud7ff\ue000-\ufffd\U00010000-\U0010ffff]")
"""The carriage return, of which a parser would make a line feed, and characters that XML 1.0 cannot hold, not even
escaped (section 2.2)."""


def xml_value(value: Any) -> str:
    """`<value>…</value>` of a result; nothing inside for None."""
    return f"<value>{_inner(value)}</value>"


def xml_pieces(value: Any) -> Iterator[str]:
    """The same in pieces: a pool's records are hundreds of megabytes, which should not be copied more than once."""
    if isinstance(value, Mapping) and len(value) > AT_ONCE:
        yield "<value><struct>"
        for batch in _batches(value.items()):
            yield "".join([_record_entry(name, item) for name, item in batch])
        yield "</struct></value>"
    elif isinstance(value, EventBatch) and len(value.events) > AT_ONCE:
        yield f"<value><struct>{_member('events')}<array><data>"
        for events in _batches(value.events):
            yield "".join([f"<value>{_event(event, remember=False)}</value>" for event in events])
        yield f"</data></array></value></member>{_rest_of_batch(value)}</struct></value>"
    else:
        yield xml_value(value)


def _batches(items: Iterable[T]) -> Iterator[list[T]]:
    left = iter(items)
    while batch := list(islice(left, AT_ONCE)):
        yield batch


def _record_entry(name: Any, item: Any) -> str:
    text = _texts.once(item) if isinstance(item, Record) else _inner(item)
    return f"<member><name>{_inner(name)}</name><value>{text}</value></member>"


def _inner(value: Any) -> str:
    writer = _WRITERS.get(type(value))
    if writer is not None:
        return writer(value)
    if isinstance(value, Enum):
        _WRITERS[type(value)] = _enum
        return _enum(value)
    if isinstance(value, EventBatch):
        return _batch(value)
    if isinstance(value, Event):
        return _event(value)
    if isinstance(value, msgspec.Struct):
        return _texts(value)
    if isinstance(value, Mapping):
        return _map(value)
    if isinstance(value, str):
        return _text(value)
    return _list(value)


def _text(text: str) -> str:
    # Most texts are references and words, which hold none of these: looking for one character is faster than a pattern.
    if "&" in text:
        text = text.replace("&", "&amp;")
    if "<" in text:
        text = text.replace("<", "&lt;")
    if ">" in text:
        text = text.replace(">", "&gt;")
    if '"' in text:
        text = text.replace('"', "&quot;")
    return text if text.isprintable() else _CONTROL.sub(_escape, text)


def _escape(match: re.Match[str]) -> str:
    return "&#13;" if match[0] == "\r" else "\N{REPLACEMENT CHARACTER}"


def _map(value: Mapping[Any, Any]) -> str:
    if not value:
        return "<struct></struct>"
    members = [
        f"<member><name>{_text(k) if type(k) is str else _inner(k)}</name>"
        f"<value>{_text(v) if type(v) is str else _inner(v)}</value></member>"
        for k, v in value.items()
    ]
    return f"<struct>{''.join(members)}</struct>"


def _list(value: Any) -> str:
    if not value:
        return "<array><data></data></array>"
    items = [_text(item) if type(item) is str else _inner(item) for item in value]
    return f"<array><data><value>{'</value><value>'.join(items)}</value></data></array>"


def _batch(batch: EventBatch) -> str:
    return f"<struct>{_member('events')}{_list(batch.events)}</value></member>{_rest_of_batch(batch)}</struct>"


def _rest_of_batch(batch: EventBatch) -> str:
    # The one place where XenServer writes numbers as numbers.
    counts = [f"{_member(name)}<i4>{count}</i4></value></member>" for name, count in batch.valid_ref_counts.items()]
    return (
        f"{_member('valid_ref_counts')}<struct>{''.join(counts)}</struct></value></member>"
        f"{_member('token')}{_text(batch.token)}</value></member>"
    )


def _event(event: Event, *, remember: bool = True) -> str:
    fields = {
        "id": event.id,
        "timestamp": event.timestamp,
        "class": event.cls.lower(),
        "operation": event.operation,
        "ref": event.ref,
    }
    known = _map(fields)
    if event.snapshot is None:
        return known
    text = _texts(event.snapshot) if remember else _texts.once(event.snapshot)
    return f"{known.removesuffix('</struct>')}{_member('snapshot')}{text}</value></member></struct>"


@lru_cache(4096)
def _set(value: frozenset[Any]) -> str:
    # Few of them are different: sets of operations, and empty ones.
    return _list(sorted(value))


@lru_cache(4096)
def _date(value: datetime) -> str:
    return f"<dateTime.iso8601>{value.astimezone(UTC).strftime(DATE_FORM)}</dateTime.iso8601>"


def _enum(value: Enum) -> str:
    return _text(str(value.value))


def _member(name: str) -> str:
    return f"<member><name>{_text(name)}</name><value>"


@cache
def _record_writer(record: type[msgspec.Struct]) -> Callable[[msgspec.Struct], str]:
    """What writes records of this type."""
    fields = msgspec.structs.fields(record)
    defaults = [f.default_factory() if f.default is msgspec.NODEFAULT else f.default for f in fields]
    begins = [_member(field.name) for field in fields]
    prepared = [
        (default, f"{begin}{_inner(default)}</value></member>", begin)
        for default, begin in zip(defaults, begins, strict=True)
    ]

    def write(value: msgspec.Struct) -> str:
        members = [
            usual
            if given == default
            else f"{begin}{_text(given) if type(given) is str else _inner(given)}</value></member>"
            for given, (default, usual, begin) in zip(msgspec.structs.astuple(value), prepared, strict=True)
        ]
        return f"<struct>{''.join(members)}</struct>"

    return write


_WRITERS: Final[dict[type, Callable[[Any], str]]] = {
    str: _text,
    bool: lambda value: "<boolean>1</boolean>" if value else "<boolean>0</boolean>",
    int: str,
    float: lambda value: f"<double>{value:.16g}</double>",
    datetime: _date,
    type(None): lambda _value: "",
    dict: _map,
    list: _list,
    tuple: _list,
    frozenset: _set,
}
_texts: Final = RecordTexts(lambda record: _record_writer(type(record))(record))


def ref_in(result: str) -> str:
    """The reference or text inside a task's result; "" for none."""
    return result.removeprefix("<value>").removesuffix("</value>")
