"""Disks that no VM has: shown as such, listed before they are deleted, and deleted one by one."""

from __future__ import annotations

import asyncio
from collections.abc import Iterator

import pytest
from PySide6.QtWidgets import QApplication
from pytestqt.qtbot import QtBot

from app.api import SR, VBD, VDI, VM, Failure, Ref, VDIType
from app.api.enums import VDIOperation
from tests.support.fake_session import FakeEngine
from tests.ui.machines.windows import opened, until
from tests.ui.main_window import pools
from tests.ui.main_window.pools import GIB
from ui.base.dialogs import Dialog
from ui.base.workspace import Workspace
from ui.storage import commands
from ui.storage.cleaning import DISKS, CleanDialog
from ui.storage.sr_tab import SRStorageTab
from ui.storage.unowned import orphaned
from ui.widgets.outcomes import OutcomeDialog

SR_KEY = ("SR", pools.SR_DISKS)


def lost(engine: FakeEngine, name: str, used: int, **fields: object) -> str:
    """A disk that nobody has."""
    can = frozenset({VDIOperation.destroy})
    return str(
        engine.put(
            VDI(
                name_label=name,
                SR=Ref(pools.SR_DISKS),
                virtual_size=20 * GIB,
                physical_utilisation=used,
                allowed_operations=can,
                **fields,  # type: ignore[arg-type]
            )
        )
    )


@pytest.fixture
def tab(qapp: QApplication, qtbot: QtBot, engine: FakeEngine, workspace: Workspace) -> Iterator[SRStorageTab]:
    pools.small_pool(engine)
    for ref in [ref for ref, vdi in engine.cache.all(VDI).items() if vdi.type is VDIType.suspend]:
        engine.remove(VDI, ref)
    commands.register(workspace)
    made = SRStorageTab(workspace)
    qtbot.addWidget(made)
    made.resize(1000, 600)
    made.show()
    made.show_object(*SR_KEY)
    yield made


def states(tab: SRStorageTab) -> dict[str, str]:
    rows = (tab.model.item(row) for row in range(tab.model.rowCount()))
    return {row.name: row.state for row in rows if row.state}


async def idle(workspace: Workspace) -> None:
    await until(lambda: not workspace.commands.running)


def test_disks_without_a_vm_stand_out(tab: SRStorageTab, engine: FakeEngine) -> None:
    lost(engine, "forgotten", GIB)
    lost(engine, "left", GIB, is_a_snapshot=True)
    assert states(tab) == {
        "base copy": "Others build on it",
        "forgotten": "No VM has it",
        "left": "Left by a snapshot",
    }
    tab.kinds.set_current("orphan")
    tab._filter()
    assert sorted(tab.model.item(row).name for row in range(tab.model.rowCount())) == ["forgotten", "left"]
    tab.search.setText("by a snapshot")
    tab._filter()
    assert tab.model.rowCount() == 1


def test_a_disk_that_loses_its_vm_is_one_of_them(tab: SRStorageTab, engine: FakeEngine) -> None:
    for ref, vbd in list(engine.cache.all(VBD).items()):
        if vbd.VM == pools.WEB:
            engine.remove(VBD, ref)
    assert states(tab)["web-01"] == "No VM has it"
    engine.remove(VM, pools.DB)
    assert "a VM that is gone › Before upgrade 16" in {v.holders for v in tab.model.items.values()}


async def test_cleaning_up_lists_the_disks_and_deletes_the_ticked(
    tab: SRStorageTab, engine: FakeEngine, workspace: Workspace
) -> None:
    small, large = lost(engine, "small", GIB), lost(engine, "large", 9 * GIB)
    kept = lost(engine, "kept", 2 * GIB)
    workspace.commands.run("sr.clean", (SR_KEY,))
    dialog = await opened(CleanDialog)
    assert dialog.heading.text() == "Delete 3 disks?"
    assert dialog.wanted() == [large, kept, small], "largest first"
    dialog.tick(kept, False)
    assert dialog.total.text().replace("\xa0", " ") == "2 disks with 10 GiB in own files"
    assert dialog.primary is not None
    assert dialog.primary.text() == "Delete 2 Disks"
    dialog.accept()
    await idle(workspace)
    assert engine.called("VDI.destroy") == [(large,), (small,)]


async def test_nothing_ticked_deletes_nothing(tab: SRStorageTab, engine: FakeEngine, workspace: Workspace) -> None:
    only = lost(engine, "only", GIB)
    workspace.commands.run("sr.clean", (SR_KEY,))
    dialog = await opened(CleanDialog)
    dialog.tick(only, False)
    assert dialog.primary is not None
    assert not dialog.primary.isEnabled()
    dialog.reject()
    await idle(workspace)
    assert not engine.calls


async def test_a_clean_storage_says_so(tab: SRStorageTab, workspace: Workspace) -> None:
    workspace.commands.run("sr.clean", (SR_KEY,))
    dialog = await opened(Dialog)
    assert dialog.heading.text() == "Nothing to clean up"
    dialog.reject()
    await idle(workspace)
    assert not workspace.commands.state("sr.clean", (("SR", pools.SR_ISO),)).enabled


async def test_what_fails_is_told_and_the_rest_goes(
    tab: SRStorageTab, engine: FakeEngine, workspace: Workspace
) -> None:
    bad = lost(engine, "bad", GIB)
    lost(engine, "good", GIB)
    engine.answer("VDI.destroy", lambda vdi: Failure("VDI_IN_USE", vdi, "destroy") if vdi == bad else None)
    workspace.commands.run("sr.clean", (SR_KEY,))
    (await opened(CleanDialog)).accept()
    outcome = await opened(OutcomeDialog)
    assert outcome.heading.text() == "Delete Disks: 1 disk of 2 left out"
    assert outcome.table.model().index(0, 1).data() == "The disk “bad” is in use."
    outcome.reject()
    await idle(workspace)


async def test_the_chosen_are_deleted_if_nobody_has_them(
    tab: SRStorageTab, engine: FakeEngine, workspace: Workspace
) -> None:
    ref = lost(engine, "forgotten", GIB)
    names = {tab.model.item(row).name: row for row in range(tab.model.rowCount())}
    tab.table.selectRow(names["web-01"])
    state = workspace.commands.state("vdi.destroy")
    assert state.reason == "It belongs to web-01: delete it there."
    tab.table.selectRow(names["base copy"])
    assert "Other disks build on it" in workspace.commands.state("vdi.destroy").reason
    tab.table.selectRow(names["forgotten"])
    assert tab.delete.isEnabled()
    tab.delete.click()
    (await opened(CleanDialog)).accept()
    await idle(workspace)
    assert engine.called("VDI.destroy") == [(ref,)]
    tab.hide()
    assert workspace.commands.selection(DISKS) == ()
    await asyncio.sleep(0)


def test_isos_are_never_orphans(tab: SRStorageTab, engine: FakeEngine) -> None:
    assert orphaned(engine.cache, pools.SR_ISO) == {}
    engine.change(SR, pools.SR_DISKS, content_type="iso")
    assert not any(volume.orphan for volume in tab.model.items.values() if volume.kind == "iso")
