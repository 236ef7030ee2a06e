from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from app import crash_points
from app.storage.file_repository import FileRepository


@pytest.fixture
def repository(tmp_path: Path) -> FileRepository:
    repository = FileRepository(tmp_path / "sr")
    repository.open()
    return repository


@pytest.fixture(autouse=True)
def _fresh_counts() -> Iterator[None]:
    crash_points.reset()
    yield
    crash_points.reset()
