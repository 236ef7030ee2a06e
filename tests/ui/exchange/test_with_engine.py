"""The wizards over the real engine: with a simulated guest, and once with QEMU from a snapshot to a booted import."""

from __future__ import annotations

import shutil
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

import pytest
from PySide6.QtCore import QMimeData, QPointF, Qt, QUrl
from PySide6.QtGui import QDropEvent
from PySide6.QtWidgets import QApplication

from app.api import VBD, VDI, VM, Ref, VMPowerState
from app.client.exchange import MANIFEST_SUFFIX
from app.hypervisor.driver import Driver
from app.hypervisor.simulated import SimulatedDriver
from tests.engine.sample_guest.machine import QEMU
from tests.engine.xva.test_appliances import OVF, packed_as, vmdk
from tests.support.engine import Bench, open_bench
from tests.support.guest_disk import read_counter
from tests.support.qcow2_view import BLOCK, view
from tests.ui.machines.windows import close_window, opened, until
from ui.base import theme
from ui.base.dialogs import ErrorDialog
from ui.base.history import Entry
from ui.base.settings import Settings
from ui.base.wizard import Wizard
from ui.base.workspace import Workspace
from ui.exchange.contents import look_into
from ui.exchange.disk_dialog import ExportDiskDialog
from ui.exchange.export_wizard import ExportWizard
from ui.exchange.import_wizard import ImportWizard
from ui.exchange.several_wizard import SeveralWizard
from ui.exchange.target import FOLDER
from ui.main_window import MainWindow


class Desk:
    """The whole window over an engine, and a folder for files."""

    def __init__(self, bench: Bench, window: MainWindow, folder: Path) -> None:
        self.bench, self.window, self.folder = bench, window, folder
        self.workspace = window.workspace

    async def begun(self, command: str, ref: str, cls: str = "VM") -> None:
        """Run a command as soon as the cache says that it can be."""
        await until(lambda: self.workspace.commands.state(command, ((cls, ref),)).enabled)
        self.workspace.commands.run(command, ((cls, ref),))

    async def export(self, command: str, ref: str, packed: str = "zstd", *, manifest: bool = False) -> Path:
        """Through the export wizard, and wait for the file."""
        await self.begun(command, ref)
        wizard = await opened(ExportWizard)
        await until(wizard.contents.is_complete)
        wizard.packing.cards[packed].setChecked(True)  # type: ignore[index]
        wizard.packing.manifest.setChecked(manifest)
        path = wizard.file.target.path()
        self.finish(wizard)
        entry = await self.ended()
        assert (entry.state, entry.file) == ("done", str(path)), entry.error
        return path

    async def drop(self, path: Path) -> ImportWizard:
        """Drop a file on the window, and wait until it has been looked into."""
        data = QMimeData()
        data.setUrls([QUrl.fromLocalFile(str(path))])
        copy, left, plain = Qt.DropAction.CopyAction, Qt.MouseButton.LeftButton, Qt.KeyboardModifier.NoModifier
        self.window.dropEvent(QDropEvent(QPointF(500, 300), copy, data, left, plain))
        wizard = await opened(ImportWizard)
        await until(lambda: wizard.file.contents or wizard.file.verdict.isVisible())
        return wizard

    def finish(self, wizard: Wizard) -> None:
        """Go through the rest and press the last button."""
        while not wizard.is_last():
            before = wizard.page
            wizard.go_next()
            assert wizard.page is not before, wizard.page.why_incomplete()
        wizard.next.click()

    async def ended(self) -> Entry:
        """The newest operation, once nothing runs any more."""
        await until(lambda: not self.workspace.commands.running and not self.workspace._tasks)
        return self.workspace.history.entries[-1]

    def leftovers(self) -> list[str]:
        """What lies in the folder."""
        return sorted(path.name for path in self.folder.iterdir())


