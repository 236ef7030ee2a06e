"""Real qemu-img and qemu-io."""

from __future__ import annotations

import subprocess
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from app import crash_points
from app.storage.file_repository import FileRepository

Tool = Callable[..., str]


@pytest.fixture
def repository(tmp_path: Path) -> FileRepository:
    repository = FileRepository(tmp_path / "sr")
    repository.open()
    return repository


@pytest.fixture
def tool() -> Tool:
    """Run a QEMU tool to its end and give what it printed; a failure fails the test."""

    def run(*command: str | Path) -> str:
        done = subprocess.run([str(part) for part in command], capture_output=True, text=True, check=False)
        assert done.returncode == 0, done.stdout + done.stderr
        return done.stdout

    return run


@pytest.fixture(autouse=True)
def _fresh_counts() -> Iterator[None]:
    crash_points.reset()
    yield
    crash_points.reset()
