"""Chain health: figures of the engine and of the records, merges as they go, and the strip that tells of them."""

from __future__ import annotations

import pytest
from PySide6.QtTest import QTest

from app.api import VDI, VM, Failure, Ref, Task, TaskOperation, VMOperation
from tests.ui.snapshots.conftest import OpenTab
from tests.ui.snapshots.driving import LEFT, plain
from tests.ui.snapshots.estate import GIB, Estate, merging
from tests.ui.snapshots.waiting import opened, until
from ui.base.dialogs import ErrorDialog
from ui.snapshots.health import health_of
from ui.snapshots.health_dialog import HealthDialog
from ui.snapshots.list_rows import DEPTH, LOCKED, SHARED
from ui.snapshots.merges import Merge, parsed, summary
from ui.snapshots.merging import freed_by
from ui.snapshots.tab import SnapshotsTab

SLOW = 200_000


async def ask(estate: Estate) -> HealthDialog:
    estate.workspace.commands.run("vm.chain_health", (("VM", "vm"),))
    return await opened(HealthDialog)


async def done(estate: Estate) -> None:
    await until(lambda: not estate.workspace.commands.running)


# ---- the dialog -----------------------------------------------------------------------------------------------


def test_the_records_tell_depth_and_sizes(estate: Estate) -> None:
    health = health_of(estate.cache, "vm", {})
    assert (health.depth, health.limit, health.room, health.free) == (4, 30, 26, 412 * GIB)
    assert health.sentence == "Healthy: 26 more snapshots fit before old ones must go."
    assert [(disk.name, disk.depth, disk.own) for disk in health.disks] == [
        ("disk 0", 4, 3 * GIB),
        ("disk 1", 4, 3 * GIB),
    ]
    states = {state.name: state for state in health.states}
    assert states["Trial of replica"].exclusive == 2 * GIB
    assert (states["Before upgrade 16"].exclusive, states["Before upgrade 16"].merge) == (0, int(2.1 * GIB))


def test_the_engine_knows_better(estate: Estate) -> None:
    answer = {"vm": {"depth": "27", "depth-limit": "30", "head-room": "3"}, "trial": {"exclusive": "7", "shared": "x"}}
    health = health_of(estate.cache, "vm", answer)
    assert (health.depth, health.room, health.tone) == (27, 3, "attention")
    trial = next(state for state in health.states if state.ref == "trial")
    assert (trial.exclusive, trial.shared) == (7, 10 * GIB)
    blocked = health_of(estate.cache, "vm", {"vm": {"blocked": "It is full."}})
    assert (blocked.sentence, blocked.tone) == ("It is full.", "bad")
    assert "missing image" in health_of(estate.cache, "vm", {"vm": {"missing": "1"}}).sentence


async def test_merges_are_listed_with_cause_and_progress(estate: Estate) -> None:
    merging(estate)
    dialog = await ask(estate)
    await until(lambda: len(dialog.watch.merges) == 2, SLOW)
    assert [plain(said) for _, said in dialog.merges.said()] == [
        "An old image: up to 3 GiB, merging, 42 %",
        "An old image: up to 1 GiB, waits: a snapshot is being taken",
    ]
    estate.engine.change(Task, "merge-task", progress=0.9)
    assert plain(dialog.merges.said()[0][1]).endswith("90 %")
    dialog.reject()
    await done(estate)


async def test_merge_now_asks_every_repository_and_tells_what_went_wrong(estate: Estate) -> None:
    merging(estate)
    estate.engine.answer("SR.coalesce", Failure("SR_BACKEND_FAILURE_44", "", "", "full"))
    dialog = await ask(estate)
    assert not dialog.merge_now.isEnabled()
    await until(dialog.merge_now.isEnabled, SLOW)
    dialog.merge_now.click()
    await until(lambda: "did not happen" in dialog.notice.sentence())
    assert estate.calls == [("Async.SR.coalesce", ("sr",))]
    dialog.reject()
    await done(estate)


async def test_a_merge_that_fails_after_the_dialog_is_told_too(estate: Estate) -> None:
    merging(estate)
    estate.engine.answer("SR.coalesce", Failure("SR_BACKEND_FAILURE_44", "", "", "full"))
    held = estate.engine.hold("SR.coalesce")
    dialog = await ask(estate)
    await until(dialog.merge_now.isEnabled, SLOW)
    dialog.merge_now.click()
    await until(lambda: estate.calls)
    dialog.reject()
    await done(estate)
    held.set()
    (await opened(ErrorDialog)).reject()


