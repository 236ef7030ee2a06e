"""Every icon can be drawn, in both themes, at every size and density."""

from __future__ import annotations

import re
import subprocess
import sys
from pathlib import Path

import pytest
from PySide6.QtCore import QSize
from PySide6.QtGui import QIcon, QImage, QPixmap
from PySide6.QtWidgets import QApplication

from ui.base import icons, svg, theme
from ui.base.palette import DARK, LIGHT

ROOT = Path(__file__).resolve().parents[3]
FAMILY = [
    "stillframe",
    "pool",
    "host",
    "vm-running",
    "vm-paused",
    "vm-suspended",
    "vm-halted",
    "vm-busy",
    "template",
    "sr-local",
    "sr-iso",
    "disk",
    "cd",
    "network",
    "snapshot",
    "snapshot-memory",
    "snapshot-scheduled",
    "snapshot-quiesced",
    "lock",
    "schedule",
    "clock",
    "info",
    "warning",
    "alert-info",
    "alert-attention",
    "alert-bad",
    "alert-good",
    "plus",
    "play",
    "stop",
    "pause",
    "suspend",
    "resume",
    "restart",
    "force-stop",
    "camera",
    "revert",
    "delete",
    "export",
    "import",
    "search",
    "bell",
    "settings",
    "console",
    "copy",
    "more",
    "chevron-up",
    "chevron-down",
    "chevron-left",
    "chevron-right",
    "list",
    "graph",
    "filter",
    "fit",
    "zoom",
    "check",
    "close",
    "edit",
    "refresh",
    "keyboard",
    "save",
]


@pytest.fixture(autouse=True)
def light(qapp: QApplication) -> None:
    theme.apply(qapp, theme.Theme.LIGHT)


def colours_in(picture: QPixmap) -> set[str]:
    image = picture.toImage().convertToFormat(QImage.Format.Format_ARGB32)
    points = ((x, y) for x in range(image.width()) for y in range(image.height()))
    return {image.pixelColor(x, y).name() for x, y in points if image.pixelColor(x, y).alpha() == 255}


def inked(picture: QPixmap) -> int:
    image = picture.toImage()
    return sum(image.pixelColor(x, y).alpha() > 60 for x in range(image.width()) for y in range(image.height()))


@pytest.mark.parametrize("chosen", [theme.Theme.LIGHT, theme.Theme.DARK])
def test_every_icon_draws_something_in_both_themes(qapp: QApplication, chosen: theme.Theme) -> None:
    theme.apply(qapp, chosen)
    empty = [name for name in icons.names() if inked(icons.pixmap(name, 16)) < 8]
    assert not empty


@pytest.mark.parametrize("name", FAMILY)
def test_the_family_is_complete(name: str) -> None:
    assert name in icons.names()
    assert not icons.icon(name).isNull()


def test_files_are_text_coloured_and_of_one_grid() -> None:
    for path in sorted((ROOT / "resources" / "icons").glob("*.svg")):
        if path.stem == icons.LOGO:
            continue
        text = path.read_text(encoding="utf-8")
        assert 'viewBox="0 0 20 20"' in text, path.name
        assert "#" not in text, f"{path.name} has a colour of its own"
        assert set(re.findall(r'class="([^"]*)"', text)) <= set(svg.TONES), path.name


def test_names_in_the_program_exist() -> None:
    call = re.compile(r"""\b(?:icons\.)?(?:icon|pixmap)\(\s*"([a-z0-9-]+)\"""")
    used = {
        (path.name, name)
        for path in (ROOT / "ui").rglob("*.py")
        for name in call.findall(path.read_text(encoding="utf-8"))
    }
    assert used, "the pattern finds nothing: this test would never fail"
    assert not [(file, name) for file, name in used if name not in icons.names()]


def test_an_unknown_name_is_refused() -> None:
    with pytest.raises(LookupError, match="no icon is called 'vm-on-fire'"):
        icons.icon("vm-on-fire")
    with pytest.raises(LookupError, match="no tone is called 'teal'"):
        icons.icon("host", "teal")
    with pytest.raises(LookupError):
        icons.pixmap("", 16)


def test_an_icon_follows_the_theme_without_being_asked_for_again(qapp: QApplication) -> None:
    asked_once = icons.icon("vm-running")
    assert LIGHT.good in colours_in(asked_once.pixmap(QSize(64, 64)))
    theme.apply(qapp, theme.Theme.DARK)
    assert DARK.good in colours_in(asked_once.pixmap(QSize(64, 64)))
    assert LIGHT.good not in colours_in(asked_once.pixmap(QSize(64, 64)))


def test_disabled_icons_have_one_quiet_colour() -> None:
    seen = colours_in(icons.icon("vm-running").pixmap(QSize(64, 64), QIcon.Mode.Disabled))
    assert LIGHT.disabled in seen
    assert LIGHT.good not in seen
    assert colours_in(icons.pixmap("vm-running", 64, enabled=False)) == seen


def test_a_toned_icon_has_one_colour() -> None:
    seen = colours_in(icons.pixmap("camera", 64, tone="accent_text"))
    assert LIGHT.accent_text in seen
    assert LIGHT.accent not in seen


@pytest.mark.parametrize("dpr", [1.0, 1.25, 2.0, 3.0])
def test_pixmaps_are_as_dense_as_the_screen(dpr: float) -> None:
    for picture in (icons.pixmap("host", 16, dpr), icons.icon("host").pixmap(QSize(16, 16), dpr)):
        assert picture.devicePixelRatio() == dpr
        assert picture.width() == round(16 * dpr)


def test_the_same_icon_is_the_same_object() -> None:
    assert icons.icon("host") is icons.icon("host")
    assert icons.pixmap("host", 16).cacheKey() == icons.pixmap("host", 16).cacheKey()


def test_lines_are_near_one_and_a_half_pixels_at_small_sizes() -> None:
    for size in (16, 20, 24):
        assert svg.stroke_width(size) * size / svg.GRID == pytest.approx(1.5, abs=0.12)
    with pytest.raises(ValueError, match="0 px"):
        svg.stroke_width(0)


def test_icons_do_not_break_the_end_of_the_program() -> None:
    """An icon engine in Python outlives its module: copies, clones and the end of the interpreter must all be quiet."""
    script = """
import gc
from PySide6.QtCore import QSize
from PySide6.QtGui import QAction, QIcon
from PySide6.QtWidgets import QApplication
from ui.base import icons, theme
app = QApplication([])
theme.apply(app, theme.Theme.LIGHT)
actions = []
for turn in range(20):
    for name in icons.names():
        action = QAction(icons.icon(name), name)
        copy = QIcon(action.icon())
        copy.addPixmap(icons.pixmap(name, 20))   # detaches, which clones the engine
        assert not copy.pixmap(QSize(16, 16)).isNull()
        actions.append(action)
    gc.collect()
    actions.clear()
"""
    done = subprocess.run([sys.executable, "-c", script], cwd=ROOT, capture_output=True, text=True, check=False)
    assert (done.returncode, done.stderr) == (0, "")
