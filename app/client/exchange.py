"""Exports and imports as the desktop and xe call them: .xva files, single disks, appliances.

Every function here may be cancelled by cancelling its coroutine, and leaves nothing behind then: no file, no VM, no
disk. An export that a lost connection or a crash interrupts keeps its `.part` where it can go on from it. `report` is
called on the event loop that awaits, some ten times a second and at the end of each stage.
"""

from app.client.appliances import import_appliance, inspect_appliance
from app.client.disk_transfers import export_disk, import_disk
from app.client.exports import export_vm, free_bytes, plan_export, proposed_name
from app.client.imports import import_xva, inspect_xva
from app.client.transfer_types import (
    MANIFEST_SUFFIX,
    PART_SUFFIX,
    ApplianceContents,
    Compression,
    ContainedDisk,
    DiskFormat,
    ExportOptions,
    ExportPlan,
    ExportResult,
    ImportOptions,
    Progress,
    Report,
    Stage,
    XvaContents,
    no_report,
)

__all__ = [
    "MANIFEST_SUFFIX",
    "PART_SUFFIX",
    "ApplianceContents",
    "Compression",
    "ContainedDisk",
    "DiskFormat",
    "ExportOptions",
    "ExportPlan",
    "ExportResult",
    "ImportOptions",
    "Progress",
    "Report",
    "Stage",
    "XvaContents",
    "export_disk",
    "export_vm",
    "free_bytes",
    "import_appliance",
    "import_disk",
    "import_xva",
    "inspect_appliance",
    "inspect_xva",
    "no_report",
    "plan_export",
    "proposed_name",
]
