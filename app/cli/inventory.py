"""The server's objects, fetched when they are first asked for and kept for the length of one command."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from typing import Any, Final, TypeAlias

from app.cli.errors import ServerFailure

NULL: Final = "OpaqueRef:NULL"
ABSENT: Final = "<not in database>"
#: A record as the server sent it. Numbers may be text: XML-RPC has no large ones.
Object: TypeAlias = dict[str, Any]

_FEW: Final = 8
"""This many objects of a class are asked for one by one, before all of it is fetched."""


class Inventory:
    """Objects by class and reference. :ivar ask: sends a message that changes nothing."""

    def __init__(self, ask: Callable[..., Any]) -> None:
        self.ask = ask
        self._whole: dict[str, dict[str, Object]] = {}
        self._parts: dict[tuple[str, str], dict[str, Object]] = {}
        self._single: dict[tuple[str, str], Object | None] = {}

    def all(self, cls: str) -> dict[str, Object]:
        """Every object of a class by reference, in the server's order."""
        found = self._whole.get(cls)
        if found is None:
            found = self._whole[cls] = self.ask(f"{cls}.get_all_records")
        return found

    def where(self, cls: str, expression: str) -> dict[str, Object]:
        """The objects of a class that a XenAPI expression is true of; all where the server does not know expressions.

        The snapshots of a large pool are ten times as many as its VMs; nobody who lists VMs wants to wait for them.
        """
        if cls in self._whole:
            return self._whole[cls]
        if (cls, expression) not in self._parts:
            try:
                self._parts[cls, expression] = self.ask(f"{cls}.get_all_records_where", expression)
            except ServerFailure as failure:
                if failure.code != "MESSAGE_METHOD_UNKNOWN":
                    raise
                self._parts[cls, expression] = self.all(cls)
        return self._parts[cls, expression]

    def get(self, cls: str, ref: str) -> Object | None:
        """One object; None for the null reference and for one that leads nowhere."""
        if not ref or ref == NULL:
            return None
        for (kept, _), part in self._parts.items():
            if kept == cls and ref in part:
                return part[ref]
        if cls in self._whole or sum(1 for kept, _ in self._single if kept == cls) >= _FEW:
            return self.all(cls).get(ref)
        if (cls, ref) not in self._single:
            self._single[cls, ref] = self._fetched(cls, ref)
        return self._single[cls, ref]

    def _fetched(self, cls: str, ref: str) -> Object | None:
        try:
            found: Object = self.ask(f"{cls}.get_record", ref)
        except ServerFailure as failure:
            if failure.code == "HANDLE_INVALID":
                return None
            raise
        return found

    def uuid(self, cls: str, ref: str) -> str:
        """The uuid behind a reference, as xe shows it."""
        found = self.get(cls, ref)
        return ABSENT if found is None else str(found["uuid"])

    def uuids(self, cls: str, refs: Iterable[str]) -> list[str]:
        """The uuids behind references, in their order."""
        return [self.uuid(cls, ref) for ref in refs]

    def by_uuid(self, cls: str, uuid: str) -> str:
        """The reference of an object. :raise ServerFailure: UUID_INVALID."""
        return str(self.ask(f"{cls}.get_by_uuid", uuid))

    def named(self, cls: str, name: str) -> list[str]:
        """The references of the object of that uuid, and of those of that name where the class has names."""
        try:
            return [self.by_uuid(cls, name)]
        except ServerFailure as failure:
            if failure.code != "UUID_INVALID":
                raise
        try:
            return [str(ref) for ref in self.ask(f"{cls}.get_by_name_label", name)]
        except ServerFailure as failure:
            if failure.code != "MESSAGE_METHOD_UNKNOWN":
                raise
        return []

    def forget(self) -> None:
        """Fetch anew what is asked for from now on: something was changed."""
        self._whole.clear()
        self._parts.clear()
        self._single.clear()

    def pool(self) -> Object:
        """The one pool."""
        return next(iter(self.all("pool").values()))
