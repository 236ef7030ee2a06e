"""The commands that every kind of object has: its list, and reading and setting single fields."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from functools import partial
from typing import Any, Final

from app.cli import layout, setting
from app.cli.columns import RW, Column
from app.cli.command import Command
from app.cli.errors import CommandError, MissingField
from app.cli.filters import chosen, filters_in
from app.cli.invocation import Invocation
from app.cli.kinds import KINDS, Kind

_MAPS: Final = "To filter on map parameters, use the syntax 'map-param:key=value'"
_SET: Final = (
    "Sets the parameter specified. If param-value is not given, the parameter is set to a null value. To set a "
    "(key,value) pair in a map parameter, use the syntax 'map-param:key=value'."
)
_GET: Final = (
    "Gets the parameter specified of the object. If the parameter is a map of key=value pairs, use 'param-key=<key>' "
    "to get the value associated with a particular key."
)


def commands() -> list[Command]:
    """All of them."""
    return [command for kind in KINDS.values() for command in (*_reading(kind), *_writing(kind))]


def _reading(kind: Kind) -> Iterable[Command]:
    ours = kind.name == "vmss-run"
    yield Command(
        f"{kind.name}-list",
        partial(list_objects, kind),
        f"Lists all the {kind.plural}, filtering on the optional arguments. {_MAPS}",
        optional=("params", "database:", *_filter_names(kind)),
        common=kind.name in ("vm", "network", "sr"),
        ours=ours,
    )
    yield Command(
        f"{kind.name}-param-list",
        partial(_list_fields, kind),
        "Lists all the parameters of the object specified by the uuid.",
        required=("uuid",),
        optional=("database:",),
        ours=ours,
    )
    yield Command(
        f"{kind.name}-param-get",
        partial(_get, kind),
        _GET,
        required=("uuid", "param-name"),
        optional=("param-key", "database:"),
        ours=ours,
    )


def _writing(kind: Kind) -> Iterable[Command]:
    if not kind.writable:
        return
    named = ("uuid", "param-name")
    yield Command(
        f"{kind.name}-param-set", partial(_set, kind), _SET, required=("uuid",), optional=_settable_names(kind)
    )
    yield Command(
        f"{kind.name}-param-add",
        partial(_add, kind),
        "Adds to a set or map parameter. If the parameter is a set, use param-key=<key to add>. If the parameter is a "
        "map, pass the values to add as 'key=value' pairs.",
        required=named,
        optional=("param-key",),
    )
    yield Command(
        f"{kind.name}-param-remove",
        partial(_remove, kind),
        "Removes a parameter from a set or map.",
        required=(*named, "param-key"),
    )
    yield Command(f"{kind.name}-param-clear", partial(_clear, kind), "Clears the specified parameter.", required=named)


def _filter_names(kind: Kind) -> tuple[str, ...]:
    shown = [column for column in kind.columns if not column.aside]
    contained = [f"{column.name}:contains" for column in shown if column.kind == "S"]
    return (*(column.name for column in shown), *contained)


def _settable_names(kind: Kind) -> tuple[str, ...]:
    settable = [column for column in kind.columns if column.access == RW and column.kind != "S"]
    plain = [column.name for column in settable if not column.kind]
    return (*plain, *(f"{column.name}:" for column in settable if column.kind == "M"))


def list_objects(kind: Kind, invocation: Invocation) -> None:
    """The list of a kind."""
    words = invocation.words
    filters = filters_in(words.given, ("database:",))
    found = chosen(kind, filters, invocation.inventory)
    columns = wanted(kind, words.get("params") if words.has("params") else ",".join(kind.defaults))
    invocation.rows(layout.row(columns, invocation.inventory, ref, record) for ref, record in found)


def wanted(kind: Kind, names: str) -> list[Column]:
    """The fields of `a,b` or `all`, in the order of the kind. Names that mean nothing are passed over."""
    if names == "all":
        return [column for column in kind.columns if not column.aside]
    asked = {name.strip() for name in names.split(",")}
    return [column for column in kind.columns if column.name in asked]


def _list_fields(kind: Kind, invocation: Invocation) -> None:
    ref = invocation.inventory.by_uuid(kind.cls, invocation.words.required("uuid"))
    record = invocation.inventory.get(kind.cls, ref) or {}
    shown = layout.row(wanted(kind, "all"), invocation.inventory, ref, record, in_full=True)
    invocation.rows([shown])


def _field(kind: Kind, invocation: Invocation) -> Column:
    name = invocation.words.required("param-name")
    column = kind.column(name)
    if column is None:
        raise MissingField(name)
    return column


def _get(kind: Kind, invocation: Invocation) -> None:
    words = invocation.words
    ref = invocation.inventory.by_uuid(kind.cls, words.required("uuid"))
    column = _field(kind, invocation)
    value = column.read(invocation.inventory, ref, invocation.inventory.get(kind.cls, ref) or {})
    if words.has("param-key") and column.kind == "M":
        key = words.get("param-key")
        if not isinstance(value, Mapping) or key not in value:
            raise CommandError(f"Key {key} not found in map")
        value = value[key]
    invocation.result(value if invocation.as_json else column.text(value))


def _set(kind: Kind, invocation: Invocation) -> None:
    words = invocation.words
    ref = invocation.inventory.by_uuid(kind.cls, words.required("uuid"))
    given = filters_in(words.given, ("uuid", "database:"))
    _send(invocation, setting.set_calls(invocation, kind, ref, given))


def _send(invocation: Invocation, calls: Iterable[tuple[Any, ...]]) -> None:
    for method, *params in calls:
        invocation.change(method, *params)


def _add(kind: Kind, invocation: Invocation) -> None:
    words = invocation.words
    ref = invocation.inventory.by_uuid(kind.cls, words.required("uuid"))
    column = _field(kind, invocation)
    if not column.kind:
        raise CommandError("Can only add to parameters of type Set or Map")
    setting.check_writable(column)
    if column.kind == "S":
        _send(invocation, [(f"{kind.cls}.add_{column.field}", ref, words.required("param-key"))])
    else:
        pairs = filters_in(words.given, ("uuid", "param-name", "param-key"))
        _send(invocation, [(f"{kind.cls}.add_to_{column.field}", ref, key, value) for key, value in pairs])


def _remove(kind: Kind, invocation: Invocation) -> None:
    words = invocation.words
    ref = invocation.inventory.by_uuid(kind.cls, words.required("uuid"))
    column = _field(kind, invocation)
    key = words.required("param-key")
    if not column.kind:
        raise CommandError("Can only remove from parameters of type Set or Map")
    setting.check_writable(column)
    record = invocation.inventory.get(kind.cls, ref) or {}
    if key not in record.get(column.field, ()):
        raise CommandError(f"Key {key} is not in {'the set' if column.kind == 'S' else 'map'}")
    verb = "remove" if column.kind == "S" else "remove_from"
    _send(invocation, [(f"{kind.cls}.{verb}_{column.field}", ref, key)])


def _clear(kind: Kind, invocation: Invocation) -> None:
    ref = invocation.inventory.by_uuid(kind.cls, invocation.words.required("uuid"))
    column = _field(kind, invocation)
    setting.check_writable(column)
    _send(invocation, setting.clear_calls(invocation, kind, ref, column))
