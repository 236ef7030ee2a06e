"""Schedules, runs and results in words."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any, Final

from app.api import VMSS, VMSSFrequency, VMSSRun, VMSSRunStatus, VMSSType
from ui.base.sizes_and_dates import count
from ui.schedules.draft import DAYS, LAST_DAY, Draft, Monthly, draft_of, monthly_of

KINDS: Final[Mapping[VMSSType, tuple[str, str, str]]] = {
    VMSSType.snapshot: (
        "snapshot-scheduled",
        "Disks only",
        "No pause, whatever the VM is doing. The guest recovers as after a power cut.",
    ),
    VMSSType.snapshot_with_quiesce: (
        "snapshot-quiesced",
        "Disks, files flushed",
        "The guest's agent holds its file systems for a moment. Only VMs that run and have an agent.",
    ),
    VMSSType.checkpoint: (
        "snapshot-memory-scheduled",
        "Disks and memory",
        "Only VMs that run, are paused or suspended; halted ones are skipped. Each takes as much space as the memory.",
    ),
}
"""Icon, title and what it means."""


TAKES: Final[Mapping[VMSSType, str]] = {
    VMSSType.snapshot: "the disks",
    VMSSType.snapshot_with_quiesce: "the disks, with files flushed,",
    VMSSType.checkpoint: "disks and memory",
}


def kind_of(kind: VMSSType) -> str:
    """``Disks only``."""
    return KINDS[kind][1]


def when_of(draft: Draft) -> str:
    """``Every day at 22:00``, ``Mondays and Fridays at 02:30``, ``Every hour at 15 past``."""
    monthly = monthly_of(draft.cron)
    if monthly is not None:
        said = f"{_month_days(monthly)} at {monthly.time}"
    elif draft.cron:
        said = f"By cron: {draft.cron}"
    elif draft.frequency is VMSSFrequency.hourly:
        said = f"Every hour at {draft.minute} past" if draft.minute else "Every hour, on the hour"
    else:
        at = f"at {_listed(draft.times)}"
        if draft.frequency is VMSSFrequency.daily or len(draft.days) == len(DAYS):
            said = f"Every day {at}"
        else:
            said = f"{_listed([f'{day}s' for day in DAYS if day in draft.days])} {at}"
    if draft.window:
        said += f", between {draft.window.replace('-', ' and ')}"
    return said


def _month_days(monthly: Monthly) -> str:
    """``On the last day of each month``, ``On days 1 and 15 of each month``."""
    numbers = [day for day in monthly.days if day != LAST_DAY]
    said = [f"{'day' if len(numbers) == 1 else 'days'} {_listed(numbers)}"] if numbers else []
    if LAST_DAY in monthly.days:
        said.append("the last day")
    return f"On {_listed(said)} of each month"


def whose(draft: Draft, vms: int) -> str:
    """``3 VMs``, ``2 VMs and all tagged “web” or “db”``."""
    said = [count(vms, "VM")] if vms or not draft.tags else []
    if draft.tags:
        said.append(f"all tagged {' or '.join(f'“{tag}”' for tag in draft.tags)}")
    return " and ".join(said)


def when(record: VMSS) -> str:
    """When a schedule runs."""
    return when_of(draft_of(record))


def kept_of(draft: Draft) -> str:
    """``The last 7 of each VM, and 4 weekly``."""
    more = [
        f"{draft.keep[period]} {period}"
        for period in ("hourly", "daily", "weekly", "monthly")
        if draft.keep.get(period)
    ]
    said = f"The last {draft.retained} of each VM" if draft.retained > 1 else "The last one of each VM"
    if more:
        said += f", and {_listed(more)}"
    if draft.max_age_days:
        said += f"; none older than {count(draft.max_age_days, 'day')}"
    return said


def _listed(words: list[str] | tuple[str, ...]) -> str:
    return f"{', '.join(words[:-1])} and {words[-1]}" if len(words) > 1 else "".join(words)


@dataclass(frozen=True, slots=True)
class VMResult:
    """What came of a run for one VM."""

    uuid: str
    name: str
    outcome: str
    reason: str
    snapshot: str
    deleted: int
    kept: Mapping[str, str]
    seconds: float


def results_of(run: VMSSRun) -> list[VMResult]:
    """The results of a run, by name; VMs whose turn has not come are `waiting`."""
    found = [_result(uuid, _decoded(text)) for uuid, text in run.results.items()]
    for uuid, text in run.plan.items():
        if uuid not in run.results:
            found.append(VMResult(uuid, str(_decoded(text).get("vm_name", "")), "waiting", "", "", 0, {}, 0.0))
    return sorted(found, key=lambda result: (result.name.casefold(), result.uuid))


def _result(uuid: str, data: Mapping[str, Any]) -> VMResult:
    return VMResult(
        uuid=uuid,
        name=str(data.get("vm_name", "")),
        outcome=str(data.get("outcome", "")),
        reason=str(data.get("reason", "")),
        snapshot=str(data.get("snapshot", "")),
        deleted=len(data.get("deleted", ())),
        kept=dict(data.get("kept", {})),
        seconds=float(data.get("seconds", 0.0)),
    )


def _decoded(text: str) -> dict[str, Any]:
    try:
        data = json.loads(text)
    except ValueError:
        return {}
    return data if isinstance(data, dict) else {}


OUTCOMES: Final[Mapping[str, tuple[str, str]]] = {
    "success": ("alert-good", "Taken"),
    "failure": ("alert-bad", "Failed"),
    "skipped": ("alert-info", "Skipped"),
    "interrupted": ("alert-attention", "Interrupted"),
    "waiting": ("clock", "Waiting"),
}
"""Icon and word of what came of a run for one VM."""

STATUSES: Final[Mapping[VMSSRunStatus, tuple[str, str, str]]] = {
    VMSSRunStatus.running: ("clock", "Running", "info"),
    VMSSRunStatus.success: ("alert-good", "Succeeded", "good"),
    VMSSRunStatus.partial: ("alert-attention", "Some failed", "attention"),
    VMSSRunStatus.failure: ("alert-bad", "Failed", "bad"),
    VMSSRunStatus.skipped: ("alert-info", "Nothing to do", "secondary"),
    VMSSRunStatus.missed: ("alert-attention", "Missed", "attention"),
    VMSSRunStatus.interrupted: ("alert-attention", "Interrupted", "attention"),
    VMSSRunStatus.noted: ("edit", "Changed", "secondary"),
}
"""Icon, word and tone of a line of the log."""


NOTES: Final = {"enabled": "Turned on", "changed": "Times changed", "clock": "The clock was put right"}


def outcome_of(run: VMSSRun) -> str:
    """``3 of 3 taken, 3 removed``, ``2 runs missed``."""
    if run.status is VMSSRunStatus.missed:
        return f"{count(run.missed, 'run')} missed"
    if run.status is VMSSRunStatus.noted:
        return NOTES.get(run.trigger, "Changed")
    results = results_of(run)
    if not results:
        return "No VMs to take"
    taken = sum(result.outcome == "success" for result in results)
    said = f"{taken} of {len(results)} taken"
    removed = sum(result.deleted for result in results)
    if removed:
        said += f", {removed} removed"
    bad = [result for result in results if result.outcome in ("failure", "interrupted")]
    if len(bad) == 1:
        return f"{bad[0].name}: {bad[0].reason.removesuffix('.')}"
    return f"{said}, {len(bad)} failed" if bad else said


def is_a_run(run: VMSSRun) -> bool:
    """Whether the line tells of a run, taken or missed, and not of a change of the schedule."""
    return run.status is not VMSSRunStatus.noted


def latest(runs: list[VMSSRun]) -> VMSSRun | None:
    """The last run of a schedule; None for one that has not run yet."""
    return max((run for run in runs if is_a_run(run)), key=began, default=None)


def began(run: VMSSRun) -> datetime:
    """When it began, or was noted."""
    return run.started
