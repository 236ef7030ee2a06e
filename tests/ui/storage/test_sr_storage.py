"""A repository's tabs: how full it is, what is in it, and rescanning."""

from __future__ import annotations

from collections.abc import Iterator

import pytest
from pytestqt.qtbot import QtBot

from app.api import PBD, SR, VBD, VDI, VM
from app.api.enums import SROperation
from tests.support.fake_session import FakeEngine
from tests.ui.main_window import pools
from ui.base.workspace import Workspace
from ui.storage import commands
from ui.storage.general import SRGeneralTab
from ui.storage.sr_tab import SRStorageTab


@pytest.fixture
def tab(qtbot: QtBot, engine: FakeEngine, workspace: Workspace) -> Iterator[SRStorageTab]:
    pools.small_pool(engine)
    commands.register(workspace)
    made = SRStorageTab(workspace)
    qtbot.addWidget(made)
    made.resize(900, 600)
    made.show()
    made.show_object("SR", pools.SR_DISKS)
    yield made


def rows(tab: SRStorageTab) -> dict[str, tuple[str, str]]:
    """Kind and VM of each row by name and kind."""
    found = [[str(tab.model.index(row, c).data()) for c in range(3)] for row in range(tab.model.rowCount())]
    return {f"{name}, {kind}": (kind, vm) for name, kind, vm in found}


def test_each_disk_says_what_it_is_and_whose(tab: SRStorageTab) -> None:
    assert rows(tab) == {
        "base copy, Base copy": ("Base copy", "Others build on it"),
        "billing-db data, Disk": ("Disk", "billing-db"),
        "billing-db data, Snapshot": ("Snapshot", "billing-db › Before upgrade 16"),
        "billing-db system, Disk": ("Disk", "billing-db"),
        "memory of build-agent, Memory image": ("Memory image", "No VM has it"),
        "test-win11, Disk": ("Disk", "test-win11"),
        "web-01, Disk": ("Disk", "web-01"),
    }
    assert tab.summary.text() == "7 entries · 105\u00a0GiB in own files"


def test_space_is_a_bar_with_words(tab: SRStorageTab, engine: FakeEngine) -> None:
    assert tab.capacity.words() == "412\u00a0GiB free of 1\u00a0TiB"
    assert tab.allocation.text() == "304\u00a0GiB promised to disks"
    engine.change(SR, pools.SR_DISKS, physical_size=200 * pools.GIB, physical_utilisation=195 * pools.GIB)
    assert tab.capacity.words().endswith("full")
    assert "more than there is" in tab.allocation.text()
    engine.change(SR, pools.SR_DISKS, physical_size=-1, physical_utilisation=-1)
    assert tab.capacity.words() == "Size not known"


def test_a_suspended_vm_has_its_memory_here(tab: SRStorageTab, engine: FakeEngine) -> None:
    memory = next(ref for ref, vdi in engine.cache.all(VDI).items() if vdi.name_label.startswith("memory"))
    engine.change(VM, pools.BUILD, suspend_VDI=memory)
    assert rows(tab)["memory of build-agent, Memory image"] == ("Memory image", "build-agent")


def test_names_of_vms_are_followed(tab: SRStorageTab, engine: FakeEngine) -> None:
    engine.change(VM, pools.DB, name_label="ledger")
    assert rows(tab)["billing-db data, Snapshot"][1] == "ledger › Before upgrade 16"
    assert rows(tab)["billing-db system, Disk"][1] == "ledger"
    engine.remove(VM, pools.WEB)
    assert rows(tab)["web-01, Disk"][1] == "No VM has it"


def test_a_disk_that_changes_hands_or_goes(tab: SRStorageTab, engine: FakeEngine) -> None:
    vbd, held = next((r, v) for r, v in engine.cache.all(VBD).items() if v.VM == pools.WEB)
    engine.remove(VBD, vbd)
    assert rows(tab)["web-01, Disk"][1] == "No VM has it"
    taken = engine.put(VBD(VM=pools.ref(pools.WIN), VDI=held.VDI, userdevice="1"))
    engine.change(VDI, held.VDI, VBDs=frozenset({taken}))
    assert rows(tab)["web-01, Disk"][1] == "test-win11"
    engine.remove(VDI, held.VDI)
    assert "web-01, Disk" not in rows(tab)


def test_a_change_elsewhere_looks_at_no_disk(
    tab: SRStorageTab, engine: FakeEngine, monkeypatch: pytest.MonkeyPatch
) -> None:
    looked: list[object] = []

    def note(_cache: object, _sr: str, only: object) -> dict[str, object]:
        looked.append(only)
        return {}

    monkeypatch.setattr("ui.storage.sr_tab.volumes", note)
    engine.change(VM, pools.WEB, memory_target=7)
    assert looked == [set()]


def test_a_missing_file_is_told_in_words(tab: SRStorageTab, engine: FakeEngine) -> None:
    web = next(ref for ref, vdi in engine.cache.all(VDI).items() if vdi.name_label == "web-01")
    engine.change(VDI, web, missing=True)
    assert rows(tab)["web-01, Disk, file missing"][1] == "web-01"


