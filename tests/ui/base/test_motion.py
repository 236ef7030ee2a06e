"""Nothing moves for people who asked for that, wherever they asked."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from pathlib import Path

import pytest
from PySide6.QtWidgets import QWidget
from pytestqt.qtbot import QtBot

from ui.base import motion

pytestmark = pytest.mark.skipif(sys.platform != "linux", reason="asks Linux desktops")


@pytest.fixture(autouse=True)
def fresh(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Iterator[None]:
    motion._system_wish.cache_clear()
    monkeypatch.setenv("PATH", str(tmp_path))
    monkeypatch.setenv("XDG_CONFIG_HOME", str(tmp_path))
    monkeypatch.delenv("XDG_CURRENT_DESKTOP", raising=False)
    yield
    motion.set_reduced(None)
    motion._system_wish.cache_clear()


def gsettings(folder: Path, script: str) -> None:
    program = folder / "gsettings"
    program.write_text(f"#!/bin/sh\n{script}\n", encoding="utf-8")
    program.chmod(0o755)


def test_without_a_desktop_things_move() -> None:
    assert not motion.is_reduced()
    assert motion.milliseconds(100) == 100
    assert motion.milliseconds(5000) == motion.LONGEST


@pytest.mark.parametrize(("answer", "reduced"), [("false", True), ("true", False)])
def test_gnome_is_asked(tmp_path: Path, answer: str, reduced: bool) -> None:
    gsettings(tmp_path, f'[ "$*" = "get org.gnome.desktop.interface enable-animations" ] && echo {answer}')
    assert motion.is_reduced() is reduced
    assert (motion.milliseconds() == 0) is reduced


def test_a_desktop_that_fails_to_answer_changes_nothing(tmp_path: Path) -> None:
    gsettings(tmp_path, "echo 'No such schema' >&2; exit 1")
    assert not motion.is_reduced()


@pytest.mark.parametrize(
    ("text", "reduced"),
    [
        ("[KDE]\nAnimationDurationFactor=0\n", True),
        ("[KDE]\nAnimationDurationFactor=0.5\n", False),
        ("[KDE]\nAnimationDurationFactor=fast\n", False),
        ("not a settings file\n", False),
    ],
)
def test_plasma_is_read(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, text: str, reduced: bool) -> None:
    monkeypatch.setenv("XDG_CURRENT_DESKTOP", "KDE")
    (tmp_path / "kdeglobals").write_text(text, encoding="utf-8")
    assert motion.is_reduced() is reduced


def test_the_persons_own_choice_comes_first(tmp_path: Path) -> None:
    gsettings(tmp_path, "echo false")
    motion.set_reduced(False)
    assert not motion.is_reduced()


def test_a_movement_ends_where_it_should_and_tells(qtbot: QtBot) -> None:
    widget, ended = QWidget(), []
    qtbot.addWidget(widget)
    motion.set_reduced(False)
    movement = motion.animate(widget, "minimumWidth", 40, 30, then=lambda: ended.append(True))
    with qtbot.waitSignal(movement.finished):
        pass
    assert (widget.minimumWidth(), ended) == (40, [True])
    motion.set_reduced(True)
    motion.animate(widget, "minimumWidth", 80, then=lambda: ended.append(True))
    assert (widget.minimumWidth(), ended) == (80, [True, True])
