"""The wizard, the commands and the console over the real engine: with a simulated guest, and once with QEMU."""

from __future__ import annotations

import shutil
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

import pytest
from PySide6.QtCore import Qt
from PySide6.QtTest import QTest
from PySide6.QtWidgets import QApplication
from pytestqt.qtbot import QtBot

from app.api import NULL, SR, VBD, VDI, VM, Failure, Ref, VBDType, VMPowerState
from app.config import load
from app.hypervisor.driver import Driver
from app.hypervisor.simulated import SimulatedDriver
from tests.engine.sample_guest.machine import QEMU
from tests.support.engine import Bench, open_bench
from tests.support.guest_disk import read_counter
from tests.ui.machines.windows import open_dialogs, opened, until
from ui.base import theme
from ui.base.dialogs import ErrorDialog
from ui.base.settings import Settings
from ui.base.workspace import Workspace
from ui.machines import commands
from ui.machines.console_tab import ConsoleTab
from ui.machines.delete_vm import DeleteDialog
from ui.machines.new_vm_wizard import NewVmWizard

GIB = 1024**3
MIB = 1024**2
IMAGE = Path(__file__).resolve().parents[3] / "resources" / "sample_guest" / "sample-guest.img"


class Desk:
    """A workspace on an engine."""

    def __init__(self, bench: Bench, workspace: Workspace) -> None:
        self.bench = bench
        self.workspace = workspace

    async def wizard(self) -> NewVmWizard:
        self.workspace.commands.run("vm.new", ())
        return await opened(NewVmWizard)

    async def finish(self, wizard: NewVmWizard) -> None:
        """Go through the rest, press Create VM, and wait until all is done."""
        while not wizard.is_last():
            before = wizard.page
            wizard.go_next()
            assert wizard.page is not before, wizard.page.why_incomplete()
        wizard.next.click()
        await until(lambda: not self.workspace._tasks and not self.workspace.commands.running)

    def vm(self, name: str) -> tuple[Ref[VM], VM]:
        found = {vm.name_label: (ref, vm) for ref, vm in self.bench.store.all(VM).items() if not vm.is_a_template}
        return found[name]

    def drives(self, vm: VM) -> list[tuple[VBD, VDI | None]]:
        """Its block devices by number."""
        vbds = sorted((self.bench.store.get(VBD, ref) for ref in vm.VBDs), key=lambda vbd: int(vbd.userdevice))
        return [(vbd, None if vbd.empty else self.bench.store.get(VDI, vbd.VDI)) for vbd in vbds]

    def leftovers(self) -> tuple[int, int]:
        """How many VMs and disks there are."""
        store = self.bench.store
        vms = [vm for vm in store.all(VM).values() if not vm.is_default_template]
        isos = {ref for ref, sr in store.all(SR).items() if sr.type == "iso"}
        return len(vms), len([vdi for vdi in store.all(VDI).values() if vdi.SR not in isos and vdi.managed])


@asynccontextmanager
async def open_desk(data_dir: Path, driver: Driver | None) -> AsyncIterator[Desk]:
    async with open_bench(data_dir, driver) as bench:
        workspace = Workspace(bench.session, bench.cache, Settings(data_dir.parent / "settings.ini"))
        commands.register(workspace)
        try:
            yield Desk(bench, workspace)
        finally:
            await workspace.commands.stop()
            await workspace.close()


@pytest.fixture
async def desk(qapp: QApplication, data_dir: Path) -> AsyncIterator[Desk]:
    theme.apply(qapp, theme.Theme.LIGHT)
    async with open_desk(data_dir, SimulatedDriver()) as made:
        yield made


async def test_a_vm_to_install_into(desk: Desk, data_dir: Path) -> None:
    (load(data_dir).iso_dir / "debian.iso").write_bytes(b"\0" * 2 * MIB)
    wizard = await desk.wizard()
    wizard.source.cards["iso"].click()
    wizard.source.isos.rescan.click()
    await until(lambda: wizard.source.isos.table.model().rowCount())
    wizard.source.isos.table.selectRow(0)
    wizard.name_page.description.setPlainText("For trials")
    wizard.hardware.cpus.setValue(1)
    wizard.hardware.memory.setValue(512)
    await desk.finish(wizard)
    ref, vm = desk.vm("debian")
    assert (vm.power_state, vm.name_description) == (VMPowerState.Running, "For trials")
    assert (vm.VCPUs_at_startup, vm.memory_static_max, vm.platform["disk-bus"]) == (1, 512 * MIB, "sata")
    (disk, vdi), (drive, iso) = desk.drives(vm)
    assert vdi is not None
    assert (disk.type, vdi.virtual_size, "owner" in disk.other_config) == (VBDType.Disk, 20 * GIB, True)
    assert iso is not None
    assert (drive.type, iso.location) == (VBDType.CD, "debian.iso")
    assert len(vm.VIFs) == 1
    assert [(e.title, e.state) for e in desk.workspace.history.entries][-1] == ("Starting debian", "done")
    assert desk.bench.cache.get(VM, ref) is not None


