"""From `field=text` to the messages that set the field."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any, Final, TypeAlias

from app.cli.columns import RW, Column
from app.cli.errors import CommandError
from app.cli.inventory import NULL
from app.cli.invocation import Invocation
from app.cli.kinds import Kind
from app.cli.words import truth, whole

#: a method and its parameters
Call: TypeAlias = tuple[Any, ...]

_LIMITS: Final = ("memory_static_min", "memory_static_max", "memory_dynamic_min", "memory_dynamic_max")


def check_writable(column: Column) -> None:
    """:raise CommandError: the field cannot be set."""
    if column.access != RW or not column.field:
        raise CommandError(f"Field '{column.name}' is read-only.")


def set_calls(invocation: Invocation, kind: Kind, ref: str, given: Iterable[tuple[str, str]]) -> list[Call]:
    """What sets these fields and entries of maps. :raise CommandError: there is no such field, or no such value."""
    calls: list[Call] = []
    limits: dict[str, int] = {}
    for key, text in given:
        column = kind.column(key)
        if column is None:
            calls += _entry_calls(invocation, kind, ref, key, text)
            continue
        if column.kind:
            raise CommandError(f"Field '{column.name}' is read-only.")
        check_writable(column)
        value = meant(invocation, column, text)
        if column.field in _LIMITS:
            limits[column.field] = value
        else:
            calls.append((f"{kind.cls}.set_{column.field}", ref, value))
    return [*calls, _limits(invocation, ref, limits)] if limits else calls


def _entry_calls(invocation: Invocation, kind: Kind, ref: str, key: str, text: str) -> list[Call]:
    name, _, entry = key.partition(":")
    column = kind.column(name)
    if column is None or column.kind != "M" or not entry:
        raise CommandError(f"Unknown field '{key}'")
    check_writable(column)
    record = invocation.inventory.get(kind.cls, ref) or {}
    add = (f"{kind.cls}.add_to_{column.field}", ref, entry, text)
    if entry not in record.get(column.field, {}):
        return [add]
    return [(f"{kind.cls}.remove_from_{column.field}", ref, entry), add]


def _limits(invocation: Invocation, ref: str, given: Mapping[str, int]) -> Call:
    """The server takes the four limits together, for they depend on one another."""
    record = invocation.inventory.get("VM", ref) or {}
    return ("VM.set_memory_limits", ref, *(given.get(name, int(record[name])) for name in _LIMITS))


def clear_calls(invocation: Invocation, kind: Kind, ref: str, column: Column) -> list[Call]:
    """What empties a field."""
    method = f"{kind.cls}.set_{column.field}"
    if column.kind == "S":
        return [(method, ref, [])]
    if column.kind == "M":
        # Entry by entry: the schedule of a VMSS is merged into what is there when it is set as a whole.
        record = invocation.inventory.get(kind.cls, ref) or {}
        remove = f"{kind.cls}.remove_from_{column.field}"
        return [(remove, ref, entry) for entry in record.get(column.field, {})]
    return [(method, ref, meant(invocation, column, "") if column.holds not in ("int", "float", "bool") else 0)]


def meant(invocation: Invocation, column: Column, text: str) -> Any:
    """The value that text given for a field stands for. :raise CommandError: none."""
    if column.holds == "int":
        return whole(column.name, text)
    if column.holds == "bool":
        return truth(column.name, text)
    if column.holds == "float":
        return _fraction(column.name, text)
    if column.holds != "text":
        return invocation.inventory.by_uuid(column.holds, text) if text else NULL
    return one_of(column.choices, text) if column.choices else text


def one_of(choices: tuple[str, ...], text: str) -> str:
    """The choice that text names. :raise CommandError: none."""
    found = next((choice for choice in choices if choice.lower() == text.lower()), None)
    if found is None:
        raise CommandError(f"Expected one of {', '.join(repr(choice) for choice in choices)}, got {text}")
    return found


def _fraction(name: str, text: str) -> float:
    try:
        return float(text)
    except ValueError:
        raise CommandError(f"Failed to parse parameter '{name}': expecting a floating-point number") from None
