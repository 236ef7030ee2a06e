"""The Chains tab: what the engine tells of depths and merges, and what can be done about them."""

from __future__ import annotations

from collections.abc import AsyncIterator
from typing import Any

import pytest
from PySide6.QtWidgets import QApplication
from pytestqt.qtbot import QtBot

from app.api import SR, VDI, VM, Failure, Task
from tests.support.fake_session import FakeEngine
from tests.ui.machines.windows import until
from tests.ui.main_window import pools
from ui.base.workspace import Workspace
from ui.navigation.placement import ORPHANS
from ui.storage import commands
from ui.storage.chains_tab import ChainsTab
from ui.storage.depth_delegate import DEPTH_ROLE
from ui.storage.health import Merge, merges_words, report, verdict
from ui.storage.merges_card import MIB

SR_KEY = ("SR", pools.SR_DISKS)


def plain(words: str) -> str:
    return words.replace("\xa0", " ")


@pytest.fixture
async def tab(qapp: QApplication, qtbot: QtBot, engine: FakeEngine, workspace: Workspace) -> AsyncIterator[ChainsTab]:
    pools.small_pool(engine)
    pools.leftovers(engine)
    pools.chains(engine)
    commands.register(workspace)
    workspace.commands.update((SR_KEY,))
    made = ChainsTab(workspace)
    qtbot.addWidget(made)
    made.resize(1000, 600)
    made.show_object(*SR_KEY)
    made.show()
    await until(lambda: made.model.items)
    yield made
    made.hide()
    await workspace.close()


async def test_vms_stand_by_the_depth_of_their_chains(tab: ChainsTab) -> None:
    rows = [tab.model.item(row) for row in range(tab.model.rowCount())]
    assert [(row.name, row.depth_words) for row in rows][:3] == [
        ("billing-db", "27 of 30"),
        ("build-agent", "17 of 30"),
        ("web-01", "12 of 30"),
    ]
    assert "old-ledger" in [row.name for row in rows], "of a VM that is gone"
    assert tab.model.index(0, 1).data(DEPTH_ROLE) == (27, 30)
    assert tab.health.words() == "1 chain nearly full"
    words = "Deepest chain 27 of 30 · 31 GiB in snapshots · 3 base copies, 4 GiB · 412 GiB free"
    assert plain(tab.summary.text()) == words


async def test_each_merge_says_how_far_it_is_or_why_it_waits(tab: ChainsTab, engine: FakeEngine) -> None:
    merges = {merge.state: merge for merge in tab.merges.model.items.values()}
    assert merges["running"].progress == 0.62
    assert merges["waiting"].reason == "web-01 is being reverted; it begins afterwards."
    assert "open in build-agent" in merges["blocked"].reason
    assert plain(tab.merges.words.text()) == "1 merge runs, 1 waits, 1 is blocked: up to 12 GiB to move."
    engine.change(Task, "OpaqueRef:merging", progress=0.8)
    assert next(m for m in tab.merges.model.items.values() if m.state == "running").progress == 0.8


async def test_a_running_merge_can_be_cancelled(tab: ChainsTab, engine: FakeEngine) -> None:
    assert not tab.merges.cancel.isEnabled()
    tab.merges.table.selectRow(0)
    assert tab.merges.cancel.isEnabled()
    tab.merges.cancel.click()
    await until(lambda: engine.called("task.cancel"))
    assert engine.called("task.cancel") == [("OpaqueRef:merging",)]
    tab.merges.table.selectRow(2)
    assert not tab.merges.cancel.isEnabled()


async def test_merging_now_is_a_task_in_the_history(tab: ChainsTab, engine: FakeEngine, workspace: Workspace) -> None:
    tab.merges.now.click()
    await until(lambda: engine.called("SR.coalesce") and not workspace.history.running())
    assert engine.called("SR.coalesce") == [(pools.SR_DISKS,)]
    assert workspace.history.entries[0].title == "Merging the chains of Local storage"
    assert not workspace.commands.state("sr.coalesce", (("SR", pools.SR_ISO),)).enabled


