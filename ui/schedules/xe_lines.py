"""What a terminal would be told in place of the commands on schedules, and of their dialogs."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Final

from app.api import NULL, VM, VMSS, Ref
from app.client import ObjectCache
from ui.base.commands import Selection, XeLine
from ui.base.workspace import Workspace
from ui.base.xe_lines import Variable, always, keeping, line, of_each, records_of, together, uuid_of, vm_line
from ui.schedules.draft import Draft

_NEW: Final = {"type": "snapshot", "frequency": "daily", "schedule:hour": "0", "schedule:min": "0"}
_MADE: Final = Variable("vmss")


def assign_lines(cache: ObjectCache, vms: Iterable[str], schedule: str) -> str:
    """These VMs to a schedule; the null reference takes them out of theirs."""
    uuid = uuid_of(cache, VMSS, schedule)
    return together(*(vm_line(cache, vm, "vm-param-set", snapshot_schedule=uuid) for vm in vms))


def new_lines(cache: ObjectCache, draft: Draft, vms: Iterable[Ref[VM]], *, run_now: bool) -> str:
    """A new schedule with its VMs."""
    vms = tuple(vms)
    record = draft.record(enabled=bool(vms or draft.tags))
    given = {key: record[key] for key in ("name_label", "type", "frequency")}
    if record["name_description"]:
        given["name_description"] = record["name_description"]
    given["enabled"] = "true" if record["enabled"] else "false"
    given["retained_snapshots"] = str(record["retained_snapshots"])
    made = line("vmss-create", **given, **_entries(record["schedule"]))
    if not (vms or run_now):
        return made
    return together(
        keeping("vmss", made),
        *(vm_line(cache, vm, "vm-param-set", snapshot_schedule=_MADE) for vm in vms),
        line("vmss-snapshot-now", uuid=_MADE) if run_now else "",
    )


def changed_lines(cache: ObjectCache, before: VMSS, draft: Draft, vms: Iterable[Ref[VM]], ref: Ref[VMSS]) -> str:
    """What differs from the record."""
    wanted, gone = _differing(before, draft), sorted(set(before.schedule) - set(draft.entries()))
    removed = {"uuid": before.uuid, "param_name": "schedule"}
    vms = tuple(vms)
    return together(
        line("vmss-param-set", uuid=before.uuid, **wanted) if wanted else "",
        *(line("vmss-param-remove", **removed, param_key=key) for key in gone),
        assign_lines(cache, sorted(before.VMs - set(vms)), NULL),
        assign_lines(cache, [vm for vm in vms if vm not in before.VMs], ref),
    )


def _differing(before: VMSS, draft: Draft) -> dict[str, str]:
    fields = {
        "name_label": (before.name_label, draft.name),
        "name_description": (before.name_description, draft.description),
        "type": (before.type.value, draft.kind.value),
        "frequency": (before.frequency.value, draft.frequency.value),
        "retained_snapshots": (str(before.retained_snapshots), str(draft.retained)),
    }
    entries = {key: value for key, value in draft.entries().items() if before.schedule.get(key) != value}
    return {**{name: new for name, (old, new) in fields.items() if old != new}, **_entries(entries)}


def _entries(schedule: Mapping[str, str]) -> dict[str, str]:
    return {f"schedule:{key}": value for key, value in schedule.items()}


def delete_lines(cache: ObjectCache, schedules: Iterable[VMSS]) -> str:
    """Their VMs leave them first."""
    return together(
        *(
            together(assign_lines(cache, sorted(schedule.VMs), NULL), line("vmss-destroy", uuid=schedule.uuid))
            for schedule in schedules
        )
    )


def _schedules(workspace: Workspace, selection: Selection) -> list[VMSS]:
    return records_of(workspace.cache, VMSS, (ref for cls, ref in selection if cls == "VMSS"))


def _assign(workspace: Workspace, selection: Selection) -> str:
    """To the schedule that the VM has, or to one that a person has to name."""

    def one(vm: VM) -> str:
        schedule = workspace.cache.get(VMSS, vm.snapshot_schedule)
        return line("vm-param-set", uuid=vm.uuid, snapshot_schedule=schedule.uuid if schedule else "SCHEDULE")

    return of_each(VM, one)(workspace, selection)


def _toggle(workspace: Workspace, selection: Selection) -> str:
    """All on if none is, else all off."""
    found = _schedules(workspace, selection)
    wanted = "false" if any(schedule.enabled for schedule in found) else "true"
    return together(*(line("vmss-param-set", uuid=schedule.uuid, enabled=wanted) for schedule in found))


LINES: Final[Mapping[str, XeLine]] = {
    "pool.schedules": always(line("vmss-list")),
    "schedule.new": always(line("vmss-create", name_label="NAME", **_NEW)),
    "vm.schedules": _assign,
    "schedule.toggle": _toggle,
    "schedule.run": of_each(VMSS, lambda vmss: line("vmss-snapshot-now", uuid=vmss.uuid)),
    "schedule.delete": lambda workspace, selection: delete_lines(workspace.cache, _schedules(workspace, selection)),
    "schedule.properties": of_each(VMSS, lambda vmss: line("vmss-param-list", uuid=vmss.uuid)),
}
