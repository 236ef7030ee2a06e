"""The building blocks of the vocabulary: references, field and message declarations, and their registry.

A record class is declared once; SQL tables, JSON and XML records, accessors, `param-list` and the API reference
are derived from the declaration by plain loops over `fields_of`.
"""

from __future__ import annotations

import inspect
import types
import typing
import uuid as uuid_module
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime
from enum import StrEnum
from typing import TYPE_CHECKING, Annotated, Any, Final, Generic, Literal, TypeVar

import msgspec

T = TypeVar("T")
R = TypeVar("R", bound="Record")
F = TypeVar("F", bound=Callable[..., Any])

if TYPE_CHECKING:

    class Ref(str, Generic[T]):
        """A reference to an object of class T: a string when the program runs, a type of its own to the checker."""

else:

    class Ref(str):
        """At run time `Ref["VM"]` is `Annotated[str, RefTo("VM")]` and `Ref("…")` a plain string."""

        __slots__ = ()

        def __new__(cls, value):
            return str(value)

        def __class_getitem__(cls, item):
            return Annotated[str, RefTo(item if isinstance(item, str) else item.__name__)]


@dataclass(frozen=True)
class RefTo:
    """Marks a string field as a reference to an object of the class `name`."""

    name: str


NULL: Final[Ref[Any]] = Ref("OpaqueRef:NULL")
NO_REFS: Final[frozenset[Ref[Any]]] = frozenset()
NO_STRINGS: Final[frozenset[str]] = frozenset()
NO_MAP: Final[Mapping[str, str]] = types.MappingProxyType({})
EPOCH: Final = datetime(1970, 1, 1, tzinfo=UTC)

StringMap = Mapping[str, str]
Access = Literal["ro", "rw", "rc"]


def new_ref() -> Ref[Any]:
    """A fresh reference. Never reused, never derived from anything."""
    return Ref(f"OpaqueRef:{uuid_module.uuid4()}")


def new_uuid() -> str:
    """A fresh uuid in XenAPI's spelling: 36 characters, lower case."""
    return str(uuid_module.uuid4())


def is_null(ref: str) -> bool:
    """True for the null reference, and for the empty string that some clients send in its place."""
    return ref in (NULL, "")


@dataclass(frozen=True)
class FieldSpec:
    """How a field may be used: read only, read-write, or settable at creation only; reverse links name their forward
    field as `Class.field`; volatile fields are published to clients but not stored."""

    access: Access
    doc: str
    reverse_of: str = ""
    volatile: bool = False


def ro(doc: str, *, volatile: bool = False) -> FieldSpec:
    """A field that only the engine changes."""
    return FieldSpec("ro", doc, volatile=volatile)


def rw(doc: str) -> FieldSpec:
    """A field with a public setter."""
    return FieldSpec("rw", doc)


def rc(doc: str) -> FieldSpec:
    """A field that may be given when the object is created, and is read only afterwards."""
    return FieldSpec("rc", doc)


def reverse(forward: str, doc: str) -> FieldSpec:
    """The other end of the reference field `Class.field`; kept by the store."""
    return FieldSpec("ro", doc, reverse_of=forward, volatile=True)


class Record(msgspec.Struct, frozen=True, kw_only=True):
    """Base of every record: immutable, so it may cross threads freely."""

    uuid: Annotated[str, rc("unique identifier, stable over the object's life")] = ""


@dataclass(frozen=True)
class ValueType:
    """The type of one value: a scalar, or the element of a set, or the key or value of a map."""

    scalar: Literal["string", "int", "float", "bool", "datetime", "ref", "enum"]
    target: str = ""
    enum: type[StrEnum] | None = None


@dataclass(frozen=True)
class Field:
    """One declared field of a class, with its type taken apart."""

    name: str
    spec: FieldSpec
    annotation: Any
    container: Literal["", "set", "list", "map"]
    value: ValueType
    key: ValueType | None
    default: Any


@dataclass(frozen=True)
class MessageSpec:
    """One declared message: its parameters after the session, its result type and the error codes it may answer."""

    cls: str
    name: str
    doc: str
    errors: tuple[str, ...]
    parameters: tuple[inspect.Parameter, ...]
    types: Mapping[str, Any]
    result: Any
    extension: bool
    read_only: bool

    @property
    def full_name(self) -> str:
        """The name on the wire, as in `VM.snapshot`."""
        return f"{self.cls}.{self.name}"

    @property
    def required(self) -> int:
        """The number of parameters that have no default."""
        return sum(1 for p in self.parameters if p.default is inspect.Parameter.empty)


class Calls:
    """Base of the message declarations of a class. The engine overrides them, the client sends them."""


