"""A workspace over a fake engine, for the parts of the window."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest
from PySide6.QtWidgets import QApplication

from tests.support.fake_session import FakeEngine
from ui.base.settings import Settings
from ui.base.workspace import Workspace


@pytest.fixture
def engine() -> FakeEngine:
    return FakeEngine()


@pytest.fixture
def workspace(qapp: QApplication, engine: FakeEngine, tmp_path: Path) -> Iterator[Workspace]:
    made = Workspace(engine.session(), engine.cache, Settings(tmp_path / "settings.ini"))
    yield made
    made.deleteLater()
