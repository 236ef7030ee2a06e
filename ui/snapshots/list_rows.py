"""The rows and columns of the list of snapshots."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Final

from app.api import VM
from ui.base.sizes_and_dates import age, date_and_time, exact, size
from ui.models.chain import ChainFacts
from ui.models.table_model import Column
from ui.snapshots import words
from ui.snapshots.figures import lock_on, lock_words
from ui.snapshots.subject import Subject


@dataclass(frozen=True, slots=True)
class Row:
    """One snapshot. ``busy`` is what is done to it now, "" for nothing."""

    record: VM
    facts: ChainFacts
    busy: str = ""


def rows(subject: Subject, refs: Iterable[str]) -> dict[str, Row]:
    """The rows of these snapshots."""
    return {ref: Row(subject.snapshots[ref], subject.facts[ref], subject.cards[ref].busy) for ref in refs}


def _type_hint(row: Row) -> str:
    return f"{words.type_of(row.record)}, made by a schedule" if words.is_scheduled(row.record) else ""


def _lock(row: Row, *, short: bool = False) -> str:
    lock = lock_on(row.record)
    if lock is None:
        return ""
    return (lock.reason or "Yes") if short else lock_words(lock)


def _moment(row: Row) -> float:
    return row.record.snapshot_time.timestamp()


TYPE, NAME, CREATED, AGE, SIZE, SHARED, DEPTH, LOCKED, TAGS, DESCRIPTION = range(10)

COLUMNS: Final[tuple[Column[Row], ...]] = (
    Column(
        title="Type",
        text=lambda row: words.type_of(row.record),
        icon=lambda row: words.list_icon_of(row.record),
        tooltip=_type_hint,
    ),
    Column(title="Name", text=lambda row: row.record.name_label),
    Column(
        title="Created",
        text=lambda row: date_and_time(row.record.snapshot_time),
        order=_moment,
        tooltip=lambda row: exact(row.record.snapshot_time),
    ),
    Column(
        title="Age",
        text=lambda row: row.busy or age(row.record.snapshot_time),
        order=lambda row: -_moment(row),
        tone=lambda row: "attention" if row.busy else "",
    ),
    Column(title="Own size", text=lambda row: size(row.facts.own), order=lambda row: row.facts.own, right=True),
    Column(
        title="Shared",
        text=lambda row: size(row.facts.shared) if row.facts.shared else "",
        order=lambda row: row.facts.shared,
        right=True,
    ),
    Column(
        title="Depth",
        text=lambda row: str(row.facts.depth or ""),
        order=lambda row: row.facts.depth,
        tooltip=lambda row: words.depth_of(row.facts.depth),
        right=True,
    ),
    Column(
        title="Locked",
        text=lambda row: _lock(row, short=True),
        icon=lambda row: "lock" if words.is_locked(row.record) else "",
        tooltip=_lock,
    ),
    Column(title="Tags", text=lambda row: ", ".join(sorted(row.record.tags))),
    Column(title="Description", text=lambda row: " ".join(row.record.name_description.split())),
)
