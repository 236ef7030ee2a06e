"""Fixtures of the guests' own tests."""

from __future__ import annotations

import shutil
import tempfile
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from tests.engine.sample_guest.machine import QEMU

IMAGE = Path(__file__).resolve().parents[3] / "resources" / "sample_guest" / "sample-guest.img"
DISK_SIZE = 1 << 20

MakeDisks = Callable[[int], list[Path]]


@pytest.fixture
def folder() -> Iterator[Path]:
    """A folder with a short name: a Unix socket's path ends at 107 bytes."""
    if shutil.which(QEMU) is None:
        pytest.skip(f"{QEMU} is not installed")
    with tempfile.TemporaryDirectory(prefix="sg") as name:
        yield Path(name)


@pytest.fixture
def make_disks(folder: Path) -> MakeDisks:
    """Makes raw disks: the first starts the sample guest, the others are empty."""

    def make(count: int) -> list[Path]:
        disks = [folder / f"disk{index}.raw" for index in range(count)]
        for disk in disks:
            disk.touch()
        disks[0].write_bytes(IMAGE.read_bytes())
        for disk in disks:
            with disk.open("r+b") as file:
                file.truncate(DISK_SIZE)
        return disks

    return make