def test_the_switch_and_the_words_filter(tab: SRStorageTab) -> None:
    for kind, count in (("disk", 4), ("snapshot", 1), ("base", 1), ("all", 7)):
        tab.kinds.chosen.emit(kind) if tab.kinds.current() == kind else tab.kinds.set_current(kind)
        tab.kinds.chosen.emit(kind)
        assert tab.model.rowCount() == count
    tab.search.setText("upgrade")
    tab.search.returnPressed.emit()
    assert list(rows(tab)) == ["billing-db data, Snapshot"]
    tab.search.setText("nothing")
    tab.search.returnPressed.emit()
    assert tab.summary.text() == ""


def test_a_library_shows_only_what_isos_have(tab: SRStorageTab) -> None:
    tab.show_object("SR", pools.SR_ISO)
    assert [kind for kind, _ in rows(tab).values()] == ["ISO", "ISO"]
    assert tab.table.isColumnHidden(2)
    assert not tab.kinds.isVisible()
    tab.show_object("SR", pools.SR_DISKS)
    assert not tab.table.isColumnHidden(2)


def test_a_new_disk_is_a_new_row(qtbot: QtBot, tab: SRStorageTab, engine: FakeEngine) -> None:
    tab.table.selectRow(2)
    chosen = tab.model.key(tab.table.currentIndex())
    with qtbot.assertNotEmitted(tab.model.modelReset), qtbot.waitSignal(tab.model.rowsInserted):
        engine.put(VDI(name_label="aaa", SR=pools.ref(pools.SR_DISKS)))
    assert tab.model.key(tab.table.currentIndex()) == chosen
    engine.put(VDI(name_label="elsewhere", SR=pools.ref(pools.SR_ISO)))
    assert "elsewhere, Disk" not in rows(tab)


def test_a_double_click_leads_to_the_vm(qtbot: QtBot, tab: SRStorageTab, workspace: Workspace) -> None:
    names = list(rows(tab))
    tab.table.selectRow(names.index("web-01, Disk"))
    with qtbot.waitSignal(workspace.show_requested) as shown:
        tab.table.doubleClicked.emit(tab.table.currentIndex())
    assert shown.args == ["VM", pools.WEB, "storage"]


# ---- rescanning -----------------------------------------------------------------------------------------------


async def test_rescan(tab: SRStorageTab, engine: FakeEngine, workspace: Workspace) -> None:
    workspace.commands.update((("SR", pools.SR_DISKS),))
    assert tab.scan.isEnabled()
    tab.scan.click()
    await pools.settled()
    assert engine.called("SR.scan") == [(pools.SR_DISKS,)]
    assert workspace.history.entries[0].title == "Scanning Local storage"


def test_rescanning_says_why_it_cannot(tab: SRStorageTab, engine: FakeEngine, workspace: Workspace) -> None:
    def reason(*selection: tuple[str, str]) -> str:
        return workspace.commands.state("sr.scan", selection).reason

    storage = ("SR", pools.SR_DISKS)
    assert reason() == "Choose storage first."
    assert reason(storage, ("VM", pools.DB)) == "Choose storage first."
    assert reason(("SR", "OpaqueRef:none")) == "The storage is gone."
    engine.change(SR, pools.SR_DISKS, current_operations={"t": SROperation.scan})
    assert reason(storage) == "“Local storage” is being scanned."
    engine.change(SR, pools.SR_DISKS, current_operations={}, allowed_operations=frozenset())
    assert reason(storage) == "“Local storage” cannot be scanned now."


# ---- the General tab ------------------------------------------------------------------------------------------


def test_facts_of_a_repository(qtbot: QtBot, engine: FakeEngine, workspace: Workspace) -> None:
    pools.small_pool(engine)
    tab = SRGeneralTab(workspace)
    qtbot.addWidget(tab)
    tab.show()
    tab.show_object("SR", pools.SR_DISKS)
    facts = dict(tab.facts("About"))
    assert facts["Type"] == "Folder of disk images"
    assert facts["New disks"] == "go here"
    assert facts["Holds"] == "6 disks"
    assert dict(tab.facts("Connections")) == {"workstation": "connected · /srv/user"}
    assert tab.space.isVisible()
    pbd = next(ref for ref, record in engine.cache.all(PBD).items() if record.SR == pools.SR_DISKS)
    engine.change(PBD, pbd, currently_attached=False)
    assert dict(tab.facts("Connections")) == {"workstation": "not connected · /srv/user"}


async def test_a_name_is_changed_where_it_stands(qtbot: QtBot, engine: FakeEngine, workspace: Workspace) -> None:
    pools.small_pool(engine)
    tab = SRGeneralTab(workspace)
    qtbot.addWidget(tab)
    tab.show()
    tab.show_object("SR", pools.SR_DISKS)
    tab.name.committed.emit("Big storage")
    tab.description.committed.emit("the fast one")
    await pools.settled()
    assert engine.called("SR.set_name_label") == [(pools.SR_DISKS, "Big storage")]
    assert engine.called("SR.set_name_description") == [(pools.SR_DISKS, "the fast one")]
