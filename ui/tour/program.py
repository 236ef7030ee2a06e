"""`stillframe tour DIR`."""

from __future__ import annotations

import os
import shutil
import sys
import tempfile
from pathlib import Path

from PySide6.QtCore import QMessageLogContext, QtMsgType, qInstallMessageHandler
from PySide6.QtWidgets import QApplication

from app import log
from app.api import Failure
from app.config import ConfigError, load
from ui.application import CannotOpen, Desktop, make_application
from ui.base import loop, theme
from ui.tour import steps
from ui.tour.stage import Stage, TourFailed

SIZE = (1440, 900)


def main(folder: Path, data_dir: Path | None = None) -> int:
    """Take the tour and answer the exit status: 0 only if every step happened.

    Works in a temporary data folder unless one is given, and without a screen.
    """
    if not os.environ.get("DISPLAY") and not os.environ.get("WAYLAND_DISPLAY"):
        os.environ.setdefault("QT_QPA_PLATFORM", "offscreen")
    temporary = None if data_dir is not None else Path(tempfile.mkdtemp(prefix="stillframe-tour-"))
    try:
        folder.mkdir(parents=True, exist_ok=True)
        qInstallMessageHandler(_say)
        config = load(data_dir or temporary)
        log.setup(config)
        return loop.run(make_application(), _take(Desktop(config), folder))
    except (ConfigError, CannotOpen, OSError) as error:
        print(f"stillframe tour: {error}", file=sys.stderr)  # noqa: T201
        return 1
    finally:
        log.shutdown()
        if temporary is not None:
            shutil.rmtree(temporary, ignore_errors=True)


def _say(_kind: QtMsgType, _context: QMessageLogContext, words: str) -> None:
    """Qt's own messages, less those on what a platform without a screen lacks."""
    if not words.startswith("This plugin does not support"):
        print(words, file=sys.stderr)  # noqa: T201


async def _take(desktop: Desktop, folder: Path) -> int:
    await desktop.open()
    app = QApplication.instance()
    assert isinstance(app, QApplication)
    theme.apply(app, theme.Theme.LIGHT)
    stage = Stage(desktop, folder)
    desktop.window.resize(*SIZE)
    desktop.window.show()
    try:
        await steps.take(stage)
    except (TourFailed, Failure) as error:
        print(f"stillframe tour: {error}", file=sys.stderr)  # noqa: T201
        desktop.window.grab().save(str(folder / "failed.png"))
        return 1
    finally:
        await desktop.close()
    print(f"{len(stage.pictures)} pictures in {folder}")  # noqa: T201
    return 0
