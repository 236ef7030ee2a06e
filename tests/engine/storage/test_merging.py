"""Reading what an image holds, and merging two, against real qemu-img."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from app.storage import allocation, merging, qcow2
from app.storage.errors import StorageError
from app.storage.file_repository import FileRepository
from tests.engine.storage.conftest import Tool

MIB = 1 << 20
OPTIONS = ("", "cluster_size=512", "cluster_size=2M", "compat=0.10", "extended_l2=on,cluster_size=128k")


def mapped(tool: Tool, path: Path) -> list[tuple[int, int, bool]]:
    """What qemu-img says the file holds, neighbours joined."""
    image = json.dumps({"driver": "qcow2", "file": {"driver": "file", "filename": str(path)}, "backing": None})
    found: list[tuple[int, int, bool]] = []
    for item in json.loads(tool("qemu-img", "map", "--output=json", f"json:{image}")):
        if not item.get("present", item["depth"] == 0 and (item["data"] or "offset" in item)):
            continue
        start, end, zero = item["start"], item["start"] + item["length"], item["zero"]
        if found and found[-1][1:] == (start, zero):
            found[-1] = (found[-1][0], end, zero)
        else:
            found.append((start, end, zero))
    return found


@pytest.mark.parametrize("options", OPTIONS)
def test_what_a_file_holds_is_what_qemu_says(tmp_path: Path, tool: Tool, options: str) -> None:
    path = tmp_path / "disk.qcow2"
    tool("qemu-img", "create", "-q", "-f", "qcow2", *(("-o", options) if options else ()), path, "700M")
    writes = ["write -P 1 0 4k", "write -P 2 100k 300k", "write -P 3 513M 3M", f"write -P 4 {700 * MIB - 4096} 4k"]
    if "compat" not in options:
        writes += ["write -z 1M 2M", "write -z 200k 4k"]
    tool("qemu-io", "-f", "qcow2", *(word for write in writes for word in ("-c", write)), path)
    assert [tuple(extent) for extent in allocation.extents(path)] == mapped(tool, path)


def test_compressed_data_counts(tmp_path: Path, tool: Tool) -> None:
    path = tmp_path / "disk.qcow2"
    qcow2.write_image(path, virtual_size=MIB)
    tool("qemu-io", "-f", "qcow2", "-c", "write -c -P 1 128k 128k", path)
    assert allocation.extents(path) == [allocation.Extent(128 << 10, 256 << 10, False)]


def pair(repository: FileRepository, tool: Tool, *writes: str) -> tuple[str, str]:
    """A base with data from 0 to 1 MiB, and a child with these writes."""
    base, child = repository.new_id(), repository.new_id()
    repository.create(base, 64 * MIB)
    tool("qemu-io", "-f", "qcow2", "-c", "write -P 7 0 1M", repository.image_path(base))
    repository.create_overlay(child, base)
    for write in writes:
        tool("qemu-io", "-f", "qcow2", "-c", write, repository.image_path(child))
    return base, child


def test_what_is_lacking(repository: FileRepository, tool: Tool) -> None:
    base, child = pair(repository, tool, "write -P 8 512k 1M", "write -P 9 40M 4k", "write -z 50M 1M")
    down, up = repository.image_path(base), repository.image_path(child)
    # The base has no parent, so that the child's zeros are there already.
    assert allocation.lacking(down, up) == 512 * 1024 + 4096
    assert allocation.lacking(up, down) == 512 * 1024
    assert allocation.lacking(up, up) == 0
    assert allocation.held(up) == MIB + 4096


async def test_a_commit_moves_the_data_down(repository: FileRepository, tool: Tool) -> None:
    base, child = pair(repository, tool, "write -P 8 512k 1M", "write -z 0 64k")
    seen: list[float] = []
    before = repository.image_path(child).read_bytes()
    await merging.commit(repository, child, progress=seen.append)
    assert seen[-1] == 1.0
    assert repository.image_path(child).read_bytes() == before
    tool("qemu-img", "compare", "-f", "qcow2", "-F", "qcow2", repository.image_path(base), repository.image_path(child))
    assert allocation.lacking(repository.image_path(base), repository.image_path(child)) == 0


async def test_nothing_is_taken_on_trust(repository: FileRepository, tool: Tool) -> None:
    base, child = pair(repository, tool, "write -P 8 512k 1M")
    with pytest.raises(StorageError, match="lacks 524288 bytes"):
        merging.prove(repository, base, child)
    with pytest.raises(StorageError, match="no parent"):
        await merging.commit(repository, base)


async def test_the_parent_is_set_in_place_or_anew(repository: FileRepository, tool: Tool) -> None:
    base, child = pair(repository, tool, "write -P 8 512k 1M")
    other = repository.new_id()
    repository.create(other, 64 * MIB)
    repository.freeze(child)
    before = repository.image_path(child).read_bytes()
    await merging.set_parent(repository, child, other)
    assert repository.parent(child) == other and repository.is_frozen(child)
    await merging.set_parent(repository, child, base)
    assert repository.image_path(child).read_bytes() == before
    repository.thaw(child)
    tool("qemu-img", "rebase", "-u", "-f", "qcow2", "-b", "", repository.image_path(child))
    assert repository.parent(child) is None
    await merging.set_parent(repository, child, base)
    assert repository.parent(child) == base
    repository.verify(child)


def test_a_name_of_another_length_changes_nothing(repository: FileRepository, tool: Tool) -> None:
    _, child = pair(repository, tool)
    before = repository.image_path(child).read_bytes()
    assert not qcow2.rename_parent(repository.image_path(child), "short.qcow2")
    assert repository.image_path(child).read_bytes() == before