async def test_an_engine_without_merges_and_health_leaves_the_records(estate: Estate) -> None:
    for method in ("VM.get_chain_health", "SR.get_pending_merges"):
        estate.engine.answer(method, Failure("MESSAGE_METHOD_UNKNOWN", method))
    dialog = await ask(estate)
    await until(lambda: estate.engine.called("SR.get_pending_merges"), SLOW)
    assert dialog.merges.said() == [("alert-good", "Nothing waits to be merged.")]
    assert dialog.notice.sentence().startswith("Healthy")
    dialog.reject()
    await done(estate)


# ---- the strip, and Now ---------------------------------------------------------------------------------------


async def test_the_strip_tells_of_merges_and_leads_to_more(open_tab: OpenTab, estate: Estate) -> None:
    merging(estate)
    tab = open_tab(estate)
    assert tab.strip.isHidden()
    await until(lambda: not tab.strip.isHidden(), SLOW)
    assert plain(tab.strip.sentence()) == "Merging 2 old images · 42 %."
    estate.engine.answer("SR.get_pending_merges", {})
    estate.engine.change(VDI, "vdi-1", physical_utilisation=4 * GIB)
    await until(tab.strip.isHidden, SLOW)
    tab.footer.health.click()
    (await opened(HealthDialog)).reject()
    await done(estate)


def test_the_strip_tells_of_a_chain_that_is_not_well(tab: SnapshotsTab, estate: Estate) -> None:
    estate.engine.change(VDI, "vdi-1", sm_config={"vhd-parent": "not there"})
    assert not tab.strip.isHidden()
    assert tab.strip.sentence() == "1 disk with a missing image."
    assert tab.strip.property("notice") == "bad"


async def test_what_runs_is_cancelled_from_now_while_it_can_be(open_tab: OpenTab, estate: Estate) -> None:
    tab = open_tab(estate)
    now = tab.graph.graph.now
    estate.engine.put(Task(allowed_operations=frozenset({TaskOperation.cancel}), name_description="Writing"), "t")
    estate.engine.change(VM, "vm", current_operations={"t": VMOperation.checkpoint})
    assert now.content.cancellable == "t"
    place = tab.graph.mapFromScene(now.mapToScene(now.cross().center()))
    QTest.mouseClick(tab.graph.viewport(), LEFT, pos=place)
    await until(lambda: estate.calls)
    assert estate.calls == [("task.cancel", (Ref("t"),))]
    estate.engine.change(Task, "t", allowed_operations=frozenset())
    estate.engine.change(VM, "vm", name_description="on")
    assert now.content.cancellable == ""
    assert now.cross().isEmpty()


# ---- words and numbers ----------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("merges", "said"),
    [
        ((), ""),
        ((Merge("a"),), "1 old image waits to be merged"),
        ((Merge("a", reason="a backup"), Merge("b")), "2 old images wait to be merged: a backup"),
        ((Merge("a", state="blocked", reason="no room"),), "1 merge of old images is blocked: no room"),
        ((Merge("a", state="running"),), "Merging 1 old image"),
    ],
)
def test_merges_in_one_sentence(merges: tuple[Merge, ...], said: str) -> None:
    assert summary(merges)[0] == said


def test_an_answer_with_nonsense_in_it() -> None:
    assert parsed("a", {"size": "-3", "state": "odd"}) == Merge("a", state="odd", size=-1)


def test_what_deleting_frees_goes_down_to_hidden_bases(estate: Estate) -> None:
    assert freed_by(estate.cache, ["trial"]).at_once == 2 * GIB
    both = freed_by(estate.cache, ["trial", "second", "nightly21"])
    assert both.at_once == 2 * GIB + 2 * (GIB // 3 // 2) + GIB
    assert (both.merged, both.kept) == (0, 0)
    middle = freed_by(estate.cache, ["nightly21", "before"])
    assert (middle.at_once, middle.merged, middle.kept) == (0, 2 * (int(2.1 * GIB) // 2), GIB)
    for ref in _disks(estate, "nightly21"):
        estate.engine.change(VDI, ref, managed=False)
    assert freed_by(estate.cache, ["trial", "second"]).at_once == both.at_once


def _disks(estate: Estate, snapshot: str) -> set[str]:
    return {str(ref).replace("vbd", "vdi") for ref in estate.record(snapshot).VBDs}


def test_the_list_tells_shared_size_depth_and_lock(tab: SnapshotsTab) -> None:
    tab.show_view("list")
    row = tab.list.rows.index_of("installed")
    assert plain(row.siblingAtColumn(DEPTH).data()) == "1"
    assert row.siblingAtColumn(SHARED).data() == ""
    assert row.siblingAtColumn(LOCKED).data() == "golden image"
    assert plain(tab.list.rows.index_of("trial").siblingAtColumn(SHARED).data()) == "10 GiB"
