"""Several at once: what the wizard asks and refuses, the files one after the other, and what is told at the end."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import pytest
from PySide6.QtCore import Qt
from PySide6.QtTest import QTest
from PySide6.QtWidgets import QApplication, QLineEdit, QPushButton

from app.api import VM, Failure, Ref, VMOperation, VMPowerState
from app.client import Session, exchange
from app.client.exchange import ExportOptions, ExportResult, Report
from tests.ui.exchange.standin import WRITING, Transfers
from tests.ui.machines.windows import opened, until
from tests.ui.machines.world import GIB, World, billing_db
from ui.base.history import Entry
from ui.exchange import exporting_several
from ui.exchange.several_wizard import SeveralWizard
from ui.widgets.notice import Toast
from ui.widgets.results import ResultsDialog


def machine(world: World, name: str, state: VMPowerState = VMPowerState.Halted, gib: int = 2) -> Ref[VM]:
    vm = world.add_vm(name, state)
    world.add_disk(vm, f"{name} system", 20 * GIB, gib * GIB)
    return vm


def chosen(refs: Sequence[Ref[VM]]) -> tuple[tuple[str, str], ...]:
    return tuple(("VM", ref) for ref in refs)


async def wizard_of(world: World, refs: Sequence[Ref[VM]], command: str = "vm.export") -> SeveralWizard:
    world.workspace.commands.run(command, chosen(refs))
    return await opened(SeveralWizard)


def through(wizard: SeveralWizard) -> None:
    while not wizard.is_last():
        before = wizard.page
        wizard.go_next()
        assert wizard.page is not before, wizard.page.why_incomplete()
    wizard.next.click()


def names(wizard: SeveralWizard) -> list[str]:
    return [path.name for path in wizard.files.paths().values()]


def rename(wizard: SeveralWizard, ref: Ref[VM], name: str) -> None:
    model = wizard.files.model
    model.setData(model.index_of(ref).siblingAtColumn(1), name)


async def running(world: World) -> Entry:
    return (await until(world.workspace.history.running))[0]


async def test_two_vms_and_a_template_leave_one_after_the_other(
    world: World, transfers: Transfers, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    shown: list[str] = []
    monkeypatch.setattr(exporting_several, "show_in_folder", shown.append)
    refs = [machine(world, "web1"), machine(world, "web2"), world.add_template("Base")]
    wizard = await wizard_of(world, refs)
    assert wizard.windowTitle() == "Export 3 VMs and templates"
    assert wizard.summary.value("Size").replace("\xa0", " ") == "At most 4 GiB"
    through(wizard)
    entry = await running(world)
    await until(lambda: entry.words)
    assert entry.title == "Exporting 3 VMs and templates"
    assert entry.words.replace("\xa0", " ").startswith("1 of 3, web1: writing 3 GiB")
    assert 0 < entry.progress < 1 / 2
    assert len(transfers.asked) == 1
    transfers.go.set()
    said = (await until(lambda: toasts(world)))[0]
    options = ExportOptions(compression="zstd")
    paths = [tmp_path / name for name in ("web1.xva", "web2.xva", "Base.xva")]
    assert transfers.asked == [("export", ref, path, options) for ref, path in zip(refs, paths, strict=True)]
    assert (entry.state, entry.file) == ("done", str(paths[-1]))
    assert said.sentence().startswith("3 VMs and templates are exported, verified:")
    said.act.click()
    assert shown == [str(paths[-1])]


def toasts(world: World) -> list[Toast]:
    assert world.workspace.window is not None
    return world.workspace.window.findChildren(Toast)


async def test_names_differ_and_conflicts_are_shown_at_once(world: World, transfers: Transfers, tmp_path: Path) -> None:
    for name in ("web.xva", "taken.xva"):
        (tmp_path / name).touch()
    first, second, third = machine(world, "web"), machine(world, "WEB"), machine(world, "db")
    wizard = await wizard_of(world, [first, second, third])
    assert names(wizard) == ["web (2).xva", "WEB.xva", "db.xva"]
    wizard.go_to(2)
    for name, reason in (
        ("Web (2)", "web: “db” has this file name too."),
        ("taken", "db: There is such a file already."),
        ("", "db: The file needs a name."),
        ("a/b", "db: A file name cannot contain /"),
        ("数" * 90, "db: This name is too long."),
    ):
        rename(wizard, third, name)
        assert (wizard.page.why_incomplete(), wizard.files.verdict.sentence()) == (reason, reason)
        assert not wizard.next.isEnabled()
    rename(wizard, third, "database")
    assert wizard.next.isEnabled()
    assert names(wizard)[-1] == "database.xva"
    (tmp_path / "exports").mkdir()
    wizard.files.folder.setText(str(tmp_path / "exports"))
    assert names(wizard) == ["web.xva", "WEB (2).xva", "database.xva"]
    wizard.files.folder.setText(str(tmp_path / "nowhere"))
    assert wizard.page.why_incomplete() == "There is no such folder."
    wizard.reject()


async def test_a_name_is_typed_in_its_row(world: World, transfers: Transfers) -> None:
    first, second = machine(world, "web1"), machine(world, "web2")
    wizard = await wizard_of(world, [first, second])
    wizard.go_to(2)
    table = wizard.files.table
    table.setFocus()
    table.setCurrentIndex(wizard.files.model.index_of(second).siblingAtColumn(1))
    QTest.keyClick(table, Qt.Key.Key_F2)
    editor = table.findChild(QLineEdit)
    assert isinstance(editor, QLineEdit)
    await until(lambda: editor.selectedText() == "web2")
    QTest.keyClicks(editor, "web1")
    assert wizard.page.why_incomplete() == "web1: “web2” has this file name too."
    assert editor.text() == "web1.xva", "the ending stays"
    QTest.keyClick(editor, Qt.Key.Key_Home)
    QTest.keyClicks(editor, "old ")
    QTest.keyClick(editor, Qt.Key.Key_Return)
    await until(lambda: table.state() is not table.State.EditingState)
    assert names(wizard) == ["web1.xva", "old web1.xva"]
    assert wizard.isVisible()
    wizard.reject()


async def test_all_of_them_have_to_fit(world: World, transfers: Transfers) -> None:
    transfers.free = 5 * GIB
    wizard = await wizard_of(world, [machine(world, "web1", gib=3), machine(world, "web2", gib=3)])
    wizard.packing.cards["none"].setChecked(True)
    wizard.go_to(2)
    assert "It does not fit" in wizard.page.why_incomplete()
    wizard.packing.cards["gzip"].setChecked(True)
    assert "fits only if compression saves" in wizard.files.verdict.sentence()
    assert wizard.next.isEnabled()
    wizard.reject()


async def test_of_what_runs_a_snapshot_is_taken_or_it_stays_behind(world: World, transfers: Transfers) -> None:
    vm, other = billing_db(world), machine(world, "web")
    taken = world.add_snapshot(vm, "Export of billing-db", world.vm(vm).snapshot_time)
    world.engine.answer("VM.snapshot", taken)
    wizard = await wizard_of(world, [vm, other])
    assert "vm-snapshot" in wizard.xe_line()
    wizard.contents.snapshot_first.setChecked(False)
    assert wizard.contents.left_out() == [("billing-db", "It is running.")]
    assert "vm-snapshot" not in wizard.xe_line()
    wizard.contents.snapshot_first.setChecked(True)
    transfers.go.set()
    through(wizard)
    await until(lambda: toasts(world))
    assert world.engine.called("VM.snapshot") == [(vm, "Export of billing-db")]
    assert [(ref, path.name) for _, ref, path, _ in transfers.asked] == [(taken, "billing-db.xva"), (other, "web.xva")]


async def test_what_happens_meanwhile_is_followed(world: World, transfers: Transfers) -> None:
    first, second = machine(world, "web1"), machine(world, "web2")
    wizard = await wizard_of(world, [first, second])
    world.busy(second, VMOperation.revert)
    assert wizard.contents.left_out() == [("web2", "It is being reverted.")]
    assert names(wizard) == ["web1.xva"]
    world.busy(first, VMOperation.revert)
    assert wizard.contents.why_incomplete() == "None of them can be exported in this way now."
    wizard.reject()


async def test_one_that_fails_stops_no_other(
    world: World, transfers: Transfers, monkeypatch: pytest.MonkeyPatch
) -> None:
    refs = [machine(world, name) for name in ("web1", "web2", "web3")]
    busy = machine(world, "busy")
    world.busy(busy, VMOperation.revert)

    async def export_vm(_: Session, vm: Ref[VM], path: Path, options: ExportOptions, report: Report) -> ExportResult:
        if vm == refs[1]:
            raise Failure("VDI_IN_USE", "OpaqueRef:x", "copy")
        return ExportResult(path, GIB, 3.0, options.verify)

    monkeypatch.setattr(exchange, "export_vm", export_vm)
    through(await wizard_of(world, [*refs, busy]))
    told = await opened(ResultsDialog)
    assert told.windowTitle() == "Export: 2 of 4 done"
    rows = [[told.table.model().index(row, column).data() for column in (0, 1)] for row in range(4)]
    assert [name for name, _ in rows] == ["web2", "busy", "web1", "web3"]
    assert "in use" in rows[0][1]
    assert rows[1][1] == "It is being reverted."
    assert rows[2][1].replace("\xa0", " ") == "web1.xva: 1 GiB, verified"
    assert "Show in folder" in [button.text() for button in told.findChildren(QPushButton)]
    assert world.workspace.history.entries[-1].state == "failed"
    told.reject()


async def test_a_cancellation_leaves_what_is_finished(
    world: World, transfers: Transfers, monkeypatch: pytest.MonkeyPatch
) -> None:
    refs = [machine(world, name) for name in ("web1", "web2", "web3")]
    begun: list[Any] = []

    async def export_vm(_: Session, vm: Ref[VM], path: Path, options: ExportOptions, report: Report) -> ExportResult:
        begun.append(vm)
        report(WRITING)
        if vm != refs[0]:
            await asyncio.Event().wait()
        return ExportResult(path, GIB, 3.0, options.verify)

    monkeypatch.setattr(exchange, "export_vm", export_vm)
    through(await wizard_of(world, refs))
    entry = await running(world)
    await until(lambda: len(begun) == 2)
    assert entry.words.startswith("2 of 3, web2")
    assert 1 / 3 < entry.progress < 2 / 3
    await world.workspace.cancel(entry)
    said = (await until(lambda: toasts(world)))[0]
    assert said.sentence() == "Cancelled: 1 of 3 files is whole and stays."
    assert entry.state == "cancelled"
    assert begun == refs[:2]


async def test_a_long_name_is_cut_for_its_file(world: World, transfers: Transfers) -> None:
    wizard = await wizard_of(world, [machine(world, "数" * 120), machine(world, "数" * 121)])
    assert names(wizard) == [f"{'数' * 66}.xva", f"{'数' * 66} (2).xva"]
    assert not wizard.files.why_incomplete()
    wizard.reject()


async def test_snapshots_of_a_vm(world: World, transfers: Transfers) -> None:
    vm = billing_db(world)
    refs = sorted(world.vm(vm).snapshots, key=lambda ref: world.vm(ref).name_label)
    wizard = await wizard_of(world, refs, "snapshot.export")
    assert wizard.windowTitle() == "Export 3 snapshots"
    assert names(wizard) == [
        "billing-db Before upgrade 16.xva", "billing-db Installed.xva", "billing-db Nightly 2026-11-22.xva",
    ]  # fmt: skip
    assert wizard.xe_line().count("xe snapshot-export-to-template snapshot-uuid=") == 3
    wizard.reject()


async def test_reasons(world: World, transfers: Transfers) -> None:
    state = world.workspace.commands.state
    web, base, snapshots = machine(world, "web"), world.add_template("Base"), world.vm(billing_db(world)).snapshots
    assert state("vm.export", chosen([web, base])).enabled
    assert state("vm.export", chosen([base, base])).reason == "Choose a VM."
    assert state("template.export", chosen([web, base])).reason == "Choose templates only."
    assert state("template.export", chosen([base, world.other])).enabled
    wrong = state("template.export", chosen([world.sample, world.other])).reason
    assert wrong == "None of them can be exported. It is a built-in template."
    assert state("snapshot.export", chosen(sorted(snapshots))).enabled
    assert state("snapshot.export", chosen([min(snapshots), web])).reason == "Choose snapshots only."
    mixed = (*chosen([web]), ("host", world.host))
    assert state("vm.export", mixed).reason == "Choose VMs, templates or snapshots only."


async def test_lines_for_a_terminal_name_different_files(world: World, transfers: Transfers) -> None:
    lines = world.workspace.commands.xe_line("vm.export", chosen([machine(world, "web"), machine(world, "Web")]))
    assert [line.rsplit("filename=", 1)[1] for line in lines.splitlines()] == ["web.xva", "'Web (2).xva'"]


def test_nothing_is_left_open(qapp: QApplication) -> None:
    assert not [w for w in qapp.topLevelWidgets() if isinstance(w, SeveralWizard) and w.isVisible()]
