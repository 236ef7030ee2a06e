"""Which objects a command line means."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import Final

from app.cli.columns import Column
from app.cli.errors import CommandError
from app.cli.inventory import Inventory, Object
from app.cli.kinds import VM, Kind

GLOBAL: Final = frozenset(
    {"multiple", "minimal", "force", "all", "trace", "params", "database", "json", "dry-run", "compat"}
)
"""These are never the name of a field, whatever the command."""

Filter = tuple[str, str]


def filters_in(given: Iterable[tuple[str, str]], known: Iterable[str] = ()) -> list[Filter]:
    """What is left to filter by. :param known: the command's own parameters; one that ends in ":" begins many."""
    names = frozenset(known)
    prefixes = tuple(name for name in names if name.endswith(":"))
    return [
        (key, value)
        for key, value in given
        if key not in GLOBAL and key not in names and not (prefixes and key.startswith(prefixes))
    ]


def matches(kind: Kind, filters: Sequence[Filter], inventory: Inventory, ref: str, record: Object) -> bool:
    """Whether an object has all these values. :raise CommandError: a field that its kind does not have."""
    return all(_has(kind, key, value, inventory, ref, record) for key, value in filters)


def _has(kind: Kind, key: str, value: str, inventory: Inventory, ref: str, record: Object) -> bool:
    if column := kind.column(key):
        return column.text(column.read(inventory, ref, record)) == value
    name, _, part = key.partition(":")
    column = kind.column(name)
    if column is not None and part == "contains":
        members = column.read(inventory, ref, record)
        return value in members if not isinstance(members, str | Mapping) else False
    found = _entry(column, part) or _entry_after_dash(kind, key)
    if found is None:
        raise CommandError(f"Unknown field '{key}'")
    entries = found[0].read(inventory, ref, record)
    return isinstance(entries, Mapping) and entries.get(found[1]) == value


def _entry(column: Column | None, key: str) -> tuple[Column, str] | None:
    return (column, key) if column is not None and column.kind == "M" and key else None


def _entry_after_dash(kind: Kind, key: str) -> tuple[Column, str] | None:
    """`other-config-folder` is the old way to write `other-config:folder`."""
    for column in kind.columns:
        if column.kind == "M" and key.startswith(f"{column.name}-"):
            return column, key.removeprefix(f"{column.name}-")
    return None


def chosen(kind: Kind, filters: Sequence[Filter], inventory: Inventory) -> list[tuple[str, Object]]:
    """The objects of a kind that have all these values."""
    uuid = next((value for key, value in filters if key == "uuid"), None)
    found = kind.objects(inventory) if uuid is None else _named(kind.cls, uuid, inventory)
    return [
        (ref, record)
        for ref, record in found
        if kind.belongs(record) and matches(kind, filters, inventory, ref, record)
    ]


def chosen_vms(filters: Sequence[Filter], inventory: Inventory, *, templates: bool = False) -> list[tuple[str, Object]]:
    """The VMs that selectors mean. `vm` is a name or a uuid. :param templates: also templates and snapshots."""
    wanted = [value for key, value in filters if key == "vm"]
    rest = [(key, value) for key, value in filters if key != "vm"]
    uuids = [value for key, value in rest if key == "uuid"]
    if uuids or wanted:
        candidates = _named("VM", uuids[0] if uuids else wanted[0], inventory)
    else:
        candidates = list(inventory.all("VM").items()) if templates else VM.objects(inventory)
    found = []
    for ref, record in candidates:
        if record.get("is_control_domain") or (record["is_a_template"] and not templates):
            continue
        if all(value in (record["name_label"], record["uuid"]) for value in wanted) and matches(
            VM, rest, inventory, ref, record
        ):
            found.append((ref, record))
    return found


def _named(cls: str, name: str, inventory: Inventory) -> list[tuple[str, Object]]:
    """The objects of that uuid or name: a few, where all of a large pool would have to be fetched otherwise."""
    refs = inventory.named(cls, name)
    return [(ref, record) for ref in refs if (record := inventory.get(cls, ref)) is not None]
