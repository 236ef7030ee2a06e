"""Pictures of export and import, to be looked at: ``python -m tests.ui.exchange.pictures folder [what…]``."""

from __future__ import annotations

import asyncio
import sys
import tempfile
from collections.abc import Callable
from dataclasses import replace
from functools import partial
from pathlib import Path

import pytest
import qasync
from PySide6.QtCore import QEvent
from PySide6.QtWidgets import QApplication, QWidget

from app.api import SR, VDI, VM, Failure, Network, VMOperation, VMPowerState
from tests.ui.exchange.standin import PLAN, XVA, Transfers
from tests.ui.machines.world import CHINESE_NAME, GIB, LONG_NAME, World, billing_db, make_world
from ui.base import theme
from ui.exchange.disk_dialog import ExportDiskDialog
from ui.exchange.export_wizard import ExportWizard
from ui.exchange.exporting_several import results_dialog
from ui.exchange.import_wizard import ImportWizard
from ui.exchange.several_wizard import SeveralWizard
from ui.exchange.state_dialog import StateDialog
from ui.exchange.subject import Subject, subject_of
from ui.exchange.target import FOLDER
from ui.widgets.results import Result

Shot = Callable[[World, Transfers], QWidget]


def exportable(world: World, ref: str) -> Subject:
    record = world.engine.cache.get(VM, ref)
    assert record is not None
    world.engine.change(VM, ref, allowed_operations=record.allowed_operations | {VMOperation.export})
    found = subject_of(world.engine.cache, ref)
    assert found is not None
    return found


def _export(world: World, page: int, snapshot: bool = False, name: str = "billing-db") -> ExportWizard:
    vm = billing_db(world, name)
    world.set(vm, power_state=VMPowerState.Halted)
    ref = sorted(world.vm(vm).snapshots)[0] if snapshot else vm
    wizard = ExportWizard(world.workspace, exportable(world, ref))
    wizard.contents.show_plan(PLAN)
    wizard.file.target.propose(f"{name[:40]}.xva")
    wizard._plan = PLAN
    wizard.go_to(page)
    return wizard


def export_contents(world: World, _transfers: Transfers) -> QWidget:
    return _export(world, 0)


def export_suspended(world: World, transfers: Transfers) -> QWidget:
    transfers.plan = replace(PLAN, memory_bytes=2 * GIB)
    wizard = _export(world, 0, name=LONG_NAME)
    wizard.contents.show_plan(transfers.plan)
    return wizard


def export_refused(world: World, transfers: Transfers) -> QWidget:
    transfers.plan = Failure("VM_BAD_POWER_STATE", "billing-db", "halted", "running")
    vm = billing_db(world)
    return ExportWizard(world.workspace, exportable(world, vm))


def export_packing(world: World, _transfers: Transfers) -> QWidget:
    wizard = _export(world, 1, snapshot=True)
    wizard.packing.manifest.setChecked(True)
    return wizard


def export_file(world: World, _transfers: Transfers) -> QWidget:
    return _export(world, 2)


def export_tight(world: World, transfers: Transfers) -> QWidget:
    transfers.free = 9 * GIB
    return _export(world, 2)


def export_full(world: World, transfers: Transfers) -> QWidget:
    transfers.free = 9 * GIB
    wizard = _export(world, 0)
    wizard.packing.cards["none"].setChecked(True)
    wizard.go_to(2)
    return wizard


def export_finish(world: World, _transfers: Transfers) -> QWidget:
    wizard = _export(world, 0, snapshot=True)
    wizard.packing.manifest.setChecked(True)
    wizard.go_to(3)
    return wizard


def several(world: World, page: int, vms: int = 5) -> SeveralWizard:
    """VMs in several states and a template, some with long names."""
    names = ["web1", "web2", CHINESE_NAME, LONG_NAME, *(f"node {number}" for number in range(vms - 4))]
    made = [world.add_vm(name, VMPowerState.Running if name == "web2" else VMPowerState.Halted) for name in names]
    for number, vm in enumerate(made):
        world.add_disk(vm, "system", 20 * GIB, (2 + number) * GIB)
    world.busy(made[2], VMOperation.revert)
    refs = [*made, world.add_template("Debian 13 base")]
    wizard = SeveralWizard(world.workspace, refs)
    wizard.packing.cards["none"].setChecked(True)
    wizard.go_to(page)
    return wizard


def several_contents(world: World, _transfers: Transfers) -> QWidget:
    return several(world, 0)


def several_packing(world: World, _transfers: Transfers) -> QWidget:
    return several(world, 1)


def several_files(world: World, _transfers: Transfers) -> QWidget:
    wizard = several(world, 2, 12)
    (wizard.files.place().folder / "web2.xva.part").touch()
    wizard.files.entered()
    return wizard


def several_conflict(world: World, transfers: Transfers) -> QWidget:
    wizard = several(world, 2)
    model = wizard.files.model
    row = next(row for row in range(model.rowCount()) if model.item(row).name == "web2.xva")
    model.setData(model.index(row, 1), "WEB1")
    wizard.files.table.edit(model.index(row, 1))
    return wizard


def several_full(world: World, transfers: Transfers) -> QWidget:
    transfers.free = 9 * GIB
    return several(world, 2)


def several_snapshots(world: World, _transfers: Transfers) -> QWidget:
    vm = billing_db(world)
    refs = sorted(world.vm(vm).snapshots)
    for ref in refs:
        exportable(world, ref)
    wizard = SeveralWizard(world.workspace, refs)
    wizard.go_to(2)
    return wizard