async def test_the_speed_is_a_setting_of_the_storage(tab: ChainsTab, engine: FakeEngine) -> None:
    engine.change(SR, pools.SR_DISKS, other_config={"a": "b"})
    assert tab.merges.speed.currentText() == "As fast as it goes"
    tab.merges.speed.setCurrentIndex(tab.merges.speed.findData(50 * MIB))
    tab.merges.speed.activated.emit(tab.merges.speed.currentIndex())
    await until(lambda: engine.called("SR.set_other_config"))
    expected = (pools.SR_DISKS, {"a": "b", "stillframe.merge-speed": str(50 * MIB)})
    assert engine.called("SR.set_other_config") == [expected]
    engine.change(SR, pools.SR_DISKS, other_config={"stillframe.merge-speed": str(7 * MIB)})
    assert plain(tab.merges.speed.currentText()) == "At most 7 MiB/s", "one that somebody else chose"
    engine.change(SR, pools.SR_DISKS, other_config={"stillframe.merge-speed": "fast"})
    assert tab.merges.speed.currentData() == 0


async def test_disks_that_change_are_asked_about_again(tab: ChainsTab, engine: FakeEngine) -> None:
    engine.answer("SR.get_pending_merges", {})
    disk = next(ref for ref, vdi in engine.cache.all(VDI).items() if vdi.SR == pools.SR_DISKS)
    engine.change(VDI, disk, physical_utilisation=1)
    await until(lambda: not tab.merges.model.items)
    assert tab.merges.words.text() == "Nothing waits to be merged."
    assert not tab.merges.table.isVisible()
    assert not tab.merges.cancel.isVisible()


async def test_a_hidden_tab_asks_nothing(tab: ChainsTab, engine: FakeEngine, workspace: Workspace) -> None:
    tab.hide()
    asked = len(engine.called("SR.get_chain_health"))
    engine.change(VM, pools.DB, name_label="ledger")
    await until(lambda: not workspace._tasks)
    assert len(engine.called("SR.get_chain_health")) == asked
    tab.show()
    await until(lambda: "ledger" in [family.name for family in tab.model.items.values()])


async def test_double_clicks_lead_to_the_vm_or_to_the_orphans(tab: ChainsTab, workspace: Workspace) -> None:
    asked: list[tuple[Any, ...]] = []
    workspace.show_requested.connect(lambda *what: asked.append(what))
    for name in ("billing-db", "old-ledger"):
        row = next(row for row in range(tab.model.rowCount()) if tab.model.item(row).name == name)
        tab.table.setCurrentIndex(tab.model.index(row, 0))
        tab.table.doubleClicked.emit(tab.model.index(row, 0))
    assert asked == [("VM", pools.DB, "snapshots"), (*ORPHANS, "")]


@pytest.mark.parametrize("code", ["MESSAGE_METHOD_UNKNOWN", "SR_OPERATION_NOT_SUPPORTED"])
async def test_an_engine_that_does_not_tell(tab: ChainsTab, engine: FakeEngine, code: str) -> None:
    engine.answer("SR.get_chain_health", Failure(code, "x"))
    tab.question.about(pools.SR_DISKS)
    await until(tab.nothing.isVisible)
    assert tab.nothing.sentence.text() == "This storage does not tell of its chains."


async def test_an_engine_that_does_not_merge_shows_no_merges(tab: ChainsTab, engine: FakeEngine) -> None:
    assert tab.merges.isVisible()
    engine.answer("SR.get_pending_merges", Failure("MESSAGE_METHOD_UNKNOWN", "SR.get_pending_merges"))
    tab.question.about(pools.SR_DISKS)
    await until(lambda: not tab.merges.isVisible())
    assert tab.model.items


def test_the_verdict_names_the_worst(engine: FakeEngine) -> None:
    def told(**more: str) -> tuple[str, str]:
        chains = {"sr": {"depth": "30", "missing": more.get("missing", "0")}, "vm": {"depth": more.get("depth", "3")}}
        merges = {"vdi": {"state": more["state"]}} if "state" in more else {}
        return verdict(report(engine.cache, "sr", (chains, merges)))

    assert told() == ("Healthy", "good")
    assert told(state="waiting") == ("Healthy", "good")
    assert told(state="blocked") == ("1 merge blocked", "attention")
    assert told(depth="24", state="blocked") == ("1 chain nearly full", "attention")
    assert told(depth="30") == ("1 chain full", "bad")
    assert told(depth="30", missing="2") == ("2 images missing", "bad")
    assert told(depth="many") == ("Healthy", "good")


def test_merges_in_words() -> None:
    def merge(state: str) -> Merge:
        return Merge("web", "", state, "", 1024)  # type: ignore[arg-type]

    assert merges_words({}) == "Nothing waits to be merged."
    assert plain(merges_words({"a": merge("waiting")})) == "1 merge waits: up to 1 KiB to move."
    two = {"a": merge("waiting"), "b": merge("waiting"), "c": merge("running")}
    assert plain(merges_words(two)) == "1 merge runs, 2 wait: up to 3 KiB to move."
