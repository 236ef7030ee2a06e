"""SQL tables derived from the vocabulary: one per stored class, one column per stored field."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import UTC, datetime
from typing import Any, Final

import msgspec
from sqlalchemy import BigInteger, Boolean, Column, Float, MetaData, Table, Text
from sqlalchemy.types import TypeEngine

from app.api.types import Field, Record, XenClass, classes

_COLUMN_TYPES: Final[Mapping[str, type[TypeEngine[Any]]]] = {
    "string": Text,
    "ref": Text,
    "enum": Text,
    "datetime": Text,
    "int": BigInteger,
    "float": Float,
    "bool": Boolean,
}


def stored_fields(declared: XenClass[Any]) -> tuple[Field, ...]:
    """The fields that go to disk: all but reverse links and published ones."""
    return tuple(f for f in declared.fields if not f.spec.volatile)


def make_tables(metadata: MetaData) -> dict[str, Table]:
    """A table for each stored class of the vocabulary, by class name."""
    return {name: _table(metadata, declared) for name, declared in classes().items() if declared.persistent}


def _table(metadata: MetaData, declared: XenClass[Any]) -> Table:
    columns: list[Column[Any]] = [Column("ref", Text, primary_key=True)]
    columns += [Column(f.name, _column_type(f), nullable=True) for f in stored_fields(declared)]
    return Table(declared.name, metadata, *columns)


def _column_type(field: Field) -> TypeEngine[Any]:
    return Text() if field.container else _COLUMN_TYPES[field.value.scalar]()


def to_row(declared: XenClass[Any], ref: str, record: Record) -> dict[str, Any]:
    """The record as a row."""
    row: dict[str, Any] = {"ref": ref}
    for field in stored_fields(declared):
        value = getattr(record, field.name)
        if field.container:
            value = msgspec.json.encode(sorted(value) if field.container == "set" else value).decode()
        elif field.value.scalar == "datetime":
            value = value.astimezone(UTC).isoformat()
        elif field.value.scalar == "enum":
            value = value.value
        row[field.name] = value
    return row


def from_row(declared: XenClass[Any], row: Mapping[str, Any]) -> Record:
    """The row as a record. Columns added since the row was written take their default.

    :raise msgspec.ValidationError: the row holds what the declaration does not allow.
    """
    values: dict[str, Any] = {}
    for field in stored_fields(declared):
        value = row.get(field.name)
        if value is None:
            continue
        if field.container:
            value = msgspec.json.decode(value)
        elif field.value.scalar == "datetime":
            value = datetime.fromisoformat(value)
        values[field.name] = value
    converted: Record = msgspec.convert(values, declared.record, strict=False)
    return converted
