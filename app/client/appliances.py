"""OVA and OVF appliances."""

from __future__ import annotations

from pathlib import Path

from app.api import VM, Ref
from app.client.session import Session
from app.client.transfer_types import ApplianceContents, ImportOptions, Report, no_report


async def inspect_appliance(path: Path) -> ApplianceContents:
    """Read what an .ova or .ovf says of itself. :raise Failure: IMPORT_ERROR_GENERIC. :raise OSError: as above."""
    raise NotImplementedError


async def import_appliance(
    session: Session, path: Path, options: ImportOptions | None = None, report: Report = no_report
) -> Ref[VM]:
    """Make a VM of an .ova or .ovf with its disks. :raise: as `import_xva`."""
    raise NotImplementedError
