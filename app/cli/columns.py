"""What xe calls the fields of objects, how it shows them and how it sets them.

Names, order and tags are xe's own and older than any rule, so they are written down field by field; what a field is
called in the API follows from its name unless told otherwise.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any, Final, Literal, TypeAlias

from app.cli.inventory import Inventory, Object

RO: Final = "RO"
RW: Final = "RW"
EXPENSIVE: Final = "<expensive field>"

Access: TypeAlias = Literal["RO", "RW"]
#: text, or the members of a set, or the entries of a map, each as xe shows it
Shown: TypeAlias = str | Sequence[str] | Mapping[str, str]
Reader: TypeAlias = Callable[[Inventory, str, Object], Shown]


@dataclass(frozen=True)
class Column:
    """One field of a kind of object.

    :ivar kind: "S" and "M" mark the sets and maps that xe treats as such; some others only look like one.
    :ivar field: the API's name; "" for what is worked out.
    :ivar holds: how text given for it is to be understood: text, bool, int, float, or the class of a reference.
    :ivar choices: the only values it takes.
    :ivar aside: shown only where it is asked for by name.
    """

    name: str
    access: Access
    read: Reader
    kind: Literal["", "S", "M"] = ""
    field: str = ""
    holds: str = "text"
    choices: tuple[str, ...] = ()
    deprecated: bool = False
    expensive: bool = False
    aside: bool = False
    joint: str = "; "

    @property
    def label(self) -> str:
        """The name with its tag, as it stands before the colon."""
        tag = f"({self.kind}{self.access})" if self.kind else f"( {self.access})"
        return f"{self.name} {tag}{' [DEPRECATED]' if self.deprecated else ''}"

    def text(self, value: Shown) -> str:
        """The value on one line."""
        if isinstance(value, str):
            return value
        if isinstance(value, Mapping):
            return self.joint.join(f"{key}: {item}" for key, item in value.items())
        return self.joint.join(value)


def shown(value: Any) -> str:
    """A plain value as xe writes it: numbers with a fraction have three decimals."""
    if isinstance(value, bool):
        return "true" if value else "false"
    return f"{value:.3f}" if isinstance(value, float) else str(value)


def plain(name: str, access: Access = RO, field: str = "", *, holds: str = "text", **more: Any) -> Column:
    """A field shown as it is."""
    source = field or name.replace("-", "_")

    def read(_inventory: Inventory, _ref: str, record: Object) -> Shown:
        return shown(record.get(source, ""))

    return Column(name, access, read, field=source, holds=holds, **more)


def number(name: str, access: Access = RO, field: str = "", **more: Any) -> Column:
    """A whole number."""
    return plain(name, access, field, holds="int", **more)


def fraction(name: str, access: Access = RO, field: str = "") -> Column:
    """A number with a fraction."""
    source = field or name.replace("-", "_")
    return Column(name, access, lambda _i, _r, record: shown(float(record.get(source, 0))), field=source, holds="float")


def flag(name: str, access: Access = RO, field: str = "", **more: Any) -> Column:
    """true or false."""
    return plain(name, access, field, holds="bool", **more)


def changed(name: str, access: Access, field: str, change: Callable[[str], str], choices: Sequence[str] = ()) -> Column:
    """A field whose text xe writes its own way."""

    def read(_inventory: Inventory, _ref: str, record: Object) -> Shown:
        return change(str(record.get(field, "")))

    return Column(name, access, read, field=field, choices=tuple(choices))


def ref(name: str, cls: str, access: Access = RO, field: str = "", **more: Any) -> Column:
    """A reference, shown as a uuid."""
    source = field or name.replace("-", "_")

    def read(inventory: Inventory, _ref: str, record: Object) -> Shown:
        return inventory.uuid(cls, record.get(source, ""))

    return Column(name, access, read, field=source, holds=cls, **more)


def many(name: str, access: Access = RO, field: str = "", *, kind: Literal["", "S"] = "S", **more: Any) -> Column:
    """A set of text."""
    source = field or name.replace("-", "_")

    def read(_inventory: Inventory, _ref: str, record: Object) -> Shown:
        return [shown(item) for item in record.get(source, ())]

    return Column(name, access, read, kind=kind, field=source, **more)


def refs(name: str, cls: str, access: Access = RO, field: str = "", *, kind: Literal["", "S"] = "S") -> Column:
    """A set of references, shown as uuids."""
    source = field or name.replace("-", "_")

    def read(inventory: Inventory, _ref: str, record: Object) -> Shown:
        return inventory.uuids(cls, record.get(source, ()))

    return Column(name, access, read, kind=kind, field=source, holds=cls)


def entries(name: str, access: Access = RO, field: str = "", *, kind: Literal["", "M"] = "M", **more: Any) -> Column:
    """A map of text."""
    source = field or name.replace("-", "_")

    def read(_inventory: Inventory, _ref: str, record: Object) -> Shown:
        return {key: shown(item) for key, item in record.get(source, {}).items()}

    return Column(name, access, read, kind=kind, field=source, **more)


def dotted(name: str) -> Column:
    """Operations that begin with a class, as `VDI.clone`; the API has them with a line, `vdi_clone`."""

    def read(_inventory: Inventory, _ref: str, record: Object) -> Shown:
        return [_dotted(operation) for operation in record.get(name.replace("-", "_"), ())]

    return Column(name, RO, read, kind="S", field=name.replace("-", "_"))


def _dotted(operation: str) -> str:
    first, line, rest = operation.partition("_")
    return f"{first.upper()}.{rest}" if line and first in ("vdi", "pbd", "vm") else operation


def operations(name: str = "current-operations", kind: Literal["", "S"] = "S") -> Column:
    """The operations under way, each as `task: operation`."""
    source = name.replace("-", "_")

    def read(_inventory: Inventory, _ref: str, record: Object) -> Shown:
        return [f"{task}: {operation}" for task, operation in record.get(source, {}).items()]

    return Column(name, RO, read, kind=kind, field=source)


def made(name: str, read: Reader, kind: Literal["", "S", "M"] = "", **more: Any) -> Column:
    """What is worked out from more than one field."""
    return Column(name, RO, read, kind=kind, **more)


def unused(name: str, value: Shown = "", access: Access = RO, kind: Literal["", "S", "M"] = "", **more: Any) -> Column:
    """What the API does not tell, with the value that stands for that."""
    return Column(name, access, lambda _i, _r, _record: value, kind=kind, **more)


def expensive(column: Column) -> Column:
    """The same, in lists only hinted at."""
    return replace(column, expensive=True)
