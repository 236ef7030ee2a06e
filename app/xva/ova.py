"""The description in an .xva: records under ids of the file's own, as `ova.xml` has them.

Ids are opaque; ours count from `Ref:0`. A reference to something that is not in the file is the null reference.
"""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from enum import StrEnum
from typing import Any, Final, TypeVar

import msgspec

from app.api import Failure, Record, class_of
from app.api.types import NULL, Field, ValueType
from app.xva import values
from app.xva.refusals import no_such_object, not_understood

R = TypeVar("R", bound=Record)

EXPORT_VERSION: Final = 2
"""Of what we write, and the highest we read. Since 1 the hashes stand behind the blocks."""
CLASSES: Final = ("VM", "VM_metrics", "VM_guest_metrics", "VBD", "VIF", "network", "VDI", "SR")
"""The classes in a file, in their order."""
_MOST_OBJECTS: Final = 100_000


@dataclass(frozen=True, slots=True)
class Version:
    """What wrote a file."""

    hostname: str = "localhost"
    date: datetime = datetime(1970, 1, 1, tzinfo=UTC)
    product_version: str = ""
    product_brand: str = ""
    build_number: str = ""
    # The lowest: a XenServer refuses what says it comes from a newer one than itself.
    xapi_major: str = "1"
    xapi_minor: str = "0"
    export_vsn: str = str(EXPORT_VERSION)


@dataclass(frozen=True, slots=True)
class Described:
    """An object in a file: its class, its id there, its fields as the file has them."""

    cls: str
    id: str
    fields: Mapping[str, Any]

    def text(self, name: str) -> str:
        """A field that is text; "" if it is not there. :raise Failure: IMPORT_ERROR_GENERIC: it is no text."""
        value = self.fields.get(name, "")
        if not isinstance(value, str):
            raise not_understood(f"The field {name} of {self.id} is not text.")
        return value

    def number(self, name: str) -> int:
        """A field that is a whole number, 0 or more. :raise Failure: IMPORT_ERROR_GENERIC."""
        text = self.text(name)
        if not text.isascii() or not text.isdigit() or len(text) > 20:
            raise not_understood(f"The field {name} of {self.id} is no number.")
        return int(text)


class Description:
    """All that a file's `ova.xml` says."""

    def __init__(self, version: Mapping[str, str], objects: Sequence[Described]) -> None:
        self.version = version
        self.objects = objects
        self.by_id = {described.id: described for described in objects}

    def of(self, cls: str) -> list[Described]:
        """The objects of a class, in the file's order."""
        return [described for described in self.objects if described.cls == cls]

    def get(self, cls: str, identity: str) -> Described:
        """:raise Failure: IMPORT_ERROR_FAILED_TO_FIND_OBJECT."""
        found = self.by_id.get(identity)
        if found is None or found.cls != cls:
            raise no_such_object(identity)
        return found

    def find(self, cls: str, identity: str) -> Described | None:
        """The object; None: it is not in the file."""
        found = self.by_id.get(identity)
        return found if found is not None and found.cls == cls else None

    @property
    def product(self) -> str:
        """What wrote the file, for people."""
        return f"{self.version.get('product_brand', '')} {self.version.get('product_version', '')}".strip()


def parse(document: bytes) -> Description:
    """Read an `ova.xml`.

    :raise Failure: IMPORT_ERROR_GENERIC; IMPORT_INCOMPATIBLE_VERSION: a newer program wrote it.
    """
    whole = values.read(document)
    if not isinstance(whole, dict):
        raise not_understood("The description in the archive is no struct.")
    version, objects = whole.get("version"), whole.get("objects")
    if not isinstance(version, dict) or not isinstance(objects, list) or len(objects) > _MOST_OBJECTS:
        raise not_understood("The description in the archive lacks its version or its objects.")
    _check_version(version)
    found = [_described(entry) for entry in objects]
    if len({described.id for described in found}) != len(found):
        raise not_understood("Two objects in the archive have the same id.")
    return Description({key: str(value) for key, value in version.items()}, found)


def _check_version(version: Mapping[str, Any]) -> None:
    text = str(version.get("export_vsn", "0"))
    if not text.isascii() or not text.isdigit() or len(text) > 9:
        raise not_understood("The archive does not say of which version it is.")
    if int(text) > EXPORT_VERSION:
        raise Failure("IMPORT_INCOMPATIBLE_VERSION")
    if int(text) < 1:
        raise not_understood("The archive is of an old kind, with the hashes of all blocks at its end. It is not read.")


