"""For all tests: a data folder of their own, and never the developer's."""

from __future__ import annotations

import shutil
import tempfile
from collections.abc import Iterator
from pathlib import Path

import hypothesis
import pytest

from app.config import DATA_DIR_VARIABLE

# No test asserts a time, and none fails because the machine is busy.
hypothesis.settings.register_profile("patient", deadline=None, suppress_health_check=[hypothesis.HealthCheck.too_slow])
hypothesis.settings.load_profile("patient")


@pytest.fixture
def data_dir() -> Iterator[Path]:
    """A data folder not made yet, with a path short enough for the sockets in it; removed after the test.

    `tmp_path` holds the test's name and is often too long for a socket address.
    """
    parent = Path(tempfile.mkdtemp(prefix="sf-"))
    yield parent / "data"
    shutil.rmtree(parent)


@pytest.fixture(autouse=True)
def _nobodys_data_dir(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """A test that forgets to name its data folder must not open the one of whoever runs it."""
    monkeypatch.setenv(DATA_DIR_VARIABLE, str(tmp_path / "unnamed"))
