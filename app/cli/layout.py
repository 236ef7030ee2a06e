"""How records stand on the page, and as JSON."""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping, Sequence
from typing import Any, TypeAlias

from app.cli.columns import EXPENSIVE, Column, Shown
from app.cli.inventory import Inventory, Object

Row: TypeAlias = Sequence[tuple[Column, Shown]]

INDENT = 4


def row(
    columns: Iterable[Column], inventory: Inventory, ref: str, record: Object, *, in_full: bool = False
) -> list[tuple[Column, Shown]]:
    """The values of these fields. :param in_full: the expensive ones too."""
    return [
        (column, EXPENSIVE if column.expensive and not in_full else column.read(inventory, ref, record))
        for column in columns
    ]


def page(shown: Row) -> str:
    """One record: a line for each field, the names in a column that fits them, and two empty lines."""
    width = INDENT + max((len(column.label) for column, _ in shown), default=0)
    lines: list[str] = []
    for column, value in shown:
        label = column.label.rjust(width) if lines else column.label.ljust(width)
        lines.append(f"{label}: {column.text(value)}")
    return "\n".join(lines) + "\n\n\n"


def minimal(values: Iterable[str]) -> str:
    """Values on one line with commas between; a comma or backslash in one gets a backslash before it."""
    return ",".join(value.replace("\\", "\\\\").replace(",", "\\,") for value in values)


def first(shown: Row) -> str:
    """What stands for a record in a list of values."""
    return shown[0][0].text(shown[0][1]) if shown else ""


def as_object(shown: Row) -> dict[str, Any]:
    """A record for JSON: sets are lists, maps are objects, everything else is the text that xe prints."""
    return {column.name: _jsonable(value) for column, value in shown}


def _jsonable(value: Shown) -> Any:
    if isinstance(value, str):
        return value
    return dict(value) if isinstance(value, Mapping) else list(value)


def as_json(value: Any) -> str:
    """Text that ends without a new line."""
    return json.dumps(value, indent=2, ensure_ascii=False)
