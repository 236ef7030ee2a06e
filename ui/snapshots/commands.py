"""What can be done with snapshots: every command with its words, keys and state."""

from __future__ import annotations

from typing import Final

from ui.base.commands import Command
from ui.base.workspace import Workspace
from ui.base.xe_lines import with_xe
from ui.snapshots.deleting import can_delete, can_drop_memory, delete_snapshots, drop_memory
from ui.snapshots.grouping import can_show_group, show_group
from ui.snapshots.locking import can_lock, can_unlock, lock_snapshots, unlock_snapshots
from ui.snapshots.looking import can_show_health, show_health
from ui.snapshots.making import can_make, new_template, new_vm
from ui.snapshots.renaming import can_rename, rename_snapshot
from ui.snapshots.reverting import can_revert, revert_to_snapshot
from ui.snapshots.taking import can_take_snapshot, take_snapshot
from ui.snapshots.xe_lines import LINES

#: the selection of the Snapshots tab
SCOPE: Final = "snapshots"


COMMANDS: Final = (
    Command(
        id="vm.snapshot",
        title="Take Snapshot…",
        icon="camera",
        shortcut="Ctrl+T",
        tooltip="Keep the VM as it is now",
        run=take_snapshot,
        state=can_take_snapshot,
    ),
    Command(
        id="vm.chain_health",
        title="Chain Health…",
        icon="gauge",
        tooltip="How deep its chains are, and what waits to be merged",
        run=show_health,
        state=can_show_health,
    ),
    Command(
        id="snapshot.revert",
        title="Revert To…",
        icon="revert",
        tooltip="Put the VM back to this snapshot",
        run=revert_to_snapshot,
        state=can_revert,
        scope=SCOPE,
    ),
    Command(
        id="snapshot.rename",
        title="Rename…",
        icon="edit",
        shortcut="F2",
        run=rename_snapshot,
        state=can_rename,
        scope=SCOPE,
    ),
    Command(
        id="snapshot.group",
        title="Show the Group…",
        icon="group",
        tooltip="The snapshots of other VMs taken at the same instant",
        run=show_group,
        state=can_show_group,
        scope=SCOPE,
    ),
    Command(
        id="snapshot.new_vm",
        title="New VM from Snapshot…",
        icon="vm",
        tooltip="Make a VM that begins as this one was then",
        run=new_vm,
        state=can_make,
        scope=SCOPE,
    ),
    Command(
        id="snapshot.new_template",
        title="New Template from Snapshot…",
        icon="template",
        tooltip="Make a template that VMs are made from",
        run=new_template,
        state=can_make,
        scope=SCOPE,
    ),
    Command(
        id="snapshot.lock",
        title="Lock…",
        icon="lock",
        tooltip="Keep it from being deleted",
        run=lock_snapshots,
        state=can_lock,
        scope=SCOPE,
    ),
    Command(
        id="snapshot.unlock",
        title="Unlock",
        icon="unlock",
        tooltip="Allow to delete it again",
        run=unlock_snapshots,
        state=can_unlock,
        scope=SCOPE,
    ),
    Command(
        id="snapshot.drop_memory",
        title="Drop Memory…",
        icon="memory",
        tooltip="Keep the disks, and free what the memory takes",
        run=drop_memory,
        state=can_drop_memory,
        scope=SCOPE,
    ),
    Command(
        id="snapshot.delete",
        title="Delete…",
        icon="delete",
        shortcut="Del",
        run=delete_snapshots,
        state=can_delete,
        scope=SCOPE,
    ),
)


def register(workspace: Workspace) -> None:
    """Add the commands to the workspace."""
    workspace.commands.add(*with_xe(COMMANDS, LINES))
