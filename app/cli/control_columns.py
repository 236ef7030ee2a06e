"""The fields of schedules and their log, of tasks, messages and consoles."""

from __future__ import annotations

from typing import Final

from app.cli.columns import RO, RW, Shown, changed, entries, flag, fraction, made, many, number, operations, plain, ref
from app.cli.columns import refs as references
from app.cli.inventory import ABSENT, Inventory, Object

VMSS_TYPES: Final = ("snapshot", "checkpoint", "snapshot_with_quiesce")
VMSS_FREQUENCIES: Final = ("hourly", "daily", "weekly")


def _vm_name(inventory: Inventory, _ref: str, record: Object) -> Shown:
    vm = inventory.get("VM", record.get("VM", ""))
    return ABSENT if vm is None else str(vm["name_label"])


VMSS: Final = (
    plain("uuid"),
    plain("name-label", RW),
    plain("name-description", RW),
    flag("enabled", RW),
    plain("type", RW, choices=VMSS_TYPES),
    number("retained-snapshots", RW),
    plain("frequency", RW, choices=VMSS_FREQUENCIES),
    entries("schedule", RW),
    plain("last-run-time"),
    references("VMs", "VM"),
)

VMSS_RUN: Final = (
    plain("uuid"),
    ref("vmss-uuid", "VMSS", RO, "VMSS"),
    plain("status"),
    plain("trigger"),
    plain("slot"),
    plain("started"),
    plain("finished"),
    number("missed"),
    entries("results"),
    entries("plan"),
)

TASK: Final = (
    plain("uuid"),
    plain("name-label"),
    plain("name-description"),
    ref("subtask_of", "task"),
    references("subtasks", "task", kind=""),
    ref("resident-on", "host"),
    plain("status"),
    fraction("progress"),
    plain("type"),
    plain("result"),
    plain("created"),
    plain("finished"),
    many("error_info", kind=""),
    many("allowed_operations", kind=""),
    operations("current_operations", kind=""),
    entries("other-config", RW),
)

MESSAGE: Final = (
    plain("uuid"),
    plain("name"),
    number("priority"),
    plain("class", RO, "cls"),
    plain("obj-uuid"),
    plain("timestamp"),
    plain("body"),
)

CONSOLE: Final = (
    plain("uuid"),
    ref("vm-uuid", "VM", RO, "VM"),
    made("vm-name-label", _vm_name),
    changed("protocol", RO, "protocol", str.upper),
    plain("location"),
    entries("other-config", RW),
)
