"""For the tests of export and import: a small pool, transfers that wait, and a folder for files."""

from __future__ import annotations

from collections.abc import AsyncIterator
from pathlib import Path

import pytest
from PySide6.QtWidgets import QApplication, QWidget

from tests.ui.exchange.standin import Transfers
from tests.ui.machines.world import World, make_world
from ui.base import theme
from ui.exchange import commands
from ui.exchange.target import FOLDER


@pytest.fixture
def transfers(monkeypatch: pytest.MonkeyPatch) -> Transfers:
    made = Transfers()
    made.install(monkeypatch)
    return made


@pytest.fixture
async def world(qapp: QApplication, tmp_path: Path, transfers: Transfers) -> AsyncIterator[World]:
    theme.apply(qapp, theme.Theme.LIGHT)
    made = make_world(tmp_path)
    made.workspace.settings.put(FOLDER, str(tmp_path))
    made.workspace.window = window = QWidget()
    window.resize(900, 600)
    commands.register(made.workspace)
    yield made
    await made.workspace.commands.stop()
    await made.workspace.close()
    await made.engine.close()
    window.deleteLater()
