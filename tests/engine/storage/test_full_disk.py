"""A full disk is told as such, and nothing is left."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from app.storage import qemu_img
from app.storage.errors import StorageError
from app.storage.file_repository import FileRepository
from tests.support.small_disk import small_file_system

MIB = 1 << 20


def _assert_only(repository: FileRepository, *names: str) -> None:
    assert sorted(path.name for path in (repository.root / "img").iterdir()) == sorted(names)


@pytest.fixture
def small_disk(tmp_path: Path) -> Iterator[Path]:
    """A file system of 8 MiB."""
    with small_file_system(tmp_path, "8m") as path:
        yield path


@pytest.fixture
def small_repository(small_disk: Path) -> FileRepository:
    repository = FileRepository(small_disk / "sr")
    repository.open()
    return repository


async def test_what_cannot_fit_is_not_begun(small_repository: FileRepository, tmp_path: Path) -> None:
    source = tmp_path / "source.raw"
    source.write_bytes(os.urandom(9 * MIB))
    seen = list[float]()
    with pytest.raises(StorageError, match="is needed") as caught:
        await small_repository.import_image(source, "raw", small_repository.new_id(), progress=seen.append)
    assert caught.value.cause == "no_space"
    assert seen == []
    _assert_only(small_repository)


async def test_a_disk_that_fills_up_leaves_nothing(
    small_repository: FileRepository, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    source = tmp_path / "source.raw"
    source.write_bytes(os.urandom(9 * MIB))

    async def too_little(*_: object) -> int:
        return 1

    # As if somebody else had filled the disk after we looked.
    monkeypatch.setattr(qemu_img, "measure", too_little)
    free = small_repository.usage().free
    with pytest.raises(StorageError) as caught:
        await small_repository.import_image(source, "raw", small_repository.new_id())
    assert caught.value.cause == "no_space"
    assert "No space left" in caught.value.stderr
    _assert_only(small_repository)
    assert small_repository.usage().free == free


def test_an_overlay_on_a_full_disk_leaves_nothing(small_repository: FileRepository, small_disk: Path) -> None:
    base = small_repository.new_id()
    small_repository.create(base, MIB)
    with (small_disk / "other").open("wb") as file:
        os.posix_fallocate(file.fileno(), 0, small_repository.usage().free)
    with pytest.raises(StorageError, match="No space left") as caught:
        small_repository.create_overlay(small_repository.new_id(), base)
    assert caught.value.cause == "no_space"
    _assert_only(small_repository, f"{base}.qcow2")


def test_a_limit_on_file_sizes_is_no_space_and_leaves_nothing(tmp_path: Path) -> None:
    """Also where nothing can be mounted: a process that may only write files of one megabyte."""
    source = tmp_path / "source.raw"
    source.write_bytes(os.urandom(4 * MIB))
    code = (
        "import asyncio, resource, sys\n"
        "from pathlib import Path\n"
        "from app.storage.errors import StorageError\n"
        "from app.storage.file_repository import FileRepository\n"
        "resource.setrlimit(resource.RLIMIT_FSIZE, (1 << 20, 1 << 20))\n"
        "repository = FileRepository(Path(sys.argv[2]))\n"
        "repository.open()\n"
        "try:\n"
        "    asyncio.run(repository.import_image(Path(sys.argv[1]), 'raw', repository.new_id()))\n"
        "except StorageError as error:\n"
        "    print(error.cause)\n"
    )
    done = subprocess.run([sys.executable, "-c", code, source, tmp_path / "sr"], capture_output=True, text=True)
    assert done.stdout.strip() == "no_space", done.stderr
    assert list((tmp_path / "sr" / "img").iterdir()) == []
