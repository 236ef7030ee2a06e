"""The kinds of objects that xe lists, by the word its commands begin with."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Final

from app.cli import control_columns, pool_columns, storage_columns, vm_columns
from app.cli.columns import RW, Column
from app.cli.inventory import Inventory, Object


@dataclass(frozen=True)
class Kind:
    """One kind.

    :ivar cls: its class in the API.
    :ivar defaults: the fields that a list shows.
    :ivar belongs: whether an object of the class is of this kind.
    :ivar where: a XenAPI expression that says the same, for kinds of which there are few among many others.
    """

    name: str
    cls: str
    columns: tuple[Column, ...]
    defaults: tuple[str, ...]
    belongs: Callable[[Object], bool] = lambda _record: True
    where: str = ""

    @property
    def plural(self) -> str:
        """As the help has it, whatever the language."""
        return f"{self.name}s"

    @property
    def writable(self) -> bool:
        """Whether any field can be set."""
        return any(column.access == RW for column in self.columns)

    def column(self, name: str) -> Column | None:
        """The field of that name."""
        return next((column for column in self.columns if column.name == name), None)

    def objects(self, inventory: Inventory) -> list[tuple[str, Object]]:
        """All objects of this kind, in the server's order."""
        found = inventory.where(self.cls, self.where) if self.where else inventory.all(self.cls)
        return [(ref, record) for ref, record in found.items() if self.belongs(record)]


def _is_template(record: Object) -> bool:
    return bool(record["is_a_template"]) and not record["is_a_snapshot"]


_NAMED: Final = ("uuid", "name-label", "name-description")

_TEMPLATES: Final = 'field "is_a_template" = "true" and field "is_a_snapshot" = "false"'

_KINDS: Final = (
    Kind(
        "vm",
        "VM",
        vm_columns.COLUMNS,
        ("uuid", "name-label", "power-state"),
        lambda record: not record["is_a_template"],
        'field "is_a_template" = "false"',
    ),
    Kind(
        "snapshot",
        "VM",
        vm_columns.SNAPSHOT_COLUMNS,
        (*_NAMED, "snapshot_of", "snapshot_time"),
        lambda record: bool(record["is_a_snapshot"]),
    ),
    Kind("template", "VM", vm_columns.COLUMNS, _NAMED, _is_template, _TEMPLATES),
    Kind(
        "vmss",
        "VMSS",
        control_columns.VMSS,
        tuple(column.name for column in control_columns.VMSS),
    ),
    Kind(
        "vmss-run",
        "VMSS_run",
        control_columns.VMSS_RUN,
        ("uuid", "vmss-uuid", "status", "trigger", "slot", "started", "finished", "missed"),
    ),
    Kind("vdi", "VDI", storage_columns.VDI, (*_NAMED, "sr-uuid", "virtual-size", "sharable", "read-only")),
    Kind("vbd", "VBD", storage_columns.VBD, ("uuid", "vm-uuid", "vm-name-label", "vdi-uuid", "empty", "device")),
    Kind("vif", "VIF", storage_columns.VIF, ("uuid", "vm-uuid", "device", "network-uuid")),
    Kind("sr", "SR", storage_columns.SR, (*_NAMED, "host", "type", "content-type")),
    Kind("pbd", "PBD", storage_columns.PBD, ("uuid", "host-uuid", "sr-uuid", "device-config", "currently-attached")),
    Kind("network", "network", storage_columns.NETWORK, (*_NAMED, "bridge")),
    Kind(
        "pif",
        "PIF",
        storage_columns.PIF,
        ("uuid", "device", "MAC", "currently-attached", "VLAN", "network-uuid", "host-uuid"),
    ),
    Kind("host", "host", pool_columns.HOST, _NAMED),
    Kind("pool", "pool", pool_columns.POOL, (*_NAMED, "master", "default-SR")),
    Kind("task", "task", control_columns.TASK, (*_NAMED, "status", "progress")),
    Kind(
        "message",
        "message",
        control_columns.MESSAGE,
        tuple(column.name for column in control_columns.MESSAGE),
    ),
    Kind("console", "console", control_columns.CONSOLE, ("uuid", "vm-uuid", "vm-name-label", "protocol", "location")),
)

KINDS: Final = {kind.name: kind for kind in _KINDS}
VM: Final = KINDS["vm"]