@asynccontextmanager
async def open_desk(qapp: QApplication, data_dir: Path, driver: Driver | None) -> AsyncIterator[Desk]:
    theme.apply(qapp, theme.Theme.LIGHT)
    folder = data_dir.parent / "files"
    folder.mkdir()
    async with open_bench(data_dir, driver) as bench:
        settings = Settings(data_dir.parent / "settings.ini")
        settings.put(FOLDER, str(folder))
        window = MainWindow(Workspace(bench.session, bench.cache, settings))
        window.show()
        try:
            yield Desk(bench, window, folder)
        finally:
            await close_window(window)


@pytest.mark.skipif(shutil.which(QEMU) is None, reason=f"{QEMU} is not installed")
async def test_a_snapshot_of_a_running_guest_leaves_and_comes_back(qapp: QApplication, data_dir: Path) -> None:
    async with open_desk(qapp, data_dir, None) as desk:
        session = desk.bench.session
        vm = await desk.bench.sample_vm("billing-db", nic=True)
        await session.VM.start(vm)
        await until(lambda: read_counter(desk.bench.image(vm)).counter > 2)
        snapshot = await session.VM.snapshot(vm, "Before the upgrade")
        kept = read_counter(desk.bench.image(snapshot)).counter
        path = await desk.export("snapshot.export", snapshot)
        assert desk.leftovers() == ["Before the upgrade.xva"]
        await session.VM.hard_shutdown(vm)
        wizard = await desk.drop(path)
        found = wizard.file.contents
        assert found is not None
        assert (found.what, found.compressed, found.networks) == ("template", "zstd", ("NAT",))
        desk.finish(wizard)
        await desk.ended()
        (template,) = [ref for cls, ref in desk.window.pane.tree.selection() if cls == "VM"]
        again = await session.VM.clone(Ref[VM](template), "again")
        await session.VM.provision(again)
        assert read_counter(desk.bench.image(template)).counter == kept
        await session.VM.start(again)
        await until(lambda: read_counter(desk.bench.image(again)).counter > kept)


async def test_files_come_back_and_damaged_ones_do_not(qapp: QApplication, data_dir: Path) -> None:
    async with open_desk(qapp, data_dir, SimulatedDriver()) as desk:
        vm = await desk.bench.sample_vm("web", disks=2)
        path = await desk.export("vm.export", vm, "none", manifest=True)
        await comes_back_and_starts(desk, vm, path)
        await is_refused_when_damaged(desk, path)
        await one_disk_goes_and_comes(desk, vm)
        await an_appliance_comes_in(desk)


async def comes_back_and_starts(desk: Desk, vm: str, path: Path) -> None:
    wizard = await desk.drop(path)
    assert wizard.identity.words() == "web (2)"
    assert wizard.file.inside.facts.value("Manifest").startswith("Signed by the key ")
    assert "has this identity here already" in wizard.identity.same.accessibleDescription()
    wizard.finish_page.start.setChecked(True)
    desk.finish(wizard)
    assert (await desk.ended()).state == "done"
    ((cls, made),) = desk.window.pane.tree.selection()
    record = desk.bench.vm(made)
    assert (cls, record.name_label, len(record.VBDs)) == ("VM", "web (2)", 2)
    assert record.power_state is VMPowerState.Running
    assert record.uuid != desk.bench.vm(vm).uuid


async def is_refused_when_damaged(desk: Desk, path: Path) -> None:
    before = set(desk.bench.store.all(VM)), set(desk.bench.store.all(VDI))
    content = bytearray(path.read_bytes())
    path.with_name(f"{path.name}{MANIFEST_SUFFIX}").unlink()
    place = 100_000
    content[place : place + 1000] = bytes(255 - byte for byte in content[place : place + 1000])
    path.write_bytes(content)
    desk.finish(await desk.drop(path))
    dialog = await opened(ErrorDialog)
    assert "damaged" in dialog.accessibleDescription()
    dialog.reject()
    assert (await desk.ended()).state == "failed"
    assert (set(desk.bench.store.all(VM)), set(desk.bench.store.all(VDI))) == before


