"""Values from outside, checked against what is declared before anything is done with them."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Set
from functools import cache
from typing import Any, Final

import msgspec

from app.api.failure import handle_invalid, type_error
from app.api.types import Field, classes, is_null

_INT64: Final = range(-(1 << 63), 1 << 63)


def checked(value: Any, annotation: Any, name: str) -> Any:
    """The value converted to the declared type.

    :raise Failure: FIELD_TYPE_ERROR, also for a whole number of more than 64 bits, a number that is none, and text that
        is not Unicode.
    """
    try:
        converted = msgspec.convert(value, annotation, strict=True)
    except (msgspec.ValidationError, ValueError, TypeError, RecursionError) as error:
        raise type_error(name) from error
    if not _storable(converted):
        raise type_error(name)
    return converted


def check_reference(field: Field, value: Any, exists: Callable[[str, str], bool]) -> None:
    """Refuse a reference to an object that is not there; `exists(class, ref)` tells.

    :raise Failure: HANDLE_INVALID.
    """
    if field.value.scalar != "ref" or field.container or is_null(value):
        return
    target = _class_names()[field.value.target]
    if not exists(target, value):
        raise handle_invalid(target, value)


@cache
def _class_names() -> Mapping[str, str]:
    return {declared.record.__name__: name for name, declared in classes().items()}


def _storable(value: Any) -> bool:
    if isinstance(value, bool) or value is None:
        return True
    if isinstance(value, str):
        return value.isascii() or _is_unicode(value)
    if isinstance(value, int):
        return value in _INT64
    if isinstance(value, float):
        return math.isfinite(value)
    if isinstance(value, Mapping):
        return all(_storable(key) and _storable(item) for key, item in value.items())
    if isinstance(value, list | tuple | Set):
        return all(map(_storable, value))
    return True


def _is_unicode(text: str) -> bool:
    try:
        text.encode()
    except UnicodeEncodeError:
        return False
    return True
