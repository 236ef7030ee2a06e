"""Records that clients send: checked field by field against the declaration."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, TypeVar

from app.api import Failure, Record, class_of
from app.api.failure import invalid_value
from app.api.values import check_reference, checked
from app.store import Store

R = TypeVar("R", bound=Record)


def from_client(store: Store, record: type[R], values: Mapping[str, Any], required: tuple[str, ...] = ()) -> R:
    """A record of the settable fields among `values`; read-only ones are passed over, as XenAPI does.

    :raise Failure: FIELD_TYPE_ERROR, HANDLE_INVALID, INVALID_VALUE for an unknown field or a missing required one.
    """
    declared = class_of(record).by_name
    missing = next((name for name in required if name not in values), None)
    if missing is not None:
        raise invalid_value(missing, "")
    fields: dict[str, Any] = {}
    for name, value in values.items():
        field = declared.get(name)
        if field is None:
            raise invalid_value(name, value)
        if field.spec.access == "ro" or name == "uuid":
            continue
        fields[name] = checked(value, field.annotation, name)
        check_reference(field, fields[name], lambda cls, ref: ref in store.of_class(cls))
    return record(**fields)


def check_name(name: str) -> str:
    """A name that can be shown and stored. :raise Failure: INVALID_VALUE."""
    if len(name) > 1024 or any(character < " " for character in name):
        raise invalid_value("name_label", name[:80])
    return name


def require(condition: bool, failure: Failure) -> None:
    """:raise Failure: the given one, unless the condition holds."""
    if not condition:
        raise failure
