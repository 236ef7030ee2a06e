"""Reverse links: which forward field feeds which set on the other end."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cache

from app.api.types import classes


@dataclass(frozen=True)
class Link:
    """`forward` on class `source` names an object of class `target`, whose set `backward` lists the source."""

    source: str
    forward: str
    target: str
    backward: str


@cache
def links_from(source: str) -> tuple[Link, ...]:
    """The links whose forward field is on this class."""
    return tuple(link for link in _all_links() if link.source == source)


@cache
def links_to(target: str) -> tuple[Link, ...]:
    """The links whose reverse field is on this class."""
    return tuple(link for link in _all_links() if link.target == target)


@cache
def _all_links() -> tuple[Link, ...]:
    found = []
    for name, declared in classes().items():
        for field in declared.fields:
            if field.spec.reverse_of:
                source, forward = field.spec.reverse_of.split(".")
                found.append(Link(source, forward, name, field.name))
    return tuple(found)
