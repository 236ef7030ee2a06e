"""The commands of export and import."""

from __future__ import annotations

from typing import Final

from ui.base.commands import Command
from ui.base.workspace import Workspace
from ui.base.xe_lines import with_xe
from ui.exchange import exporting, importing, subject
from ui.exchange.disk_dialog import export_disk
from ui.exchange.xe_lines import LINES

SNAPSHOTS: Final = "snapshots"
"""The selection of the Snapshots tab."""
DISKS: Final = "sr-disks"
"""The selection of the tables of disks."""

COMMANDS: Final = (
    Command(
        id="pool.import",
        title="&Import…",
        icon="import",
        shortcut="Ctrl+I",
        tooltip="Take in a VM, template or disk from a file",
        run=importing.import_file,
        state=importing.can_import,
    ),
    Command(
        id="vm.export",
        title="E&xport VM…",
        icon="export",
        tooltip="Write it to a file that XenServer reads too; of several a file for each",
        run=exporting.export,
        state=subject.can_export_vm,
    ),
    Command(
        id="template.export",
        title="E&xport Template…",
        icon="export",
        tooltip="Write it to a file that XenServer reads too; of several a file for each",
        run=exporting.export,
        state=subject.can_export_template,
    ),
    Command(
        id="snapshot.export",
        title="Export Snapshot to File…",
        icon="export",
        tooltip="Write it to a file, which is imported as a template; of several a file for each",
        run=exporting.export,
        state=subject.can_export_snapshot,
        scope=SNAPSHOTS,
    ),
    Command(
        id="vdi.export",
        title="&Export Disk…",
        icon="export",
        tooltip="Write it to a file as qcow2, VHD or raw",
        run=export_disk,
        state=subject.can_export_disk,
        scope=DISKS,
    ),
)


def register(workspace: Workspace) -> None:
    """Add the commands to the workspace."""
    workspace.commands.add(*with_xe(COMMANDS, LINES))
