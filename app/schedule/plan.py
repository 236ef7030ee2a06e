"""What a schedule does now, and what it will do: one pure function decides, for the runner as for the preview.

A slot is dealt with once. What is due is the newest slot since the last one dealt with; older ones were missed. Whether
a slot that is late still runs is the schedule's policy.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import UTC, datetime, timedelta
from typing import Final, Literal
from zoneinfo import ZoneInfo

from app.schedule.recurrence import Recurrence, slots_after, slots_between
from app.schedule.retention import Retention, Taken, expired

MissedPolicy = Literal["run-once", "skip"]
Kind = Literal["snapshot", "checkpoint", "snapshot_with_quiesce"]

GRACE: Final = timedelta(minutes=5)
"""A slot not older than this is on time."""
LOOK_BACK: Final = timedelta(days=31)
"""Slots missed longer ago than this are not listed one by one any more."""
MOST_MISSED: Final = 1000
_MEMORY_STATES: Final = ("Running", "Paused", "Suspended")


@dataclass(frozen=True, slots=True)
class Schedule:
    """A schedule as the plan needs it."""

    ref: str
    name: str
    kind: Kind
    rule: Recurrence
    zone: ZoneInfo
    retention: Retention
    missed: MissedPolicy = "run-once"
    enabled: bool = True


@dataclass(frozen=True, slots=True)
class Member:
    """A VM of the schedule now.

    :ivar state: its power state.
    :ivar taken: the snapshots that this schedule made of it and that still exist.
    :ivar obstacle: why no snapshot may be taken of it now, "" if one may.
    """

    vm: str
    name: str
    state: str
    taken: tuple[Taken, ...] = ()
    obstacle: str = ""


@dataclass(frozen=True, slots=True)
class Visit:
    """What a run does with one VM.

    :ivar skip: why nothing is done, "" if a snapshot is taken.
    :ivar deletes: refs of the snapshots that go once the new one is there, oldest first.
    """

    vm: str
    vm_name: str
    snapshot_name: str
    skip: str = ""
    deletes: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Run:
    """One run: the slot it is for (UTC), whether it is late, and its visits."""

    schedule: str
    slot: datetime
    late: bool
    visits: tuple[Visit, ...]


@dataclass(frozen=True, slots=True)
class Plan:
    """What to do now.

    :ivar run: the run that is due, None if none is.
    :ivar missed: slots that will not run any more, ascending.
    :ivar dealt_with: the instant up to which all slots are then dealt with.
    """

    run: Run | None
    missed: tuple[datetime, ...]
    dealt_with: datetime


def plan(schedule: Schedule, members: Sequence[Member], dealt_with: datetime, now: datetime) -> Plan:
    """What is due at `now`, when all slots up to `dealt_with` are dealt with.

    A clock that went back is no reason to run anything again: then nothing is due.
    """
    if not schedule.enabled or now <= dealt_with:
        return Plan(None, (), dealt_with)
    since = max(dealt_with, now - LOOK_BACK)
    slots = slots_between(schedule.rule, schedule.zone, since, now, MOST_MISSED)
    if not slots:
        return Plan(None, (), dealt_with)
    newest = slots[-1]
    late = now - newest > GRACE
    if late and schedule.missed == "skip":
        return Plan(None, tuple(slots), newest)
    return Plan(run_for(schedule, members, newest, now, late=late), tuple(slots[:-1]), newest)


def run_for(schedule: Schedule, members: Sequence[Member], slot: datetime, now: datetime, *, late: bool = False) -> Run:
    """The run for this slot, or by hand for this instant, with the VMs as they are at `now`."""
    ordered = sorted(members, key=lambda member: (member.name, member.vm))
    return Run(schedule.ref, slot, late, tuple(_visit(schedule, member, slot, now) for member in ordered))


def _visit(schedule: Schedule, member: Member, slot: datetime, now: datetime) -> Visit:
    name = f"{schedule.name} {slot.astimezone(schedule.zone):%Y-%m-%d %H:%M}".strip()
    skip = _why_skipped(schedule, member)
    if skip:
        return Visit(member.vm, member.name, name, skip=skip)
    new = Taken("", now, locked=True)  # whatever the clock did before, the new one stays
    going = expired((*member.taken, new), schedule.retention, now, schedule.zone)
    return Visit(member.vm, member.name, name, deletes=tuple(one.ref for one in going))


def _why_skipped(schedule: Schedule, member: Member) -> str:
    if schedule.kind == "checkpoint" and member.state not in _MEMORY_STATES:
        return "It is halted, so it has no memory to keep."
    if schedule.kind == "snapshot_with_quiesce" and member.state != "Running":
        return "It does not run, so nobody can flush its files."
    return member.obstacle


def preview(
    schedule: Schedule, members: Sequence[Member], dealt_with: datetime, now: datetime, count: int
) -> Iterator[Run]:
    """The next runs, at most `count`, as they will be if the VMs stay as they are; also of a disabled schedule.

    Snapshots that do not exist yet are called `new:` and the slot's ISO time.
    """
    known: Mapping[str, Member] = {member.vm: member for member in members}
    after = max(dealt_with, now)
    for many, slot in enumerate(slots_after(schedule.rule, schedule.zone, after)):
        if many >= count:
            return
        run = run_for(schedule, list(known.values()), slot, slot)
        known = {visit.vm: _after(known[visit.vm], visit, slot) for visit in run.visits}
        yield run


def upcoming_ref(slot: datetime) -> str:
    """What the preview calls the snapshot that a slot will make."""
    return f"new:{slot.astimezone(UTC).isoformat()}"


def _after(member: Member, visit: Visit, slot: datetime) -> Member:
    """The VM as the run will leave it."""
    if visit.skip:
        return member
    left = tuple(one for one in member.taken if one.ref not in visit.deletes)
    return replace(member, taken=(*left, Taken(upcoming_ref(slot), slot)))