async def one_disk_goes_and_comes(desk: Desk, vm: str) -> None:
    devices = [desk.bench.store.get(VBD, ref) for ref in desk.bench.vm(vm).VBDs]
    disk = next(vbd.VDI for vbd in devices if vbd.userdevice == "0")
    await desk.begun("vdi.export", disk, "VDI")
    dialog = await opened(ExportDiskDialog)
    path = dialog.target.path()
    dialog.accept()
    assert (await desk.ended()).state == "done"
    before = set(desk.bench.store.all(VDI))
    desk.finish(await desk.drop(path))
    assert (await desk.ended()).state == "done"
    (made,) = set(desk.bench.store.all(VDI)) - before
    sizes = {desk.bench.store.get(VDI, ref).virtual_size for ref in (made, disk)}
    assert len(sizes) == 1


async def an_appliance_comes_in(desk: Desk) -> None:
    content, packed = vmdk(desk.folder)
    path = packed_as(desk.folder, {"a.ovf": OVF.format(href="d.vmdk").encode(), "d.vmdk": packed}, ova=True)
    wizard = await desk.drop(path)
    assert (wizard.summary.value("Name"), wizard.summary.value("Networks")) == ("Appliance", "NAT")
    wizard.identity.name.setText("Firewall")
    desk.finish(wizard)
    assert (await desk.ended()).state == "done"
    ((_, made),) = desk.window.pane.tree.selection()
    record = desk.bench.vm(made)
    assert (record.name_label, len(record.VIFs)) == ("Firewall", 1)
    seen = view(desk.bench.image(made))
    assert (seen.size, seen.blocks[0]) == (len(content), content[:BLOCK])


async def test_several_leave_as_a_file_each(qapp: QApplication, data_dir: Path) -> None:
    async with open_desk(qapp, data_dir, SimulatedDriver()) as desk:
        running = await desk.bench.sample_vm("web", disks=2)
        halted = await desk.bench.sample_vm("db")
        await desk.bench.session.VM.start(running)
        chosen = (("VM", running), ("VM", halted))
        await until(lambda: desk.bench.cache.get(VM, running).power_state is VMPowerState.Running)  # type: ignore[union-attr]
        desk.workspace.commands.run("vm.export", chosen)
        wizard = await opened(SeveralWizard)
        wizard.packing.manifest.setChecked(True)
        paths = wizard.files.paths().values()
        desk.finish(wizard)
        entry = await desk.ended()
        assert (entry.title, entry.state, entry.error) == ("Exporting 2 VMs", "done", None)
        assert [path.name for path in paths] == ["web.xva", "db.xva"]
        assert desk.leftovers() == ["db.xva", f"db.xva{MANIFEST_SUFFIX}", "web.xva", f"web.xva{MANIFEST_SUFFIX}"]
        kinds = [await look_into(desk.bench.session, path) for path in paths]
        assert [(found.what, found.name, len(found.disks), found.manifest) for found in kinds] == [
            ("template", "Export of web", 2, "signed"),
            ("VM", "db", 1, "signed"),
        ]


async def test_of_several_that_are_cancelled_the_finished_stay(qapp: QApplication, data_dir: Path) -> None:
    async with open_desk(qapp, data_dir, SimulatedDriver()) as desk:
        vms = [await desk.bench.sample_vm(name) for name in ("web", "db", "mail")]
        chosen = tuple(("VM", vm) for vm in vms)
        await until(lambda: desk.workspace.commands.state("vm.export", chosen).enabled)
        desk.workspace.commands.run("vm.export", chosen)

        def cancel(entry: Entry) -> None:
            if entry.words.startswith("2 of 3, db: writing") and not entry.cancel_asked:
                desk.workspace.spawn(desk.workspace.cancel(entry), "Cancel")

        desk.workspace.history.changed.connect(cancel)
        desk.finish(await opened(SeveralWizard))
        entry = await desk.ended()
        assert (entry.state, desk.leftovers()) == ("cancelled", ["web.xva"])
        assert [desk.bench.vm(vm).current_operations for vm in vms] == [{}, {}, {}]