async def test_a_vm_from_an_image_and_its_end(desk: Desk, tmp_path: Path) -> None:
    raw = tmp_path / "old.img"
    raw.write_bytes(IMAGE.read_bytes().ljust(4 * MIB, b"\0"))
    wizard = await desk.wizard()
    wizard.source.cards["image"].click()
    wizard.source.image.path.setText(str(raw))
    await until(lambda: wizard.source.image.verdict.isVisible())
    assert "raw image: a disk of 4\u00a0MiB" in wizard.source.image.verdict.sentence()
    wizard.finish_page.start.setChecked(False)
    await desk.finish(wizard)
    ref, vm = desk.vm("old")
    (disk, vdi), (drive, none) = desk.drives(vm)
    assert vdi is not None
    assert (vdi.virtual_size, disk.bootable, drive.empty, none) == (4 * MIB, True, True, None)
    assert (vm.power_state, drive.VDI) == (VMPowerState.Halted, NULL)
    await until(lambda: desk.workspace.commands.state("vm.delete", (("VM", ref),)).enabled)
    desk.workspace.commands.run("vm.delete", (("VM", ref),))
    (await opened(DeleteDialog)).accept()
    await until(lambda: not desk.workspace.commands.running)
    assert desk.leftovers() == (0, 0)
    assert raw.exists()


async def test_a_refused_image_says_why(desk: Desk, tmp_path: Path) -> None:
    wizard = await desk.wizard()
    wizard.source.cards["image"].click()
    wizard.source.image.path.setText(str(tmp_path / "nothing.qcow2"))
    await until(lambda: wizard.source.image.verdict.isVisible())
    assert not wizard.next.isEnabled()
    assert wizard.source.image.verdict.sentence() == wizard.next.toolTip() != ""
    wizard.reject()
    await until(lambda: not desk.workspace.commands.running)


@pytest.mark.parametrize("failing", ["provision", "VBD", "VIF"])
async def test_a_failure_leaves_no_vm_and_no_disk(
    desk: Desk, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, failing: str
) -> None:
    raw = tmp_path / "old.img"
    raw.write_bytes(b"\0" * MIB)
    session = desk.bench.session
    refused = Failure("SR_BACKEND_FAILURE_44", "", "No space", "Nothing is free.")

    async def fail(*_: object) -> None:
        raise refused

    where = session.VM if failing == "provision" else session.VBD if failing == "VBD" else session.VIF
    monkeypatch.setattr(where, "provision" if failing == "provision" else "create", fail)
    wizard = await desk.wizard()
    wizard.source.cards["image"].click()
    wizard.source.image.path.setText(str(raw))
    await until(lambda: wizard.source.image.facts)
    while not wizard.is_last():
        wizard.go_next()
    wizard.next.click()
    dialog = await opened(ErrorDialog)
    assert "was removed again" in dialog.accessibleDescription()
    dialog.reject()
    await until(lambda: not desk.workspace._tasks)
    assert desk.leftovers() == (0, 0)
    assert not open_dialogs(ErrorDialog)


@pytest.mark.skipif(shutil.which(QEMU) is None, reason=f"{QEMU} is not installed")
async def test_the_sample_guest_is_made_seen_and_typed_into(qapp: QApplication, qtbot: QtBot, data_dir: Path) -> None:
    theme.apply(qapp, theme.Theme.LIGHT)
    async with open_desk(data_dir, None) as desk:
        await desk.finish(await desk.wizard())
        ref, vm = desk.vm("Sample guest")
        assert vm.power_state is VMPowerState.Running
        tab = ConsoleTab(desk.workspace)
        qtbot.addWidget(tab)
        tab.resize(800, 600)
        tab.show()
        tab.activateWindow()
        tab.show_object("VM", ref)
        await until(lambda: tab.link.client)
        await until(lambda: tab.link.client is not None and tab.link.client.extended_keys)
        await until(lambda: read_counter(desk.bench.image(ref)).counter > 2)
        tab.screen_view.setFocus()
        QTest.keyClicks(tab.screen_view, "hi 2")
        QTest.keyClick(tab.screen_view, Qt.Key.Key_Backspace)
        QTest.keyClicks(tab.screen_view, "there")
        await until(lambda: read_counter(desk.bench.image(ref)).note == "hi there")
        await desk.bench.session.VM.hard_shutdown(ref)
        await until(lambda: tab.empty_act.isVisible())
        assert tab.empty.sentence.text() == "This VM is off."
        tab.hide()
