"""Names in the order people expect: disk 2 before disk 10, capitals and small letters side by side."""

from __future__ import annotations

import re
from typing import Any, Final, TypeAlias

_DIGITS: Final = re.compile(r"(\d+)")

NaturalKey: TypeAlias = tuple[tuple[int, int, str], ...]


def natural_key(name: str) -> NaturalKey:
    """A sort key for ``name`` that compares the numbers in it by value."""
    return tuple(_piece(piece) for piece in _DIGITS.split(name.casefold()) if piece)


def _piece(piece: str) -> tuple[int, int, str]:
    if not piece[0].isdecimal():
        return (1, 0, piece)
    digits = piece.lstrip("0")
    return (0, len(digits), digits)  # not int(): a name may hold more digits than Python converts


class Reversed:
    """A sort key turned round, for a descending column."""

    __slots__ = ("_key",)

    def __init__(self, key: Any) -> None:
        self._key = key

    def __lt__(self, other: Reversed) -> bool:
        return bool(other._key < self._key)

    def __eq__(self, other: object) -> bool:
        return isinstance(other, Reversed) and bool(self._key == other._key)

    def __hash__(self) -> int:
        return hash(self._key)
