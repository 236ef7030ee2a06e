"""The import wizard: what it shows of a file, what it asks, and what it then has done."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest
from PySide6.QtWidgets import QComboBox, QLineEdit, QWidget

from app.api import SR, VM, Failure, Network, Ref, VMPowerState
from tests.ui.exchange.standin import MADE, XVA, Transfers
from tests.ui.machines.windows import opened, until
from tests.ui.machines.world import GIB, World
from ui.exchange.contents import importable, kind_of
from ui.exchange.export_wizard import ExportWizard
from ui.exchange.import_wizard import ImportWizard
from ui.exchange.subject import subject_of
from ui.widgets.notice import Toast
from ui.widgets.views import TableView

FILE = "/srv/exports/billing-db.xva"


async def wizard_of(world: World, path: str = FILE, sr: str = "") -> ImportWizard:
    chosen = (("file", path), ("SR", sr)) if sr else (("file", path),)
    world.workspace.commands.run("pool.import", chosen)
    wizard = await opened(ImportWizard)
    await until(lambda: wizard.file.contents or wizard.file.verdict.sentence())
    return wizard


def through(wizard: ImportWizard) -> None:
    while not wizard.is_last():
        before = wizard.page
        wizard.go_next()
        assert wizard.page is not before, wizard.page.why_incomplete()


def shown(world: World) -> list[tuple[str, str, str]]:
    found: list[tuple[str, str, str]] = []
    world.workspace.show_requested.connect(lambda *key: found.append(key))
    return found


async def test_a_vm_comes_from_a_file_and_is_chosen(world: World, transfers: Transfers) -> None:
    backup = world.engine.put(Network(name_label="Backup"))
    seen = shown(world)
    wizard = await wizard_of(world)
    assert wizard.file.inside.facts.value("Written by") == "XenServer 8.4.0"
    assert len(wizard.file.inside.model.items) == 2
    through(wizard)
    assert wizard.next.text() == "Import"
    wizard.next.click()
    entry = (await until(world.workspace.history.running))[0]
    assert entry.title == "Importing billing-db"
    world.engine.put(VM(name_label="billing-db"), MADE)
    transfers.go.set()
    await until(lambda: seen)
    (what, path, options) = transfers.asked[0]
    assert (what, path) == ("import", Path(FILE))
    assert (options.sr, options.restore, options.force, options.name) == (world.sr, False, False, "billing-db")
    assert options.networks == {"Pool-wide network 0": backup, "Backup": backup}
    assert seen == [("VM", MADE, "")]
    assert (entry.state, entry.subject) == ("done", ("VM", MADE))
    assert world.engine.called("VM.start", "VM.resume") == []


async def test_whoever_looks_elsewhere_is_not_pulled_away(world: World, transfers: Transfers) -> None:
    seen = shown(world)
    wizard = await wizard_of(world)
    through(wizard)
    wizard.next.click()
    await until(lambda: transfers.asked)
    world.workspace.commands.update((("VM", world.add_vm("web")),))
    transfers.go.set()
    window = world.workspace.window
    assert window is not None
    (said,) = await until(lambda: window.findChildren(Toast))
    assert said.sentence() == "“billing-db” is imported."
    assert seen == []
    said.act.click()
    assert seen == [("VM", MADE, "")]


async def test_it_starts_or_goes_on_afterwards(world: World, transfers: Transfers) -> None:
    world.engine.put(VM(name_label="billing-db", power_state=VMPowerState.Suspended), MADE)
    world.engine.answer("VM.get_record", lambda ref: world.vm(ref))
    transfers.xva = replace(XVA, has_memory_image=True)
    wizard = await wizard_of(world)
    through(wizard)
    assert wizard.finish_page.start.text() == "Let the VM go on afterwards"
    wizard.finish_page.start.setChecked(True)
    wizard.next.click()
    transfers.go.set()
    await until(lambda: world.engine.called("VM.resume"))
    assert world.engine.called("VM.start") == []


async def test_the_identity_is_kept_where_nobody_has_it(world: World, transfers: Transfers) -> None:
    wizard = await wizard_of(world)
    wizard.identity.same.setChecked(True)
    wish = wizard.wish()
    assert wish is not None
    assert wish.restore
    wizard.reject()


async def test_the_identity_of_a_vm_that_is_here_cannot_be_kept(world: World, transfers: Transfers) -> None:
    world.add_vm("billing-db", uuid=XVA.uuid)
    wizard = await wizard_of(world)
    assert not wizard.identity.same.isEnabled()
    assert "has this identity here already" in wizard.identity.same.accessibleDescription()
    assert wizard.identity.words() == "billing-db (2)"
    wizard.reject()


async def test_what_does_not_fit_is_refused(world: World, transfers: Transfers) -> None:
    world.engine.change(SR, world.sr, physical_utilisation=498 * GIB)
    wizard = await wizard_of(world)
    wizard.go_next()
    assert wizard.page is wizard.storage
    assert not wizard.next.isEnabled()
    assert "It does not fit" in wizard.storage.verdict.sentence()
    world.engine.change(SR, world.sr, physical_utilisation=400 * GIB)
    wizard.storage.where.currentIndexChanged.emit(0)
    assert wizard.next.isEnabled()
    wizard.reject()


@pytest.mark.parametrize(
    ("error", "words"),
    [
        (Failure("IMPORT_ERROR_PREAMBLE"), "IMPORT_ERROR_PREAMBLE"),
        (Failure("IMPORT_ERROR_PREMATURE_EOF"), "ends too early"),
        (FileNotFoundError(2, "No such file or directory", FILE), "No such file or directory"),
    ],
)
async def test_a_file_that_is_none_is_refused(world: World, transfers: Transfers, error: Exception, words: str) -> None:
    transfers.xva = error
    wizard = await wizard_of(world)
    assert words in wizard.file.verdict.sentence()
    assert wizard.file.zone.isVisible(), "another file is welcome"
    assert not wizard.next.isEnabled()
    wizard.reject()


async def test_a_template_is_not_started(world: World, transfers: Transfers) -> None:
    transfers.xva = replace(XVA, is_a_template=True, nics=())
    wizard = await wizard_of(world)
    assert wizard.summary.value("Becomes") == "A template"
    assert not wizard.networks.is_relevant()
    through(wizard)
    assert not wizard.finish_page.start.isVisible()
    wizard.reject()


async def test_the_networks_are_asked_for_only_where_there_is_a_choice(world: World, transfers: Transfers) -> None:
    wizard = await wizard_of(world)
    assert not wizard.networks.is_relevant()
    assert set(wizard.networks.networks().values()) == {world.network}
    wizard.reject()


async def test_an_appliance(world: World, transfers: Transfers) -> None:
    wizard = await wizard_of(world, "/srv/fw.ova")
    assert wizard.file.verdict.sentence() == "Its sound is left out."
    assert not wizard.identity.same.isVisibleTo(wizard.identity)
    through(wizard)
    wizard.next.click()
    await until(lambda: transfers.asked)
    assert transfers.asked[0][0] == "appliance"


async def test_a_disk_goes_into_the_chosen_storage(world: World, transfers: Transfers, tmp_path: Path) -> None:
    path = tmp_path / "data.vhd"
    path.write_bytes(b"x" * 512)
    other: Ref[SR] = world.engine.put(SR(name_label="Fast", type="file", physical_size=GIB, physical_utilisation=0))
    facts = {"format": "vpc", "virtual_size": str(GIB // 2), "file_size": "512"}
    world.engine.answer("VDI.inspect_file", facts)
    wizard = await wizard_of(world, str(path), other)
    assert wizard.storage.sr() == other
    through(wizard)
    wizard.next.click()
    await until(lambda: transfers.asked)
    assert transfers.asked == [("import disk", path, "vhd", other, "data")]
    transfers.go.set()


async def test_the_engine_reads_disks_that_the_client_cannot_carry(
    world: World, transfers: Transfers, tmp_path: Path
) -> None:
    path = tmp_path / "data.vmdk"
    path.write_bytes(b"x")
    world.engine.answer("VDI.inspect_file", {"format": "vmdk", "virtual_size": str(GIB), "file_size": "1"})
    wizard = await wizard_of(world, str(path))
    through(wizard)
    wizard.next.click()
    await until(lambda: world.engine.called("VDI.import_file"))
    assert world.engine.called("VDI.import_file") == [(world.sr, str(path), "data")]
    assert transfers.asked == []


@pytest.mark.parametrize(
    ("name", "kind"),
    [
        ("a.xva", "xva"),
        ("A.XVA", "xva"),
        ("a.xva.gz", "xva"),
        ("a.ova", "appliance"),
        ("a.OVF", "appliance"),
        ("a.vmdk", "disk"),
        ("a.txt", None),
        ("xva", None),
    ],
)
def test_the_name_tells_the_kind(name: str, kind: str | None) -> None:
    assert kind_of(Path(name)) == kind


def test_one_file_at_a_time() -> None:
    assert importable(["/a.xva"]) == "/a.xva"
    assert importable(["/a.txt", "/b.ova"]) == "/b.ova"
    assert importable(["/a.xva", "/b.xva"]) == ""
    assert importable([]) == ""


async def test_every_field_has_a_name_for_a_screen_reader(world: World, transfers: Transfers) -> None:
    subject = subject_of(world.engine.cache, world.add_vm("web"))
    assert subject is not None
    importing, exporting = await wizard_of(world), ExportWizard(world.workspace, subject)
    for wizard in (importing, exporting):
        fields: list[QWidget] = [
            *wizard.findChildren(QLineEdit), *wizard.findChildren(QComboBox), *wizard.findChildren(TableView),
        ]  # fmt: skip
        assert len(fields) >= 3
        assert [type(field).__name__ for field in fields if not field.accessibleName()] == []
    exporting.stop()
    exporting.deleteLater()
    importing.reject()
