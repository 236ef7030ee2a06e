"""What a terminal would be told in place of the commands on snapshots."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime
from typing import Final

from app.api import VM
from ui.base.commands import XeLine
from ui.base.xe_lines import line, of_each
from ui.snapshots.take_dialog import proposed_name


def _take(vm: VM) -> str:
    name = proposed_name(vm.name_label, datetime.now().astimezone())
    return line("vm-snapshot", uuid=vm.uuid, new_name_label=name)


LINES: Final[Mapping[str, XeLine]] = {
    "vm.snapshot": of_each(VM, _take),
    "vm.chain_health": of_each(VM, lambda vm: line("vm-chain-health", uuid=vm.uuid)),
    "snapshot.revert": of_each(VM, lambda snapshot: line("snapshot-revert", snapshot_uuid=snapshot.uuid)),
    "snapshot.rename": of_each(VM, lambda vm: line("snapshot-param-set", uuid=vm.uuid, name_label=vm.name_label)),
    "snapshot.new_vm": of_each(
        VM, lambda vm: line("vm-install", template=vm.uuid, new_name_label=f"{vm.name_label} copy")
    ),
    "snapshot.new_template": of_each(
        VM, lambda vm: line("snapshot-clone", snapshot_uuid=vm.uuid, new_name_label=vm.name_label)
    ),
    "snapshot.lock": of_each(VM, lambda vm: line("snapshot-lock", snapshot_uuid=vm.uuid, reason="REASON")),
    "snapshot.unlock": of_each(VM, lambda vm: line("snapshot-unlock", snapshot_uuid=vm.uuid)),
    "snapshot.delete": of_each(VM, lambda vm: line("snapshot-uninstall", snapshot_uuid=vm.uuid)),
}
