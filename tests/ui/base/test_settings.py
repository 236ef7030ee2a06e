"""Settings come back with their types, and a damaged file is no reason not to start."""

from __future__ import annotations

import stat
import sys
from pathlib import Path

import pytest
from PySide6.QtCore import QRect, Qt
from PySide6.QtWidgets import QSplitter, QTreeWidget, QWidget
from pytestqt.qtbot import QtBot

from ui.base.settings import Settings
from ui.base.theme import Theme


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "settings.ini"


def again(settings: Settings, path: Path) -> Settings:
    assert settings.sync()
    return Settings(path)


@pytest.mark.parametrize(
    ("value", "default"), [(True, False), (False, True), (7, 0), (-1, 5), (0.25, 1.0), ("a b; c=d, \u4e2d", "")]
)
def test_values_come_back_with_their_type(path: Path, value: bool | int | float | str, default: object) -> None:
    settings = Settings(path)
    settings.put("a/key", value)
    found = again(settings, path).get("a/key", default)  # type: ignore[type-var]
    assert (found, type(found)) == (value, type(value))


def test_what_is_not_set_is_the_default(path: Path) -> None:
    settings = Settings(path)
    assert settings.get("nothing", 3) == 3
    assert settings.theme is Theme.SYSTEM
    assert settings.get_list("nothing") == []


@pytest.mark.parametrize(("text", "default"), [("many", 3), ("yes", True), ("", 1.5)])
def test_a_damaged_value_counts_as_not_set(path: Path, text: str, default: int | float | bool) -> None:
    path.write_text(f"[General]\nkey={text}\ntheme=teal\n", encoding="utf-8")
    settings = Settings(path)
    assert settings.get("key", default) == default
    assert settings.theme is Theme.SYSTEM


def test_the_theme_and_lists_are_remembered(path: Path) -> None:
    settings = Settings(path)
    settings.theme = Theme.DARK
    settings.put_list("servers", ["berlin:443"])
    settings.put_list("two", ["a", "b, c"])
    settings = again(settings, path)
    assert settings.theme is Theme.DARK
    assert settings.get_list("servers") == ["berlin:443"]
    assert settings.get_list("two") == ["a", "b, c"]
    settings.put_list("two", [])
    assert again(settings, path).get_list("two") == []


def test_a_change_is_told_once(path: Path, qtbot: QtBot) -> None:
    settings = Settings(path)
    told: list[str] = []
    settings.changed.connect(told.append)
    settings.put("a", 1)
    settings.put("a", 1)
    settings.put("a", 2)
    assert told == ["a", "a"]


def test_removing_forgets_all_below(path: Path) -> None:
    settings = Settings(path)
    settings.put("columns/vms", "x")
    settings.remove("columns")
    assert settings.get("columns/vms", "gone") == "gone"


@pytest.mark.skipif(sys.platform == "win32", reason="Windows has no such modes; the folder is private there")
def test_the_file_is_private_before_and_after_writing(path: Path) -> None:
    settings = Settings(path)
    assert stat.S_IMODE(path.stat().st_mode) == 0o600
    settings.put("a", 1)
    settings.sync()
    assert stat.S_IMODE(path.stat().st_mode) == 0o600


def test_windows_come_back_to_their_place(path: Path, qtbot: QtBot) -> None:
    settings = Settings(path)
    window = QWidget()
    qtbot.addWidget(window)
    assert not settings.restore_window("main", window)
    window.setGeometry(QRect(40, 60, 500, 300))
    settings.save_window("main", window)
    other = QWidget()
    qtbot.addWidget(other)
    assert again(settings, path).restore_window("main", other)
    assert other.size() == window.size()


def test_splitters_come_back_and_keep_thin_handles(path: Path, qtbot: QtBot) -> None:
    def made() -> QSplitter:
        splitter = QSplitter(Qt.Orientation.Horizontal)
        qtbot.addWidget(splitter)
        splitter.addWidget(QWidget())
        splitter.addWidget(QWidget())
        splitter.resize(401, 100)
        splitter.setHandleWidth(1)
        return splitter

    settings, splitter = Settings(path), made()
    splitter.setSizes([100, 300])
    settings.save_splitter("main", splitter)
    other = made()
    assert again(settings, path).restore_splitter("main", other)
    assert other.sizes() == splitter.sizes()
    assert other.handleWidth() == 1


def test_columns_come_back_only_to_a_table_with_as_many(path: Path, qtbot: QtBot) -> None:
    def made(columns: int) -> QTreeWidget:
        table = QTreeWidget()
        qtbot.addWidget(table)
        table.setColumnCount(columns)
        return table

    settings, table = Settings(path), made(3)
    table.header().resizeSection(0, 222)
    table.header().setSectionHidden(1, True)
    settings.save_columns("vms", table.header())
    settings = again(settings, path)
    other = made(3)
    assert settings.restore_columns("vms", other.header())
    assert (other.header().sectionSize(0), other.header().isSectionHidden(1)) == (222, True)
    assert not settings.restore_columns("vms", made(4).header())
    assert not settings.restore_columns("srs", other.header())
