"""Parameters as clients send them, brought to the declared types where the ways of writing differ.

XML-RPC writes whole numbers as text, and JSON-RPC clients may; dates are text in both. Everything else is left as it
is: the engine checks all of it against the declarations.
"""

from __future__ import annotations

import re
import typing
from collections.abc import Mapping, Sequence
from datetime import UTC, datetime
from typing import Any, Final

from app.api.failure import type_error
from app.api.types import classes
from app.api.wire import parameter_types

_WHOLE_NUMBER: Final = re.compile(r"[+-]?[0-9]{1,19}")
_DATE: Final = re.compile(r"(\d{4})-?(\d\d)-?(\d\d)T(\d\d):(\d\d):(\d\d)Z?")


def received(method: str, params: Sequence[Any]) -> list[Any]:
    """The parameters after the session. :raise Failure: FIELD_TYPE_ERROR: text that is no date of the calendar."""
    declared = parameter_types(method)
    known = [
        _fields(method, value) if _is_record(value, annotation) else _as_declared(value, annotation)
        for value, annotation in zip(params, declared, strict=False)
    ]
    return [*known, *params[len(declared) :]]


def _is_record(value: Any, annotation: Any) -> bool:
    return isinstance(value, dict) and typing.get_args(annotation)[-1:] == (Any,)


def _as_declared(value: Any, annotation: Any) -> Any:
    target = annotation.__origin__ if hasattr(annotation, "__metadata__") else annotation
    if target is str:
        return value
    if target is int:
        return int(value) if isinstance(value, str) and _WHOLE_NUMBER.fullmatch(value) else value
    if target is datetime:
        return _date(value)
    arguments = typing.get_args(target)
    if arguments and isinstance(value, list):
        return [_as_declared(item, arguments[0]) for item in value]
    if arguments and isinstance(value, dict):
        return {key: _as_declared(item, arguments[-1]) for key, item in value.items()}
    return value


def _date(value: Any) -> Any:
    match = _DATE.fullmatch(value) if isinstance(value, str) else None
    if match is None:
        return value
    try:
        return datetime(*(int(part) for part in match.groups()), tzinfo=UTC)  # type: ignore[misc,arg-type]
    except ValueError as error:
        raise type_error("date") from error


def _fields(method: str, record: Mapping[str, Any]) -> dict[str, Any]:
    """A new object's record: each field as it is declared."""
    name = method.removeprefix("Async.").partition(".")[0]
    known = classes()[name].by_name if name in classes() else {}
    return {key: _as_declared(value, known[key].annotation) if key in known else value for key, value in record.items()}
