from __future__ import annotations

import os
from pathlib import Path

import pytest

from app.storage.errors import StorageError
from app.storage.iso_repository import IsoImage, IsoRepository


@pytest.fixture
def isos(tmp_path: Path) -> IsoRepository:
    root = tmp_path / "iso"
    root.mkdir()
    (root / "debian.iso").write_bytes(b"x" * 3000)
    (root / "Windows 11.ISO").write_bytes(b"y")
    (tmp_path / "elsewhere.img").write_bytes(b"z" * 7)
    (root / "linked.iso").symlink_to(tmp_path / "elsewhere.img")
    (root / "broken.iso").symlink_to(tmp_path / "absent")
    (root / "readme.txt").write_bytes(b"")
    (root / ".hidden.iso").write_bytes(b"")
    (root / "folder.iso").mkdir()
    return IsoRepository(root)


def test_lists_iso_files_and_links_with_their_size(isos: IsoRepository) -> None:
    assert isos.list_images() == [
        IsoImage("Windows 11.ISO", 1),
        IsoImage("debian.iso", 3000),
        IsoImage("linked.iso", 7),
    ]


def test_gives_the_path_of_what_it_lists(isos: IsoRepository) -> None:
    for image in isos.list_images():
        assert isos.path(image.location).stat().st_size == image.size


@pytest.mark.parametrize(
    "location",
    [
        *("../elsewhere.iso", "/etc/passwd", "..", "", ".hidden.iso", "readme.txt", "a\0.iso", "sub/x.iso"),
        *("absent.iso", "broken.iso", "C:x.iso", "sub\\x.iso"),
    ],
)
def test_refuses_what_it_does_not_list(isos: IsoRepository, location: str) -> None:
    with pytest.raises(StorageError) as caught:
        isos.path(location)
    assert caught.value.cause == "missing"


@pytest.mark.timeout(20)
def test_a_pipe_is_neither_listed_nor_waited_for(isos: IsoRepository) -> None:
    os.mkfifo(isos.root / "pipe.iso")
    assert "pipe.iso" not in [image.location for image in isos.list_images()]
    with pytest.raises(StorageError, match="not a regular file"):
        isos.path("pipe.iso")


def test_a_missing_folder_is_told(tmp_path: Path) -> None:
    with pytest.raises(StorageError, match="ISO folder") as caught:
        IsoRepository(tmp_path / "absent").list_images()
    assert caught.value.cause == "missing"
