"""The file repository with real files, no tool needed."""

from __future__ import annotations

import itertools
import os
import stat
import struct
from pathlib import Path

import pytest

from app import crash_points
from app.storage.errors import StorageError
from app.storage.file_repository import FileRepository

MIB = 1 << 20
GIB = 1 << 30


def _mode(path: Path) -> int:
    return stat.S_IMODE(path.stat().st_mode)


def _files(repository: FileRepository) -> set[str]:
    return {str(path.relative_to(repository.root)) for path in repository.root.rglob("*") if path.is_file()}


def _chain(repository: FileRepository, length: int) -> list[str]:
    """Ids of a chain, base first."""
    ids = [repository.new_id() for _ in range(length)]
    repository.create(ids[0], GIB)
    for parent, child in itertools.pairwise(ids):
        repository.create_overlay(child, parent)
    return ids


def _set_parent(repository: FileRepository, image_id: str, name: str) -> None:
    """Replace the parent's name in a header by one of the same length."""
    path = repository.image_path(image_id)
    old = repository.header(image_id).backing_file
    assert old is not None
    assert len(name) == len(old)
    content = path.read_bytes()
    path.write_bytes(content.replace(old.encode(), name.encode(), 1))


def test_folders_are_private(repository: FileRepository) -> None:
    assert {_mode(repository.root / name) for name in (".", "img", "mem", "trash")} == {0o700}


def test_an_existing_folder_keeps_its_mode(tmp_path: Path) -> None:
    root = tmp_path / "mine"
    root.mkdir(mode=0o755)
    FileRepository(root).open()
    assert _mode(root) == 0o755
    assert _mode(root / "img") == 0o700


def test_a_file_in_the_way_is_told(tmp_path: Path) -> None:
    (tmp_path / "sr").write_text("")
    with pytest.raises(StorageError, match="img"):
        FileRepository(tmp_path / "sr").open()


def test_open_removes_unfinished_images_and_nothing_else(repository: FileRepository) -> None:
    image_id = repository.new_id()
    repository.create(image_id, MIB)
    part = repository.root / "img" / f".{repository.new_id()}.qcow2.part"
    part.write_bytes(b"half")
    memory = repository.memory_part_path(image_id)
    memory.write_bytes(b"half")
    (repository.root / "trash" / "x").write_bytes(b"")
    before = _files(repository)
    repository.open()
    assert _files(repository) == before - {f"img/{part.name}"}
    repository.remove_memory_parts()
    assert not memory.exists()


@pytest.mark.parametrize("bad", ["", "..", "../../etc/passwd", "x" * 36, "AAAAAAAA-0000-4000-8000-000000000000", "a\n"])
def test_only_ids_are_names(repository: FileRepository, bad: str) -> None:
    for method in (repository.image_path, repository.memory_path, repository.chain, repository.verify):
        with pytest.raises(StorageError, match="not the id of an image"):
            method(bad)
    with pytest.raises(StorageError, match="not the id of an image"):
        repository.discard([bad])


def test_new_ids_are_ids(repository: FileRepository) -> None:
    ids = {repository.new_id() for _ in range(50)}
    assert len(ids) == 50
    assert {repository.image_path(image_id).parent.name for image_id in ids} == {"img"}


def test_an_overlay_has_its_parents_size_and_name(repository: FileRepository) -> None:
    base, leaf = _chain(repository, 2)
    assert repository.header(leaf).backing_file == f"{base}.qcow2"
    assert repository.virtual_size(leaf) == GIB
    assert (repository.parent(leaf), repository.parent(base)) == (base, None)


def test_a_chain_is_told_leaf_first(repository: FileRepository) -> None:
    ids = _chain(repository, 30)
    assert repository.chain(ids[-1]) == tuple(reversed(ids))
    assert [repository.depth(image_id) for image_id in ids] == list(range(1, 31))
    repository.verify(ids[-1])


def test_the_repository_can_be_moved(repository: FileRepository, tmp_path: Path) -> None:
    base, leaf = _chain(repository, 2)
    repository.root.rename(tmp_path / "moved")
    moved = FileRepository(tmp_path / "moved")
    moved.open()
    moved.verify(leaf)
    assert moved.chain(leaf) == (leaf, base)


def test_children_of_every_image(repository: FileRepository) -> None:
    base, middle, leaf = _chain(repository, 3)
    other = repository.new_id()
    repository.create_overlay(other, base)
    assert repository.children_map() == {
        base: {middle, other},
        middle: {leaf},
        leaf: frozenset(),
        other: frozenset(),
    }


def test_foreign_files_are_ignored(repository: FileRepository) -> None:
    (leaf,) = _chain(repository, 1)
    (repository.root / "img" / "notes.txt").write_text("")
    (repository.root / "img" / "mine.qcow2").write_text("")
    assert repository.image_ids() == [leaf]
    assert list(repository.scan()) == [leaf]


