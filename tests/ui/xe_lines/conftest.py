"""The desk with a terminal beside it."""

from __future__ import annotations

from collections.abc import AsyncIterator
from pathlib import Path

import pytest
from PySide6.QtWidgets import QApplication

from tests.ui.xe_lines.desk import XeDesk, open_desk
from ui.base import theme


@pytest.fixture
async def desk(qapp: QApplication, data_dir: Path) -> AsyncIterator[XeDesk]:
    theme.apply(qapp, theme.Theme.LIGHT)
    async with open_desk(data_dir) as made:
        yield made
