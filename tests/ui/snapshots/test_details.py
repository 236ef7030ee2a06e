"""The details beside the snapshots: facts, editing in place, the guest's screen."""

from __future__ import annotations

import pytest
from PySide6.QtCore import Qt
from PySide6.QtTest import QTest
from PySide6.QtWidgets import QScrollArea

from app.api import VDI, VM, VMSS, Failure, VMOperation
from tests.support.settling import restless
from tests.ui.snapshots.conftest import OpenTab
from tests.ui.snapshots.driving import LEFT, plain, press
from tests.ui.snapshots.estate import GIB, Estate, group_of_three
from tests.ui.snapshots.waiting import opened, until
from ui.base.dialogs import ErrorDialog
from ui.snapshots.screen_dialog import ScreenDialog
from ui.snapshots.tab import SnapshotsTab

# ---- details --------------------------------------------------------------------------------------------------


def test_details_of_one(tab: SnapshotsTab) -> None:
    tab.chosen.choose(("before",))
    facts = {what: plain(value) for what, value in tab.details.facts.facts()}
    assert facts["Type"] == "Disks and memory"
    assert facts["Consistency"] == "Crash-consistent"
    assert facts["Guest paused"] == "14 ms"
    assert facts["Memory"] == "1.1 GiB, compressed"
    assert facts["Took"] == "2.4 s"
    assert facts["Size"] == "2.1 GiB own, 9 GiB shared"
    assert facts["Chain depth"] == "2 of 30"
    assert facts["Made by"] == "By hand"
    assert facts["State then"] == "Running"


def test_the_schedule_that_made_it_is_named(tab: SnapshotsTab, estate: Estate) -> None:
    tab.chosen.choose(("nightly22",))
    assert dict(tab.details.facts.facts())["Made by"] == "A schedule"
    estate.engine.put(VMSS(uuid="night", name_label="Nightly"))
    estate.engine.change(VM, "nightly22", other_config={"stillframe.schedule": "night"})
    assert dict(tab.details.facts.facts())["Made by"] == "Schedule “Nightly”"


def test_without_a_note_of_it_consistency_is_that_of_one_instant(tab: SnapshotsTab, estate: Estate) -> None:
    tab.chosen.choose(("nightly22",))
    assert dict(tab.details.facts.facts())["Consistency"] == "One instant, 2 disks"
    estate.engine.change(VM, "before", other_config={})
    tab.chosen.choose(("before",))
    facts = dict(tab.details.facts.facts())
    assert facts["Consistency"] == "One instant, 2 disks, RAM"
    assert not {"Guest paused", "Memory", "Took", "Files held"} & set(facts)


def test_lock_group_and_reason_stand_below_the_facts(tab: SnapshotsTab, estate: Estate) -> None:
    tab.chosen.choose(("quiet",))
    assert tab.details.notes.said() == [("leaf", "The guest's agent froze 2 file systems.")]
    assert plain(dict(tab.details.facts.facts())["Files held"]) == "61 ms"
    tab.chosen.choose(("installed",))
    assert tab.details.notes.said() == [("lock", "Locked: golden image")]
    lock = '{"reason":"evidence","owner":"ada","until":"2026-12-03T12:00:00+00:00","since":"2026-11-03T12:00:00+00:00"}'
    estate.engine.change(
        VM, "installed", other_config={"stillframe.lock": lock}, blocked_operations={VMOperation.destroy: "evidence"}
    )
    assert [plain(said) for _, said in tab.details.notes.said()] == ["Locked by ada until 3 Dec 2026: evidence"]
    assert not tab.details.group.isVisibleTo(tab.details)
    group_of_three(estate)
    tab.chosen.choose(("trial",))
    assert plain(tab.details.notes.said()[0][1]) == "Taken with 2 other VMs, within 3 ms"
    assert tab.details.group.isVisibleTo(tab.details)


@pytest.mark.parametrize("kept", ["", "{", "[]", '"x"', "null", '{"until": "soon"}', '{"until": 7}'])
def test_a_lock_that_cannot_be_read_is_still_a_lock(tab: SnapshotsTab, estate: Estate, kept: str) -> None:
    estate.engine.change(VM, "installed", other_config={"stillframe.lock": kept})
    tab.chosen.choose(("installed",))
    assert tab.details.notes.said() == [("lock", "Locked: golden image")]


def test_figures_that_are_no_numbers_are_left_out(tab: SnapshotsTab, estate: Estate) -> None:
    bad = {f"stillframe.{key}": "1e999" for key in ("stall-ms", "duration-ms", "freeze-ms", "memory-bytes")}
    estate.engine.change(VM, "before", other_config=bad | {"stillframe.group-spread-ms": "x", "stillframe.group": "g"})
    tab.chosen.choose(("before",))
    facts = dict(tab.details.facts.facts())
    assert not {"Memory", "Took", "Files held"} & set(facts)
    assert tab.details.notes.said() == [("group", "Taken with other VMs whose snapshots are gone")]


