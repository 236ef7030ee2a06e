"""A stand-in for the client's transfers: it notes what is asked, waits as long as a test wants, and reports."""

from __future__ import annotations

import asyncio
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from app.api import VDI, VM, Ref
from app.client import Session, exchange
from app.client.exchange import (
    ApplianceContents,
    ContainedDisk,
    DiskFormat,
    ExportOptions,
    ExportPlan,
    ExportResult,
    ImportOptions,
    Progress,
    Report,
    XvaContents,
)
from tests.ui.machines.world import GIB, MIB

MADE: Ref[VM] = Ref("OpaqueRef:made")
DISK: Ref[VDI] = Ref("OpaqueRef:disk")
WRITING = Progress("writing", 3 * GIB, 12 * GIB, 120 * MIB, 77.0)
PLAN = ExportPlan("billing-db.xva", 220 * GIB, 12 * GIB, 2)
XVA = XvaContents(
    "billing-db",
    is_a_template=False,
    disks=(ContainedDisk("billing-db system", 20 * GIB), ContainedDisk("billing-db data", 200 * GIB)),
    nics=("Pool-wide network 0", "Backup"),
    version="XenServer 8.4.0",
    compressed="zstd",
    size=4 * GIB + 300 * MIB,
    metadata_only=False,
    vcpus=2,
    memory_bytes=4 * GIB,
    uuid="11111111-2222-3333-4444-555555555555",
)
APPLIANCE = ApplianceContents(
    "Firewall", (ContainedDisk("disk1", 8 * GIB),), ("LAN", "WAN"), 1, GIB, 700 * MIB, notes=("Its sound is left out.",)
)


@dataclass
class Transfers:
    """What was asked for, and what is answered. `go` lets a transfer that reported once go on."""

    plan: ExportPlan | Exception = PLAN
    xva: XvaContents | Exception = XVA
    appliance: ApplianceContents = APPLIANCE
    error: Exception | None = None
    free: int = 200 * GIB
    made: Ref[VM] = MADE
    disk: Ref[VDI] = DISK
    first: Progress = WRITING
    asked: list[tuple[Any, ...]] = field(default_factory=list)
    go: asyncio.Event = field(default_factory=asyncio.Event)

    async def plan_export(self, _session: Session, vm: Ref[VM]) -> ExportPlan:
        if isinstance(self.plan, Exception):
            raise self.plan
        return self.plan

    def free_bytes(self, _folder: Path) -> int:
        return self.free

    async def export_vm(
        self, _session: Session, vm: Ref[VM], path: Path, options: ExportOptions, report: Report
    ) -> ExportResult:
        await self._work("export", report, vm, path, options)
        return ExportResult(path, 5 * GIB, 42.0, options.verify)

    async def inspect_xva(self, path: Path) -> XvaContents:
        if isinstance(self.xva, Exception):
            raise self.xva
        return self.xva

    async def inspect_appliance(self, path: Path) -> ApplianceContents:
        return self.appliance

    async def import_xva(
        self, _session: Session, path: Path, options: ImportOptions, report: Report
    ) -> tuple[Ref[VM], ...]:
        await self._work("import", report, path, options)
        return (self.made,)

    async def import_appliance(self, _session: Session, path: Path, options: ImportOptions, report: Report) -> Ref[VM]:
        await self._work("appliance", report, path, options)
        return self.made

    async def export_disk(
        self, _session: Session, vdi: Ref[VDI], path: Path, disk_format: DiskFormat, report: Report
    ) -> ExportResult:
        await self._work("disk", report, vdi, path, disk_format)
        return ExportResult(path, GIB, 3.0, verified=False)

    async def import_disk(
        self, _session: Session, path: Path, disk_format: DiskFormat, sr: str, name: str, report: Report
    ) -> Ref[VDI]:
        await self._work("import disk", report, path, disk_format, sr, name)
        return self.disk

    async def _work(self, what: str, report: Report, *asked: Any) -> None:
        self.asked.append((what, *asked))
        report(self.first)
        await self.go.wait()
        if self.error is not None:
            raise self.error

    def install(self, patch: Any) -> None:
        """Take the place of the real ones; `patch` as pytest's monkeypatch."""
        for name in (
            "plan_export", "free_bytes", "export_vm", "inspect_xva", "inspect_appliance", "import_xva",
            "import_appliance", "export_disk", "import_disk",
        ):  # fmt: skip
            patch.setattr(exchange, name, getattr(self, name))
