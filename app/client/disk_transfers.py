"""Single disks to and from files."""

from __future__ import annotations

from pathlib import Path

from app.api import SR, VDI, Ref
from app.client.session import Session
from app.client.transfer_types import DiskFormat, ExportResult, Report, no_report


async def export_disk(
    session: Session, vdi: Ref[VDI], path: Path, disk_format: DiskFormat = "raw", report: Report = no_report
) -> ExportResult:
    """Write one disk to the new file `path`. :raise: as `export_vm`."""
    raise NotImplementedError


async def import_disk(
    session: Session,
    path: Path,
    disk_format: DiskFormat,
    sr: Ref[SR] | None = None,
    name: str = "",
    report: Report = no_report,
) -> Ref[VDI]:
    """Make a disk of a file. :raise: as `import_xva`."""
    raise NotImplementedError