def test_several_overlays_are_made_at_once_or_not_at_all(
    repository: FileRepository, monkeypatch: pytest.MonkeyPatch
) -> None:
    bases = [_chain(repository, 1)[0] for _ in range(3)]
    before = _files(repository)
    pairs = [(repository.new_id(), base) for base in bases]
    monkeypatch.setenv("STILLFRAME_FAIL_AT", "storage.overlay_written:3:enospc")
    with pytest.raises(StorageError) as caught:
        repository.create_overlays(pairs)
    assert caught.value.cause == "no_space"
    assert _files(repository) == before
    monkeypatch.delenv("STILLFRAME_FAIL_AT")
    repository.create_overlays(pairs)
    assert [repository.parent(image_id) for image_id, _ in pairs] == bases


def test_an_overlay_on_nothing_is_refused(repository: FileRepository) -> None:
    (base,) = _chain(repository, 1)
    before = _files(repository)
    with pytest.raises(StorageError) as caught:
        repository.create_overlays([(repository.new_id(), base), (repository.new_id(), repository.new_id())])
    assert caught.value.cause == "missing"
    assert _files(repository) == before


def test_a_taken_id_is_refused(repository: FileRepository) -> None:
    base, leaf = _chain(repository, 2)
    content = repository.image_path(leaf).read_bytes()
    with pytest.raises(StorageError, match="exists already"):
        repository.create(leaf, MIB)
    with pytest.raises(StorageError, match="exists already"):
        repository.create_overlays([(repository.new_id(), base), (leaf, base)])
    assert repository.image_path(leaf).read_bytes() == content
    assert repository.image_ids() == sorted([base, leaf])


def test_freezing_and_thawing(repository: FileRepository) -> None:
    (base,) = _chain(repository, 1)
    assert not repository.is_frozen(base)
    repository.freeze(base)
    assert repository.is_frozen(base)
    assert _mode(repository.image_path(base)) == 0o444
    repository.thaw(base)
    assert _mode(repository.image_path(base)) == 0o600
    for method in (repository.freeze, repository.thaw, repository.is_frozen):
        with pytest.raises(StorageError) as caught:
            method(repository.new_id())
        assert caught.value.cause == "missing"


def test_a_failing_freeze_is_a_storage_error(repository: FileRepository, monkeypatch: pytest.MonkeyPatch) -> None:
    (base,) = _chain(repository, 1)
    monkeypatch.setenv("STILLFRAME_FAIL_AT", "storage.image_frozen:eio")
    with pytest.raises(StorageError) as caught:
        repository.freeze(base)
    assert caught.value.cause == "io"


def test_a_missing_parent_is_named(repository: FileRepository) -> None:
    base, middle, leaf = _chain(repository, 3)
    repository.image_path(base).unlink()
    for method in (repository.chain, repository.verify, repository.depth):
        with pytest.raises(StorageError) as caught:
            method(leaf)
        assert caught.value.cause == "missing"
        assert str(repository.image_path(base)) in caught.value.message
        assert middle in caught.value.message


def test_a_circle_is_found(repository: FileRepository) -> None:
    base, middle, leaf = _chain(repository, 3)
    _set_parent(repository, middle, f"{leaf}.qcow2")
    with pytest.raises(StorageError, match="circle") as caught:
        repository.chain(leaf)
    assert caught.value.cause == "corrupt"
    assert repository.children_map()[base] == frozenset()


@pytest.mark.parametrize("name", ["/etc/passwd", "../img/x.qcow2", "a.raw"])
def test_a_parent_elsewhere_is_refused(repository: FileRepository, name: str) -> None:
    _, leaf = _chain(repository, 2)
    _set_parent(repository, leaf, name + "/" * (len(f"{leaf}.qcow2") - len(name)))
    with pytest.raises(StorageError, match="not an image of this storage") as caught:
        repository.verify(leaf)
    assert caught.value.cause == "corrupt"


@pytest.mark.parametrize(
    ("offset", "data", "cause"),
    [
        (72, struct.pack(">Q", 1 << 4 | 1 << 1), "corrupt"),
        (72, struct.pack(">Q", 1 << 4 | 1 << 2), "unsupported"),
        (72, struct.pack(">Q", 1 << 4 | 1 << 33), "unsupported"),
        (32, struct.pack(">I", 1), "unsupported"),
        (24, struct.pack(">Q", 0), "corrupt"),
        (0, b"\0\0\0\0", "corrupt"),
    ],
)
def test_verify_looks_at_every_image_of_the_chain(
    repository: FileRepository, offset: int, data: bytes, cause: str
) -> None:
    _, middle, leaf = _chain(repository, 3)
    with repository.image_path(middle).open("r+b") as file:
        file.seek(offset)
        file.write(data)
    with pytest.raises(StorageError) as caught:
        repository.verify(leaf)
    assert caught.value.cause == cause
    assert str(repository.image_path(middle)) in caught.value.message


def test_verify_wants_the_parents_format(repository: FileRepository) -> None:
    _, leaf = _chain(repository, 2)
    path = repository.image_path(leaf)
    content = path.read_bytes()
    path.write_bytes(content.replace(b"\0\0\0\5qcow2\0", b"\0\0\0\5raw\0\0\0", 1))
    with pytest.raises(StorageError, match="without the format"):
        repository.verify(leaf)