def test_details_of_several_and_of_none(tab: SnapshotsTab) -> None:
    tab.chosen.choose(("before", "nightly22"))
    assert tab.details.title.text() == "2 snapshots selected"
    facts = dict(tab.details.facts.facts())
    assert plain(facts["Total size"]) == "3.1 GiB own"
    assert facts["Made by"] == "1 by a schedule, 1 by hand"
    tab.chosen.choose(())
    facts = dict(tab.details.facts.facts())
    assert facts["Snapshots"] == "7, 2 scheduled"
    assert facts["Chain depth"] == "4 of 30"


async def test_f2_edits_the_name_where_it_stands(open_tab: OpenTab, estate: Estate) -> None:
    tab = open_tab(estate)
    await until(tab.window().isActiveWindow)
    tab.graph.setFocus()
    tab.chosen.choose(("before",))
    press(tab, Qt.Key.Key_F2)
    await until(tab.details.name.is_editing)
    tab.details.name.editor.set_words("After all")
    QTest.keyClick(tab.details.name.editor, Qt.Key.Key_Return)
    await until(lambda: estate.calls)
    assert estate.calls == [("VM.set_name_label", ("before", "After all"))]


async def test_a_name_that_is_refused_goes_back(open_tab: OpenTab, estate: Estate) -> None:
    estate.engine.answer("VM.set_name_label", Failure("HANDLE_INVALID", "VM", "before"))
    tab = open_tab(estate)
    tab.chosen.choose(("before",))
    tab.details.edit_name()
    tab.details.name.editor.set_words("After all")
    QTest.keyClick(tab.details.name.editor, Qt.Key.Key_Return)
    (await opened(ErrorDialog)).reject()
    assert tab.details.name.text() == "Before upgrade 16"


def test_typing_is_not_disturbed_by_the_feed(tab: SnapshotsTab, estate: Estate) -> None:
    tab.chosen.choose(("before",))
    tab.details.edit_name()
    tab.details.name.editor.set_words("half a na")
    estate.engine.change(VM, "before", name_description="other")
    assert tab.details.name.is_editing()
    assert tab.details.name.editor.words() == "half a na"
    assert tab.details.description.text() == "other"
    tab.chosen.choose(("trial",))
    assert not tab.details.name.is_editing()
    assert tab.details.name.text() == "Trial of replica"
    assert estate.calls == []


async def test_the_screen_comes_in_the_background_and_opens_large(open_tab: OpenTab, estate: Estate) -> None:
    tab = open_tab(estate)
    assert not tab.details.picture.has_image()
    tab.chosen.choose(("before",))
    await until(tab.details.picture.has_image)
    assert tab.pictures.thumbnail("blob-before") is not None
    QTest.mouseClick(tab.details.picture, LEFT)
    (await opened(ScreenDialog)).close()


async def test_a_screen_that_is_missing_leaves_the_placeholder(open_tab: OpenTab, estate: Estate) -> None:
    del estate.engine.blobs["blob-before"]
    estate.engine.blobs["blob-trial"] = b"no picture"
    tab = open_tab(estate)
    tab.chosen.choose(("before",))
    await until(lambda: {"blob-before", "blob-trial"} <= tab.pictures._missing)
    assert not tab.details.picture.has_image()
    assert tab.pictures.thumbnail("blob-trial") is None


def test_sizes_follow_the_disks(tab: SnapshotsTab, estate: Estate) -> None:
    tab.chosen.choose(("trial",))
    ref = next(ref for ref, vdi in estate.cache.all(VDI).items() if vdi.location == "image-9")
    estate.engine.change(VDI, ref, physical_utilisation=5 * GIB)
    assert "own" in dict(tab.details.facts.facts())["Size"]
    assert plain(tab.footer.summary.text()).split(" · ")[1] != "15.6 GiB"


def test_the_pane_comes_to_rest_at_every_height(tab: SnapshotsTab, estate: Estate) -> None:
    """A picture is taller where it is wider: the scroll bar once flipped for ever where all fitted only beside it."""
    estate.engine.change(VM, "before", name_description="Short")
    tab.chosen.choose(("before",))
    area = tab.details.findChild(QScrollArea)
    assert area is not None
    window = tab.window()
    assert not restless(area, lambda height: window.resize(1150, height), range(500, 900, 2))
    assert area.verticalScrollBar().maximum() == 0, "so large that all is seen"
