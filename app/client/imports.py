"""Importing .xva files."""

from __future__ import annotations

from pathlib import Path

from app.api import VM, Ref
from app.client.session import Session
from app.client.transfer_types import ImportOptions, Report, XvaContents, no_report


async def inspect_xva(path: Path) -> XvaContents:
    """Read what an .xva file says of itself.

    :raise Failure: IMPORT_ERROR_GENERIC, IMPORT_ERROR_PREMATURE_EOF, IMPORT_ERROR_UNEXPECTED_FILE: it is none.
    :raise OSError: it cannot be read.
    """
    raise NotImplementedError


async def import_xva(
    session: Session, path: Path, options: ImportOptions | None = None, report: Report = no_report
) -> tuple[Ref[VM], ...]:
    """Take an .xva file in, or what a pipe delivers; answer the new VMs or templates.

    :raise Failure: IMPORT_ERROR…, VM_TO_IMPORT_IS_NOT_NEWER_VERSION, SR_BACKEND_FAILURE_44 and the like.
    :raise OSError: the file cannot be read.
    """
    raise NotImplementedError
