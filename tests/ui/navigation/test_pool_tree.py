"""The tree under hand and keyboard: what is chosen, folded, searched, renamed."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest
from PySide6.QtCore import QPoint, Qt
from PySide6.QtGui import QContextMenuEvent
from PySide6.QtTest import QTest
from PySide6.QtWidgets import QApplication, QLineEdit, QMenu
from pytestqt.qtbot import QtBot

from app.api import VM, Ref
from app.api.enums import VMPowerState
from tests.support.fake_session import FakeEngine
from tests.ui.main_window import pools
from ui.base.commands import Command, Selection, disabled
from ui.base.settings import Settings
from ui.base.workspace import Workspace
from ui.navigation.pool_tree import DEFAULT_TEMPLATES, PoolTree, existing

MENUS = {"VM": ("vm.start", "-", "vm.none", "-", "vm.delete"), "SR": ("sr.none",)}
DB, WEB, WIN = ("VM", pools.DB), ("VM", pools.WEB), ("VM", pools.WIN)
HOST, POOL = ("host", pools.HOST), ("pool", pools.POOL)


@pytest.fixture
def ran(workspace: Workspace) -> list[tuple[str, Selection]]:
    """What the commands of the tree were run with."""
    noted: list[tuple[str, Selection]] = []

    def can_start(context: Workspace, selection: Selection) -> object:
        record = context.cache.get(VM, selection[0][1])
        halted = record is not None and record.power_state is VMPowerState.Halted
        return (
            disabled("") if not halted else Command(id="x", title="", run=lambda _w, _s: None).state(context, selection)
        )

    workspace.commands.add(
        Command(id="vm.start", title="Start", run=lambda _w, s: noted.append(("vm.start", s)), state=can_start),  # type: ignore[arg-type]
        Command(id="vm.delete", title="Delete", run=lambda _w, s: noted.append(("vm.delete", s))),
    )
    return noted


@pytest.fixture
def tree(qtbot: QtBot, engine: FakeEngine, workspace: Workspace, ran: object) -> Iterator[PoolTree]:
    pools.small_pool(engine)
    made = PoolTree(workspace, MENUS)
    qtbot.addWidget(made)
    made.resize(280, 500)
    made.show()
    yield made


def names(tree: PoolTree) -> list[str]:
    return [str(tree.pool.index_of(key).data()) for _, key in tree.pool.outline()]


# ---- what is chosen -------------------------------------------------------------------------------------------


def test_at_first_the_pool_is_chosen_and_all_is_unfolded(tree: PoolTree) -> None:
    assert tree.selection() == (POOL,)
    assert tree.folded() == []


def test_choosing_tells_once(qtbot: QtBot, tree: PoolTree) -> None:
    with qtbot.waitSignal(tree.chosen):
        assert tree.choose(WEB)
    assert tree.selection() == (WEB,)
    with qtbot.assertNotEmitted(tree.chosen):
        tree.choose(WEB)
    assert not tree.choose(("VM", "OpaqueRef:none"))


def test_what_is_chosen_outlives_every_update(qtbot: QtBot, engine: FakeEngine, tree: PoolTree) -> None:
    tree.choose(WEB)
    with qtbot.assertNotEmitted(tree.chosen):
        engine.change(VM, pools.WEB, name_label="zzz-last")
        engine.put(pools.machine("aaa-first"))
        engine.remove(VM, pools.WIN)
        pools.put_all(engine, ((f"OpaqueRef:s{n}", pools.machine(f"b{n}z")) for n in range(30)))
        pools.put_all(engine, ((f"OpaqueRef:s{n}", pools.machine(f"{n}")) for n in range(30)))
    assert tree.selection() == (WEB,)
    assert tree.currentIndex().data() == "zzz-last"


@pytest.mark.parametrize("held", [Qt.KeyboardModifier.ControlModifier, Qt.KeyboardModifier.ShiftModifier])
def test_what_the_program_chooses_is_chosen_alone(tree: PoolTree, held: Qt.KeyboardModifier) -> None:
    tree.choose(WEB)
    QTest.keyPress(tree, Qt.Key.Key_F16, held)
    try:
        tree.choose(DB)
        assert tree.selection() == (DB,), "whatever key somebody holds"
    finally:
        QTest.keyRelease(tree, Qt.Key.Key_F16)


def test_several_are_told_from_top_to_bottom(tree: PoolTree) -> None:
    tree.choose(WEB)
    tree.selectionModel().select(tree.pool.index_of(DB), tree.selectionModel().SelectionFlag.Select)
    assert tree.selection() == (DB, WEB)


def test_when_the_chosen_one_goes_another_is_chosen(engine: FakeEngine, tree: PoolTree) -> None:
    tree.choose(WEB)
    engine.remove(VM, pools.WEB)
    assert len(tree.selection()) == 1
    assert tree.selection() != (WEB,)


def test_when_all_goes_at_once_nothing_is_chosen(engine: FakeEngine, tree: PoolTree) -> None:
    tree.choose(WEB)
    engine.cache.apply(pools.nothing(), complete=True)
    assert tree.selection() == ()


def test_a_click_beside_the_rows_changes_nothing(tree: PoolTree) -> None:
    tree.choose(WEB)
    QTest.mouseClick(tree.viewport(), Qt.MouseButton.LeftButton, pos=QPoint(100, 480))
    assert tree.selection() == (WEB,)


# ---- folding, searching, over restarts ------------------------------------------------------------------------


def test_folding_outlives_a_reset(engine: FakeEngine, tree: PoolTree) -> None:
    tree.choose(WEB)
    tree.collapse(tree.pool.index_of(HOST))
    pools.put_all(engine, ((f"OpaqueRef:s{n}", pools.machine(f"b{n}z")) for n in range(30)))
    pools.put_all(engine, ((f"OpaqueRef:s{n}", pools.machine(f"{n}")) for n in range(30)))
    assert tree.folded() == [HOST]


def test_a_search_unfolds_and_gives_back_what_was(qtbot: QtBot, engine: FakeEngine, tree: PoolTree) -> None:
    tree.choose(DB)
    tree.collapse(tree.pool.index_of(HOST))
    chosen = tree.selection()
    with qtbot.assertNotEmitted(tree.chosen):
        tree.search("web nothing")
        assert names(tree) == ["Local pool", "workstation", "web-01"]
        assert tree.isExpanded(tree.pool.index_of(HOST))
        engine.put(pools.machine("web-02"))
        assert names(tree)[-1] == "web-02"
        tree.search("")
    assert tree.folded() == [HOST]
    assert tree.selection() == chosen


def test_what_a_search_hides_stays_chosen_until_it_is_gone(engine: FakeEngine, tree: PoolTree) -> None:
    tree.choose(WIN)
    tree.search("web")
    assert tree.selection() == (WIN,)
    tree.search("")
    assert tree.selection() == (WIN,)
    assert tree.currentIndex().data() == "test-win11"
    tree.search("web")
    engine.remove(VM, pools.WIN)
    assert tree.selection() != (WIN,)


def test_chosen_and_folded_outlive_the_program(qtbot: QtBot, workspace: Workspace, tree: PoolTree) -> None:
    tree.choose(DB)
    tree.save()
    again = PoolTree(workspace, MENUS)
    qtbot.addWidget(again)
    assert again.selection() == (DB,)
    assert again.folded() == []
    tree.choose(HOST)
    tree.collapse(tree.pool.index_of(HOST))
    tree.save()
    again = PoolTree(workspace, MENUS)
    qtbot.addWidget(again)
    assert (again.selection(), again.folded()) == ((HOST,), [HOST])


def test_a_tree_made_before_the_cache_is_filled_restores_when_it_is(
    qtbot: QtBot, qapp: QApplication, tmp_path: Path
) -> None:
    engine = FakeEngine()
    settings = Settings(tmp_path / "other.ini")
    settings.put_list("tree/chosen", [f"VM {pools.WEB}"])
    workspace = Workspace(engine.session(), engine.cache, settings)
    tree = PoolTree(workspace, MENUS)
    qtbot.addWidget(tree)
    assert tree.selection() == ()
    source = FakeEngine()
    pools.small_pool(source)
    engine.cache.apply(pools.everything(source), complete=True)
    assert tree.selection() == (WEB,)


def test_damaged_settings_choose_the_pool(qtbot: QtBot, workspace: Workspace, engine: FakeEngine) -> None:
    workspace.settings.put_list("tree/chosen", ["", "nonsense", "Elephant OpaqueRef:1"])
    workspace.settings.put_list("tree/folded", ["host"])
    pools.small_pool(engine)
    tree = PoolTree(workspace, MENUS)
    qtbot.addWidget(tree)
    assert tree.selection() == (POOL,)


def test_built_in_templates_follow_the_setting(workspace: Workspace, tree: PoolTree) -> None:
    workspace.settings.put(DEFAULT_TEMPLATES, True)
    assert "Sample guest" in names(tree)
    workspace.settings.put(DEFAULT_TEMPLATES, False)
    assert "Sample guest" not in names(tree)


# ---- keyboard and mouse ---------------------------------------------------------------------------------------


async def test_f2_renames_where_it_stands(engine: FakeEngine, tree: PoolTree) -> None:
    tree.choose(WEB)
    tree.setFocus()
    QTest.keyClick(tree, Qt.Key.Key_F2)
    editor = tree.findChild(QLineEdit)
    assert editor is not None
    assert editor.text() == "web-01"
    tree.rename()  # as the menu does: Qt would warn, and the editor stays
    assert tree.findChild(QLineEdit) is editor
    editor.setText("  web-1a ")
    QTest.keyClick(editor, Qt.Key.Key_Return)
    await pools.settled()
    assert engine.called("VM.set_name_label") == [(pools.WEB, "web-1a")]


async def test_a_new_name_is_sent_and_an_empty_or_equal_one_is_not(engine: FakeEngine, tree: PoolTree) -> None:
    index = tree.pool.index_of(HOST)
    assert not tree.pool.setData(index, "   ")
    assert not tree.pool.setData(index, "workstation")
    assert tree.pool.setData(index, "garage")
    await pools.settled()
    assert engine.called("host.set_name_label") == [(pools.HOST, "garage")]
    assert engine.calls == [("host.set_name_label", (Ref(pools.HOST), "garage"))]


def test_del_deletes_what_is_chosen(tree: PoolTree, ran: list[tuple[str, Selection]]) -> None:
    tree.choose(WIN)
    QTest.keyClick(tree, Qt.Key.Key_Delete)
    assert ran == [("vm.delete", (WIN,))]


def double_click(tree: PoolTree, key: tuple[str, str]) -> None:
    place = tree.visualRect(tree.pool.index_of(key)).center()
    QTest.mouseDClick(tree.viewport(), Qt.MouseButton.LeftButton, pos=place)


def test_a_double_click_starts_a_halted_vm_only(tree: PoolTree, ran: list[tuple[str, Selection]]) -> None:
    double_click(tree, DB)
    assert ran == []
    double_click(tree, WIN)
    assert ran == [("vm.start", (WIN,))]


def test_a_double_click_on_a_host_folds_it(tree: PoolTree) -> None:
    double_click(tree, HOST)
    assert tree.folded() == [HOST]
    double_click(tree, HOST)
    assert tree.folded() == []


def test_the_context_menu_has_the_commands_there_are(tree: PoolTree) -> None:
    tree.choose(WIN)
    assert tree.menu_ids() == ["vm.start", "-", "vm.delete"]
    tree.selectAll()
    assert tree.menu_ids() == []
    tree.choose(HOST)
    assert tree.menu_ids() == []


@pytest.mark.qt_log_ignore("grabbing the keyboard", extend=True)
def test_the_menu_key_opens_the_menu_of_what_is_chosen(
    qtbot: QtBot, tree: PoolTree, ran: list[tuple[str, Selection]]
) -> None:
    tree.choose(WIN)
    event = QContextMenuEvent(QContextMenuEvent.Reason.Keyboard, QPoint(0, 0), tree.mapToGlobal(QPoint(0, 0)))
    QApplication.sendEvent(tree.viewport(), event)
    menu = tree.findChild(QMenu)
    assert menu is not None
    menu.actions()[0].trigger()
    assert ran == [("vm.start", (WIN,))]
    menu.close()


def test_separators_stand_only_between_entries() -> None:
    assert existing(("-", "a", "-", "b", "-", "-", "c", "-"), ("a", "c")) == ["a", "-", "c"]
    assert existing(("-", "b"), ()) == []
