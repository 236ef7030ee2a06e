"""Commands on snapshot schedules."""

from __future__ import annotations

import json
from typing import Any, Final

from app.cli.command import Command
from app.cli.control_columns import VMSS_FREQUENCIES, VMSS_TYPES
from app.cli.errors import CommandError, ServerFailure
from app.cli.invocation import Invocation
from app.cli.setting import one_of

RUNS: Final = 10
"""A preview shows this many, unless told otherwise."""


def _retained(invocation: Invocation) -> int:
    text = invocation.words.get("retained-snapshots", "7")
    try:
        return int(text)
    except ValueError:
        raise ServerFailure("INTERNAL_ERROR", ["Failure: Int64.of_string"]) from None


def _record(invocation: Invocation) -> dict[str, Any]:
    words = invocation.words
    return {
        "name_label": words.required("name-label"),
        "name_description": words.get("name-description"),
        "type": one_of(VMSS_TYPES, words.required("type")),
        "frequency": one_of(VMSS_FREQUENCIES, words.required("frequency")),
        "schedule": words.under("schedule"),
        "enabled": words.flag("enabled", True),
        "retained_snapshots": _retained(invocation),
    }


def _create(invocation: Invocation) -> None:
    invocation.created("VMSS", str(invocation.change("VMSS.create", _record(invocation))))


def _vmss(invocation: Invocation) -> str:
    return invocation.inventory.by_uuid("VMSS", invocation.words.required("uuid"))


def _destroy(invocation: Invocation) -> None:
    invocation.change("VMSS.destroy", _vmss(invocation))


def _run(invocation: Invocation) -> None:
    answer = invocation.change("VMSS.snapshot_now", _vmss(invocation), progress=True)
    if answer == "False":
        raise CommandError("Not every VM was snapshotted; vmss-run-list tells what came of each.")


def _preview(invocation: Invocation) -> None:
    words = invocation.words
    vmss = invocation.inventory.get("VMSS", _vmss(invocation)) or {}
    names = ("uuid", "name_label", "type", "frequency", "schedule", "retained_snapshots")
    record = {name: vmss[name] for name in names}
    record["retained_snapshots"] = int(record["retained_snapshots"])
    count = words.size("count") if words.has("count") else RUNS
    for run in invocation.ask("VMSS.get_preview", record, list(vmss["VMs"]), count):
        visits = json.loads(run["visits"])
        if invocation.as_json:
            invocation.result({**run, "visits": visits})
            continue
        invocation.print(f"{run['local']} {run['zone']}".rstrip())
        for visit in visits:
            vm = invocation.inventory.get("VM", visit["vm"]) or {}
            invocation.print(f"    {vm.get('name_label', '')}: {_what(visit)}")


def _what(visit: dict[str, Any]) -> str:
    if visit.get("skip"):
        return f"nothing is taken: {visit['skip']}"
    deleted = len(visit.get("deletes", ()))
    return f"takes '{visit['name']}'" + (f" and deletes {deleted} older" if deleted else "")


def commands() -> list[Command]:
    """All of them."""
    return [
        Command(
            "vmss-create",
            _create,
            "Create a VM snapshot schedule.",
            required=("name-label", "type", "frequency"),
            optional=("name-description", "enabled", "schedule:", "retained-snapshots"),
        ),
        Command("vmss-destroy", _destroy, "Destroy a VM snapshot schedule.", required=("uuid",)),
        Command(
            "vmss-snapshot-now",
            _run,
            "Run a VM snapshot schedule now, whether it is enabled or not.",
            required=("uuid",),
            optional=("progress",),
            ours=True,
        ),
        Command(
            "vmss-preview",
            _preview,
            "Show the next runs of a VM snapshot schedule, and what each takes and deletes.",
            required=("uuid",),
            optional=("count",),
            ours=True,
        ),
    ]
