"""Looking at very many images: headers are read again only where a file has changed, and no change is missed."""

from __future__ import annotations

import itertools
import random
import time
from collections.abc import Callable
from pathlib import Path

import pytest

from app.storage import chains, qcow2
from app.storage.file_repository import FileRepository
from app.storage.qcow2 import Qcow2Header

GIB = 1 << 30


@pytest.fixture
def reads(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """The files whose headers are read from now on."""
    found: list[str] = []
    real: Callable[[Path], Qcow2Header] = qcow2.read_header

    def read_header(path: Path) -> Qcow2Header:
        found.append(path.stem)
        return real(path)

    monkeypatch.setattr(qcow2, "read_header", read_header)
    return found


@pytest.fixture
def old_files(monkeypatch: pytest.MonkeyPatch) -> None:
    """All files have lain there for long."""
    monkeypatch.setattr(time, "time_ns", lambda: 1 << 62)


def chain(repository: FileRepository, length: int) -> list[str]:
    ids = [repository.new_id() for _ in range(length)]
    repository.create(ids[0], GIB)
    for parent, child in itertools.pairwise(ids):
        repository.create_overlay(child, parent)
    return ids


@pytest.mark.usefixtures("old_files")
def test_headers_of_unchanged_files_are_read_once(repository: FileRepository, reads: list[str]) -> None:
    ids = chain(repository, 5)
    first = repository.children_map()
    reads.clear()
    assert repository.children_map() == first
    assert reads == []
    added = repository.new_id()
    repository.create_overlay(added, ids[1])
    reads.clear()
    assert repository.children_map()[ids[1]] == {ids[2], added}
    assert reads == [added]


@pytest.mark.usefixtures("old_files")
def test_a_changed_file_is_read_again(repository: FileRepository, reads: list[str]) -> None:
    ids = chain(repository, 3)
    repository.children_map()
    reads.clear()
    path = repository.image_path(ids[2])
    content = path.read_bytes().replace(ids[1].encode(), ids[0].encode())
    path.unlink()
    path.write_bytes(content)
    assert repository.children_map() == {ids[0]: {ids[1], ids[2]}, ids[1]: frozenset(), ids[2]: frozenset()}
    assert reads == [ids[2]]


def test_files_that_changed_just_now_are_always_read(repository: FileRepository, reads: list[str]) -> None:
    """Their time of change may not tell the next change from the last."""
    ids = chain(repository, 3)
    repository.children_map()
    reads.clear()
    repository.children_map()
    assert sorted(reads) == sorted(ids)


def test_what_is_known_is_what_a_new_look_finds(repository: FileRepository, monkeypatch: pytest.MonkeyPatch) -> None:
    chance = random.Random(5)
    ids = chain(repository, 2)
    for _ in range(120):
        step = chance.random()
        if step < 0.5:
            ids.append(repository.new_id())
            repository.create_overlay(ids[-1], chance.choice(ids[:-1]))
        elif step < 0.7 and len(ids) > 2:
            leaves = [i for i in ids if not repository.children_map()[i]]
            repository.discard([leaf := chance.choice(leaves)])
            ids.remove(leaf)
        else:
            monkeypatch.setattr(chains, "_SETTLED_NS", chance.choice([0, 1 << 40]))
        fresh = FileRepository(repository.root)
        assert repository.children_map() == fresh.children_map()
