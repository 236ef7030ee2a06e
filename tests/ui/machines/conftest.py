"""For the machines' tests: a small pool, and the light theme."""

from __future__ import annotations

from collections.abc import AsyncIterator
from pathlib import Path

import pytest
from PySide6.QtWidgets import QApplication

from tests.ui.machines.world import World, make_world
from ui.base import theme
from ui.machines import commands


@pytest.fixture
async def world(qapp: QApplication, tmp_path: Path) -> AsyncIterator[World]:
    theme.apply(qapp, theme.Theme.LIGHT)
    made = make_world(tmp_path)
    commands.register(made.workspace)
    yield made
    await made.workspace.commands.stop()
    await made.workspace.close()
    await made.engine.close()
