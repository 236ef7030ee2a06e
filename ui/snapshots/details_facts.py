"""The facts of the details pane: about one snapshot, several, or the VM."""

from __future__ import annotations

from collections.abc import Sequence

from app.api import VM, VMSS
from app.client import ObjectCache
from ui.base.dialogs import Consequence
from ui.base.sizes_and_dates import date_and_time, exact, size
from ui.models.chain import CHAIN_LIMIT, ChainFacts, total
from ui.models.protection import protector
from ui.snapshots import words
from ui.snapshots.figures import figures_of, freeze_words, group_words, lock_on, lock_words, memory_words, took_words
from ui.snapshots.subject import Subject
from ui.widgets.facts import Fact

_SCHEDULE = "stillframe.schedule"
"""In a snapshot's other_config: the uuid of the schedule that made it."""


def facts_of_one(cache: ObjectCache, record: VM, facts: ChainFacts) -> list[Fact]:
    """What is known of one snapshot; what nobody knows or measured is left out."""
    figures = figures_of(record)
    return [
        ("Created", date_and_time(record.snapshot_time), exact(record.snapshot_time)),
        ("Type", words.type_of(record)),
        ("Consistency", *words.consistency(record, facts)),
        ("Guest paused" if words.has_memory(record) else "Disks waited", *words.pause(record)),
        ("Files held", freeze_words(figures), "The guest's file systems were flushed and frozen for this long."),
        ("Memory", *memory_words(figures)),
        ("Took", took_words(figures), "From the request until all of it was on disk."),
        ("State then", words.state_then(record)),
        ("Size", words.size_of(facts), "Own: what deleting it would free. Shared: what others need as well."),
        ("Chain depth", words.depth_of(facts.depth), f"Images in a row below its disks, at most {CHAIN_LIMIT}"),
        ("Made by", _maker(cache, record)),
        ("Tags", ", ".join(sorted(record.tags))),
    ]


def notes_of_one(record: VM, members: int) -> list[Consequence]:
    """What has to be said in a sentence: its lock, its group, why it is as consistent as it is.

    :param members: how many snapshots of its group there are, itself included.
    """
    figures = figures_of(record)
    notes: list[Consequence] = []
    lock = lock_on(record)
    if lock is not None:
        notes.append(("lock", lock_words(lock)))
    if figures.reason:
        notes.append(("leaf" if words.is_quiesced(record) else "alert-info", figures.reason))
    if figures.group:
        notes.append(("group", group_words(figures, members)))
    return notes


def facts_of_many(subject: Subject, refs: Sequence[str]) -> list[Fact]:
    """The sum of several snapshots."""
    records = [subject.snapshots[ref] for ref in refs]
    kinds = sorted({words.type_of(record) for record in records})
    scheduled = sum(words.is_scheduled(record) for record in records)
    locked = sum(words.is_locked(record) for record in records)
    return [
        ("Created", words.period([record.snapshot_time for record in records])),
        ("Type", ", ".join(kinds)),
        ("Total size", f"{size(total(subject.facts[ref] for ref in refs))} own"),
        ("Made by", _makers(scheduled, len(records))),
        ("Locked", f"{locked} of {len(records)}" if locked else ""),
        ("Tags", ", ".join(sorted({tag for record in records for tag in record.tags}))),
    ]


def facts_of_vm(cache: ObjectCache, subject: Subject) -> list[Fact]:
    """The chain of the VM."""
    if subject.vm is None:
        return []
    records = list(subject.snapshots.values())
    scheduled = sum(words.is_scheduled(record) for record in records)
    moments = sorted(record.snapshot_time for record in records)
    health, _ = words.health(subject.now_facts, list(subject.facts.values()))
    return [
        ("Snapshots", _numbers(len(records), scheduled, len(subject.hidden))),
        ("Oldest", date_and_time(moments[0]) if moments else ""),
        ("Newest", date_and_time(moments[-1]) if moments else ""),
        ("Their size", size(total(subject.facts.values())) if records else ""),
        ("Current disks", words.size_of(subject.now_facts) if subject.now_facts.disks else ""),
        ("Chain depth", words.depth_of(subject.now_facts.depth)),
        ("Health", health[:1].upper() + health[1:] if subject.now_facts.disks else ""),
        ("Schedule", _schedule(cache, subject.vm)),
    ]


def _schedule(cache: ObjectCache, vm: VM) -> str:
    by = protector(cache, vm)
    schedule = cache.get(VMSS, by) if by is not None else None
    return schedule.name_label if schedule is not None else "None"


def _maker(cache: ObjectCache, record: VM) -> str:
    """``By hand``, ``Schedule “Nightly”``; without its name where the schedule is gone or another program's."""
    if not words.is_scheduled(record):
        return "By hand"
    uuid = record.other_config.get(_SCHEDULE, "")
    known = next((vmss for vmss in cache.all(VMSS).values() if uuid and vmss.uuid == uuid), None)
    return f"Schedule “{known.name_label}”" if known is not None else "A schedule"


def _makers(scheduled: int, many: int) -> str:
    if scheduled == many:
        return "A schedule"
    return f"{scheduled} by a schedule, {many - scheduled} by hand" if scheduled else "By hand"


def _numbers(many: int, scheduled: int, hidden: int) -> str:
    said = str(many)
    if scheduled:
        said += f", {scheduled} scheduled"
    return f"{said} (hidden)" if hidden else said