@dataclass(frozen=True)
class XenClass(Generic[R]):
    """A class of the vocabulary: its record, its messages, and whether its objects outlive the engine."""

    name: str
    record: type[R]
    calls: type[Calls]
    persistent: bool
    doc: str
    fields: tuple[Field, ...]
    messages: Mapping[str, MessageSpec]
    by_name: Mapping[str, Field] = field(default_factory=dict)


_CLASSES: dict[str, XenClass[Any]] = {}
_BY_RECORD: dict[type[Record], XenClass[Any]] = {}


def classes() -> Mapping[str, XenClass[Any]]:
    """All classes of the vocabulary by name. Complete once `app.api` is imported."""
    return types.MappingProxyType(_CLASSES)


def class_of(record: type[R]) -> XenClass[R]:
    """The class declaration behind a record type. :raise KeyError: the type was never declared."""
    return _BY_RECORD[record]


def message(
    *, errors: tuple[str, ...] = (), extension: bool = False, read_only: bool = False, name: str = ""
) -> Callable[[F], F]:
    """Declare an async method of a `Calls` class as a XenAPI message.

    `errors` are the codes it may answer beside the general ones; `extension` marks what XenServer does not have;
    `read_only` messages have no `Async.` variant worth a task; `name` is the wire name where Python reserves it.
    """

    def mark(function: F) -> F:
        function.__message__ = (errors, extension, read_only, name or function.__name__)  # type: ignore[attr-defined]
        return function

    return mark


def xen_class(name: str, calls: type[Calls] = Calls, *, persistent: bool = True) -> Callable[[type[R]], type[R]]:
    """Register a record type under its XenAPI class name, with the messages declared for it."""

    def register(record: type[R]) -> type[R]:
        fields = _fields(record)
        declared = XenClass(
            name=name,
            record=record,
            calls=calls,
            persistent=persistent,
            doc=inspect.cleandoc(record.__doc__ or ""),
            fields=fields,
            messages=_messages(name, calls),
            by_name={f.name: f for f in fields},
        )
        _CLASSES[name] = declared
        _BY_RECORD[record] = declared
        return record

    return register


def fields_of(record: type[Record]) -> tuple[Field, ...]:
    """The declared fields of a record type, in their order."""
    return _BY_RECORD[record].fields


def _fields(record: type[Record]) -> tuple[Field, ...]:
    hints = typing.get_type_hints(record, include_extras=True)
    declared = {f.name: f for f in msgspec.structs.fields(record)}
    return tuple(_field(name, hints[name], declared[name]) for name in declared)


def _field(name: str, hint: Any, info: msgspec.structs.FieldInfo) -> Field:
    spec = next((m for m in getattr(hint, "__metadata__", ()) if isinstance(m, FieldSpec)), None)
    if spec is None:
        raise TypeError(f"field {name} lacks ro(), rw(), rc() or reverse()")
    container, key, value = _take_apart(hint)
    default = info.default_factory() if info.default is msgspec.NODEFAULT else info.default
    return Field(name, spec, hint, container, value, key, default)


def _take_apart(hint: Any) -> tuple[Literal["", "set", "list", "map"], ValueType | None, ValueType]:
    inner = hint.__origin__ if hasattr(hint, "__metadata__") else hint
    origin = typing.get_origin(inner)
    args = typing.get_args(inner)
    if origin is frozenset:
        return "set", None, _value_type(args[0])
    if origin is tuple:
        return "list", None, _value_type(args[0])
    if origin is not None and issubclass(origin, Mapping):
        return "map", _value_type(args[0]), _value_type(args[1])
    return "", None, _value_type(hint)


_SCALARS: Final[Mapping[Any, ValueType]] = {
    str: ValueType("string"),
    bool: ValueType("bool"),
    int: ValueType("int"),
    float: ValueType("float"),
    datetime: ValueType("datetime"),
}


def _value_type(hint: Any) -> ValueType:
    target = next((m.name for m in getattr(hint, "__metadata__", ()) if isinstance(m, RefTo)), "")
    if target:
        return ValueType("ref", target=target)
    inner = hint.__origin__ if hasattr(hint, "__metadata__") else hint
    if isinstance(inner, type) and issubclass(inner, StrEnum):
        return ValueType("enum", enum=inner)
    return _SCALARS[inner]


def _messages(name: str, calls: type[Calls]) -> Mapping[str, MessageSpec]:
    found: dict[str, MessageSpec] = {}
    for function in vars(calls).values():
        marked = getattr(function, "__message__", None)
        if marked is None:
            continue
        errors, extension, read_only, wire_name = marked
        hints = typing.get_type_hints(function, include_extras=True)
        parameters = tuple(inspect.signature(function).parameters.values())[1:]
        found[wire_name] = MessageSpec(
            cls=name,
            name=wire_name,
            doc=inspect.cleandoc(function.__doc__ or ""),
            errors=errors,
            parameters=parameters,
            types={p.name: hints[p.name] for p in parameters},
            result=hints["return"],
            extension=extension,
            read_only=read_only,
        )
    return found
