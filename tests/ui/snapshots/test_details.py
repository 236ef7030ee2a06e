"""The details beside the snapshots: facts, editing in place, the guest's screen."""

from __future__ import annotations

from PySide6.QtCore import Qt
from PySide6.QtTest import QTest
from PySide6.QtWidgets import QScrollArea

from app.api import VDI, VM, Failure
from tests.support.settling import restless
from tests.ui.snapshots.conftest import OpenTab
from tests.ui.snapshots.driving import LEFT, plain, press
from tests.ui.snapshots.estate import GIB, Estate
from tests.ui.snapshots.waiting import opened, until
from ui.base.dialogs import ErrorDialog
from ui.snapshots.screen_dialog import ScreenDialog
from ui.snapshots.tab import SnapshotsTab

# ---- details --------------------------------------------------------------------------------------------------


def test_details_of_one(tab: SnapshotsTab) -> None:
    tab.chosen.choose(("before",))
    facts = {what: plain(value) for what, value in tab.details.facts.facts()}
    assert facts["Type"] == "Disks and memory"
    assert facts["Consistency"] == "One instant, 2 disks, RAM"
    assert facts["Guest paused"] == "14 ms"
    assert facts["Size"] == "2.1 GiB own, 9 GiB shared"
    assert facts["Chain depth"] == "2 of 30"
    assert facts["Made by"] == "By hand"
    assert facts["State then"] == "Running"


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