def several_checkpoints(world: World, _transfers: Transfers) -> QWidget:
    vm, orphan = billing_db(world), world.add_orphan("Before the move", memory=True)
    world.engine.change(VM, orphan, suspend_VDI=world.add_disk(orphan, "memory", 2 * GIB, 2 * GIB))
    refs = [*sorted(world.vm(vm).snapshots), orphan]
    return SeveralWizard(world.workspace, [exportable(world, ref).ref for ref in refs])


def several_finish(world: World, _transfers: Transfers) -> QWidget:
    wizard = several(world, 0)
    wizard.packing.cards["zstd"].setChecked(True)
    wizard.packing.manifest.setChecked(True)
    wizard.go_to(3)
    return wizard


def several_small(world: World, _transfers: Transfers) -> QWidget:
    wizard = several(world, 2, 30)
    wizard.resize(820, 520)
    return wizard


def several_results(_world: World, _transfers: Transfers) -> QWidget:
    found = [
        Result("web1", "web1.xva: 2.1 GiB, verified"),
        Result("web2", "There is no space left on the drive.", failed=True),
        Result(LONG_NAME, f"{LONG_NAME}.xva: 5 GiB, verified. An interrupted export was there; it began anew."),
        Result(CHINESE_NAME, "It is being reverted.", left_out=True),
    ]
    return results_dialog(found, "/srv/exports/web1.xva", None)


def state(world: World, _transfers: Transfers) -> QWidget:
    vm = billing_db(world)
    dialog = StateDialog(world.workspace, exportable(world, vm))
    dialog.before.setChecked(True)
    return dialog


def disk(world: World, _transfers: Transfers) -> QWidget:
    billing_db(world)
    record = next(vdi for vdi in world.engine.cache.all(VDI).values() if "data" in vdi.name_label)
    return ExportDiskDialog(world.workspace, record)


def _import(world: World, transfers: Transfers, page: int) -> ImportWizard:
    world.engine.put(Network(name_label="Backup"))
    wizard = ImportWizard(world.workspace, "/srv/exports/billing-db.xva")
    asyncio.get_event_loop().run_until_complete(asyncio.sleep(0.05))
    wizard.go_to(page)
    return wizard


def import_empty(world: World, _transfers: Transfers) -> QWidget:
    return ImportWizard(world.workspace)


def import_file(world: World, transfers: Transfers) -> QWidget:
    return _import(world, transfers, 0)


def import_damaged(world: World, transfers: Transfers) -> QWidget:
    transfers.xva = Failure("IMPORT_ERROR_PREMATURE_EOF")
    return _import(world, transfers, 0)


def import_storage(world: World, transfers: Transfers) -> QWidget:
    world.engine.change(SR, world.sr, physical_utilisation=380 * GIB)
    return _import(world, transfers, 1)


def import_networks(world: World, transfers: Transfers) -> QWidget:
    return _import(world, transfers, 2)


def import_name(world: World, transfers: Transfers) -> QWidget:
    world.add_vm("billing-db", uuid=XVA.uuid)
    return _import(world, transfers, 3)


def import_finish(world: World, transfers: Transfers) -> QWidget:
    transfers.xva = replace(XVA, name=CHINESE_NAME)
    return _import(world, transfers, 4)


SHOTS: dict[str, Shot] = {
    "export-contents": export_contents,
    "export-suspended": export_suspended,
    "export-refused": export_refused,
    "export-packing": export_packing,
    "export-file": export_file,
    "export-tight": export_tight,
    "export-full": export_full,
    "export-finish": export_finish,
    "export-state": state,
    "export-disk": disk,
    "several-contents": several_contents,
    "several-packing": several_packing,
    "several-files": several_files,
    "several-conflict": several_conflict,
    "several-full": several_full,
    "several-snapshots": several_snapshots,
    "several-checkpoints": several_checkpoints,
    "several-finish": several_finish,
    "several-small": several_small,
    "several-results": several_results,
    "import-empty": import_empty,
    "import-file": import_file,
    "import-damaged": import_damaged,
    "import-storage": import_storage,
    "import-networks": import_networks,
    "import-name": import_name,
    "import-finish": import_finish,
}


def take(app: QApplication, folder: Path, names: list[str]) -> None:
    loop = qasync.QEventLoop(app)
    asyncio.set_event_loop(loop)
    for chosen in (theme.Theme.LIGHT, theme.Theme.DARK):
        theme.apply(app, chosen)
        for name in names or SHOTS:
            with tempfile.TemporaryDirectory() as settings, pytest.MonkeyPatch.context() as patch:
                transfers = Transfers()
                transfers.install(patch)
                world = make_world(Path(settings))
                world.workspace.settings.put(FOLDER, settings)
                _grab(app, loop, partial(SHOTS[name], world, transfers), folder / f"{name}-{chosen.value}.png")
    loop.close()


def _grab(app: QApplication, loop: qasync.QEventLoop, make: Callable[[], QWidget], target: Path) -> None:
    asyncio._set_running_loop(loop)  # what a widget begins while it is made waits for the loop
    try:
        widget = make()
    finally:
        asyncio._set_running_loop(None)
    widget.show()
    loop.run_until_complete(asyncio.sleep(0.1))
    widget.grab().save(str(target))
    widget.close()
    widget.deleteLater()
    app.sendPostedEvents(None, QEvent.Type.DeferredDelete)


def main() -> None:
    app = QApplication.instance() or QApplication([])
    assert isinstance(app, QApplication)
    folder = Path(sys.argv[1])
    folder.mkdir(parents=True, exist_ok=True)
    take(app, folder, sys.argv[2:])


if __name__ == "__main__":
    main()
