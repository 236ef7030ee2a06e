"""Real qemu-img and qemu-io."""

from __future__ import annotations

import asyncio
import subprocess
from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import asynccontextmanager
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


@asynccontextmanager
async def held_open(image: Path) -> AsyncIterator[None]:
    """Meanwhile a QEMU has the image open for writing."""
    holder = await asyncio.create_subprocess_exec(
        *("stdbuf", "-oL", "qemu-io", "-f", "qcow2", "-c", "read 0 64k", "-c", "sleep 600000", str(image)),
        stdout=asyncio.subprocess.PIPE,
    )
    assert holder.stdout is not None
    await holder.stdout.readline()
    try:
        yield
    finally:
        holder.kill()
        await holder.communicate()
