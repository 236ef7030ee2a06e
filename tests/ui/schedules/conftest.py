"""A pool with three schedules, four VMs and a history; the engine answers previews as it would."""

from __future__ import annotations

import json
from collections.abc import AsyncIterator, Sequence
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
from PySide6.QtWidgets import QApplication, QMainWindow

from app.api import VM, VMSS, Failure, Ref, VMOperation, VMSSFrequency, VMSSRun, VMSSRunStatus, VMSSType
from tests.support.fake_session import FakeEngine
from ui.base import theme
from ui.base.settings import Settings
from ui.base.workspace import Workspace
from ui.schedules import commands

NOW = datetime(2026, 11, 26, 12, tzinfo=UTC)


class Pool:
    """The engine's table, a workspace over it, and the objects by name."""

    def __init__(self, folder: Path) -> None:
        self.engine = FakeEngine()
        self.workspace = Workspace(self.engine.session(), self.engine.cache, Settings(folder / "settings.ini"))
        self.workspace.window = self.window = QMainWindow()
        self.vms: dict[str, Ref[VM]] = {}
        self.schedules: dict[str, Ref[VMSS]] = {}
        for name in ("billing-db", "web-01", "mail", "快照 server"):
            self.add_vm(name)
        self.add_schedule("Nightly", "billing-db", "web-01", schedule={"hour": "22", "min": "0"})
        self.add_schedule("Hourly", "mail", frequency=VMSSFrequency.hourly, schedule={"min": "15"})
        self.add_schedule("Weekly", enabled=False, frequency=VMSSFrequency.weekly, type=VMSSType.checkpoint)
        self.engine.answer("VMSS.get_preview", self.preview)

    def add_vm(self, name: str) -> Ref[VM]:
        allowed = frozenset({VMOperation.snapshot, VMOperation.checkpoint})
        self.vms[name] = ref = self.engine.put(VM(name_label=name, allowed_operations=allowed))
        return ref

    def add_schedule(self, name: str, *vms: str, **fields: Any) -> Ref[VMSS]:
        members = frozenset(self.vms[vm] for vm in vms)
        ref: Ref[VMSS] = self.engine.put(VMSS(name_label=name, VMs=members, **fields))
        for vm in members:
            self.engine.change(VM, vm, snapshot_schedule=ref)
        self.schedules[name] = ref
        return ref

    def add_run(self, schedule: str, days_ago: float, status: VMSSRunStatus, **fields: Any) -> VMSSRun:
        started = NOW - timedelta(days=days_ago)
        run = VMSSRun(VMSS=self.schedules[schedule], status=status, started=started, slot=started, **fields)
        ref = self.engine.put(run)
        found = self.engine.cache.get(VMSSRun, ref)
        assert found is not None
        return found

    def record(self, schedule: str) -> VMSS:
        found = self.engine.cache.get(VMSS, self.schedules[schedule])
        assert found is not None
        return found

    @staticmethod
    def preview(record: dict[str, Any], vms: Sequence[str], count: int) -> Any:
        """One run a day; from the third on each removes what the run two days before took."""
        if record["schedule"].get("stillframe.cron") == "bad":
            return Failure("INVALID_VALUE", "schedule:stillframe.cron", "bad", "Five fields are needed.")
        runs = []
        for day in range(count):
            slot = NOW + timedelta(days=day, hours=10)
            gone = [f"new:{(slot - timedelta(days=2)).isoformat()}"] if day > 1 else []
            visits = [{"vm": vm, "name": "x", "skip": "", "deletes": gone} for vm in vms]
            runs.append(
                {"slot": slot.isoformat(), "local": slot.isoformat(), "zone": "UTC", "visits": json.dumps(visits)}
            )
        return runs


def result(outcome: str, name: str, **fields: Any) -> str:
    """A VM's result as the log has it."""
    return json.dumps({"outcome": outcome, "vm_name": name, **fields})


@pytest.fixture
async def pool(qapp: QApplication, tmp_path: Path) -> AsyncIterator[Pool]:
    theme.apply(qapp, theme.Theme.LIGHT)
    made = Pool(tmp_path)
    commands.register(made.workspace)
    yield made
    await made.workspace.commands.stop()
    await made.workspace.close()
    await made.engine.close()