def test_verify_finds_a_file_cut_short(repository: FileRepository) -> None:
    base, leaf = _chain(repository, 2)
    os.truncate(repository.image_path(base), 300 << 10)
    with pytest.raises(StorageError, match="cut short") as caught:
        repository.verify(leaf)
    assert caught.value.cause == "corrupt"


def test_sizes(repository: FileRepository) -> None:
    (base,) = _chain(repository, 1)
    path = repository.image_path(base)
    before = repository.physical_utilisation(base)
    with path.open("r+b") as file:
        file.seek(0, os.SEEK_END)
        file.write(b"x" * MIB)
        os.fsync(file.fileno())
    assert MIB <= repository.physical_utilisation(base) - before <= MIB + (64 << 10)
    assert repository.virtual_size(base) == GIB


def test_scan_tells_facts_and_problems(repository: FileRepository) -> None:
    base, leaf = _chain(repository, 2)
    repository.image_path(leaf).write_bytes(b"damaged")
    facts = repository.scan()
    assert (facts[base].format, facts[base].virtual_size, facts[base].problem) == ("qcow2", GIB, "")
    assert facts[base].file_size == repository.image_path(base).stat().st_size
    assert (facts[leaf].virtual_size, facts[leaf].file_size) == (0, 7)
    assert str(repository.image_path(leaf)) in facts[leaf].problem


def test_usage_is_that_of_the_file_system(repository: FileRepository) -> None:
    usage, figures = repository.usage(), os.statvfs(repository.root)
    assert usage.physical_size == figures.f_blocks * figures.f_frsize
    assert 0 < usage.free <= usage.physical_size
    assert 0 < usage.physical_utilisation <= usage.physical_size


def test_what_cannot_fit_is_refused_with_figures(repository: FileRepository) -> None:
    repository.require_free(1)
    with pytest.raises(StorageError, match=r"GiB free; 1048576\.0 GiB is needed") as caught:
        repository.require_free(1 << 50)
    assert caught.value.cause == "no_space"


def test_discard_removes_images_and_memory(repository: FileRepository) -> None:
    base, leaf = _chain(repository, 2)
    repository.freeze(leaf)
    repository.memory_path(leaf).write_bytes(b"ram")
    repository.discard([leaf, repository.new_id()])
    assert _files(repository) == {f"img/{base}.qcow2"}
    repository.discard([leaf])


def test_discard_never_takes_the_ground_from_under_an_image(repository: FileRepository) -> None:
    base, middle, leaf = _chain(repository, 3)
    before = _files(repository)
    for doomed in ([base], [base, middle], [middle], [base, leaf]):
        with pytest.raises(StorageError, match="based on it") as caught:
            repository.discard(doomed)
        assert caught.value.cause == "in_use"
        assert _files(repository) == before
    repository.discard([base, middle, leaf])
    assert _files(repository) == set()


@pytest.mark.parametrize("point", ["storage.image_trashed:2", "storage.trash_synced", "storage.trash_unlinked"])
def test_a_discard_that_fails_can_be_repeated(
    repository: FileRepository, monkeypatch: pytest.MonkeyPatch, point: str
) -> None:
    ids = _chain(repository, 3)
    monkeypatch.setenv("STILLFRAME_FAIL_AT", f"{point}:eio")
    with pytest.raises(StorageError) as caught:
        repository.discard(ids)
    assert caught.value.cause == "io"
    monkeypatch.delenv("STILLFRAME_FAIL_AT")
    repository.discard(ids)
    assert _files(repository) == set()


def test_a_removal_that_stops_half_way_leaves_whole_chains(
    repository: FileRepository, monkeypatch: pytest.MonkeyPatch
) -> None:
    ids = _chain(repository, 6)
    for trashed in range(1, 6):
        crash_points.reset()
        monkeypatch.setenv("STILLFRAME_FAIL_AT", "storage.image_trashed:1:eio")
        with pytest.raises(StorageError):
            repository.discard(ids)
        assert repository.image_ids() == sorted(ids[: 6 - trashed])


def test_images_in_a_circle_can_be_removed(repository: FileRepository) -> None:
    _, middle, leaf = ids = _chain(repository, 3)
    _set_parent(repository, middle, f"{leaf}.qcow2")
    repository.discard(ids)
    assert _files(repository) == set()


def test_memory_images_are_published_whole(repository: FileRepository) -> None:
    image_id = repository.new_id()
    repository.memory_part_path(image_id).write_bytes(b"r" * 5000)
    repository.publish_memory(image_id)
    path = repository.memory_path(image_id)
    assert path.read_bytes() == b"r" * 5000
    assert _mode(path) == 0o444
    assert repository.memory_utilisation(image_id) >= 5000
    assert _files(repository) == {f"mem/{image_id}.ram"}
    with pytest.raises(StorageError) as caught:
        repository.publish_memory(repository.new_id())
    assert caught.value.cause == "missing"


def test_a_missing_repository_is_told(tmp_path: Path) -> None:
    absent = FileRepository(tmp_path / "absent")
    for method in (absent.scan, absent.usage, absent.children_map, absent.empty_trash):
        with pytest.raises(StorageError) as caught:
            method()
        assert caught.value.cause == "missing"
