"""The tour as a user takes it: a process of its own, real widgets, a real guest."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest
from PySide6.QtGui import QImage

pytestmark = pytest.mark.timeout(300)


def take_tour(folder: Path, *options: str) -> subprocess.CompletedProcess[str]:
    """Run `stillframe tour` without a screen."""
    environment = {k: v for k, v in os.environ.items() if k not in ("DISPLAY", "WAYLAND_DISPLAY")}
    return subprocess.run(
        [sys.executable, "-m", "app", "tour", str(folder), *options],
        env=environment,
        capture_output=True,
        text=True,
        timeout=280,
        check=False,
    )


def test_the_main_job_from_first_start_to_a_revert(tmp_path: Path) -> None:
    done = take_tour(tmp_path / "pictures")
    assert done.returncode == 0, done.stderr + done.stdout
    pictures = sorted((tmp_path / "pictures").glob("*.png"))
    assert len(pictures) >= 24
    assert not [p.name for p in pictures if not shows_something(p)]
    assert sum("light" in p.name for p in pictures) == sum("dark" in p.name for p in pictures)


def test_a_step_that_does_not_happen_is_told(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("STILLFRAME_QEMU", str(tmp_path / "no-qemu-here"))
    done = take_tour(tmp_path / "pictures")
    assert done.returncode != 0
    assert "stillframe tour:" in done.stderr
    assert "waited" not in done.stderr, "the failure that the window shows is not waited out"


def shows_something(path: Path) -> bool:
    """True if the picture has many colours: text, icons, lines."""
    image = QImage(str(path))
    places = ((x, y) for x in range(0, image.width(), 7) for y in range(0, image.height(), 7))
    return len({image.pixel(x, y) for x, y in places}) > 12