def _described(entry: Any) -> Described:
    if not isinstance(entry, dict):
        raise not_understood("An object in the archive is no struct.")
    cls, identity, fields = entry.get("class"), entry.get("id"), entry.get("snapshot")
    if not isinstance(cls, str) or not isinstance(identity, str) or not isinstance(fields, dict) or not identity:
        raise not_understood("An object in the archive lacks its class, id or fields.")
    return Described(cls, identity, fields)


def written(version: Version, objects: Sequence[tuple[str, Record]], id_of: Mapping[str, str]) -> bytes:
    """An `ova.xml`.

    :param objects: each with its own reference, in the file's order.
    :param id_of: the id for each reference that is in the file.
    """
    listed = [
        {"class": class_of(type(record)).name, "id": id_of[ref], "snapshot": _fields(record, id_of)}
        for ref, record in objects
    ]
    struct = {name: getattr(version, name) for name in Version.__slots__}
    struct["date"] = version.date.astimezone(UTC).strftime(values.DATE_FORM)
    return values.written({"version": struct, "objects": listed}).encode()


def _fields(record: Record, id_of: Mapping[str, str]) -> dict[str, Any]:
    return {field.name: _outgoing(field, getattr(record, field.name), id_of) for field in class_of(type(record)).fields}


def _outgoing(field: Field, value: Any, id_of: Mapping[str, str]) -> Any:
    if field.value.scalar != "ref":
        return value
    if field.container == "":
        return id_of.get(value, NULL)
    if field.container == "map":
        return {key: id_of[ref] for key, ref in value.items() if ref in id_of}
    return [id_of[ref] for ref in sorted(value) if ref in id_of]


def restored(record: type[R], described: Described, ref_of: Callable[[str], str]) -> R:
    """An object's record, as far as we know its fields; those that others link to it are left out.

    :param ref_of: the reference for an id, the null reference for one that is not in the file.
    :raise Failure: IMPORT_ERROR_GENERIC: a value cannot be of the field's type.
    """
    fields: dict[str, Any] = {}
    for field in class_of(record).fields:
        if field.name in described.fields and not field.spec.reverse_of and not field.spec.volatile:
            try:
                fields[field.name] = _incoming(field, described.fields[field.name], ref_of)
            except (ValueError, TypeError, OverflowError) as error:
                raise not_understood(f"The field {field.name} of {described.id} cannot be read.") from error
    return record(**fields)


def _incoming(field: Field, value: Any, ref_of: Callable[[str], str]) -> Any:
    if field.container == "map":
        if not isinstance(value, dict) or field.key is None:
            raise TypeError
        found = {_scalar(field.key, key, ref_of): _scalar(field.value, item, ref_of) for key, item in value.items()}
        return {key: item for key, item in found.items() if key is not msgspec.UNSET and item is not msgspec.UNSET}
    if field.container in ("set", "list"):
        if not isinstance(value, list):
            raise TypeError
        items = [_scalar(field.value, item, ref_of) for item in value]
        known = [item for item in items if item is not msgspec.UNSET and item != NULL]
        return frozenset(known) if field.container == "set" else tuple(known)
    found = _scalar(field.value, value, ref_of)
    return field.default if found is msgspec.UNSET else found


def _scalar(kind: ValueType, value: Any, ref_of: Callable[[str], str]) -> Any:
    """A value of a declared type; UNSET for a member of an enumeration that we do not know."""
    if kind.scalar == "bool":
        return _of(value, bool)
    if kind.scalar == "datetime":
        return _of(value, datetime)
    if kind.scalar == "float":
        return float(_of(value, float | str))
    text = _of(value, str)
    if kind.scalar == "int":
        return _integer(text)
    if kind.scalar == "ref":
        return ref_of(text)
    return _member(kind.enum, text) if kind.enum is not None else text


def _of(value: Any, kind: Any) -> Any:
    if not isinstance(value, kind):
        raise TypeError
    return value


def _integer(text: str) -> int:
    number = int(text)
    if not -(1 << 63) <= number < 1 << 63:
        raise OverflowError
    return number


def _member(enum: type[StrEnum], text: str) -> Any:
    try:
        return enum(text)
    except ValueError:
        return msgspec.UNSET


def identity(description: Description) -> str:
    """Which objects a file is of, whatever they are called now: two files with the same can be parts of one."""
    lines = [
        f"{described.cls} {described.id} {described.fields.get('uuid')} {described.fields.get('virtual_size', '')}"
        for described in sorted(description.objects, key=lambda described: described.id)
    ]
    return hashlib.sha256("\n".join(lines).encode()).hexdigest()
