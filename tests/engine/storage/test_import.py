"""Importing what real tools make, and leaving nothing when it does not work."""

from __future__ import annotations

import asyncio
import os
import struct
from pathlib import Path

import pytest

from app.storage.errors import StorageError
from app.storage.file_repository import FileRepository
from app.storage.inspection import ImageFormat, inspect
from tests.engine.storage.conftest import Tool, held_open

MIB = 1 << 20
SIZE = 24 * MIB

SOURCES: tuple[tuple[ImageFormat, str], ...] = (
    ("raw", ""),
    ("qcow2", ""),
    ("qcow2", "compat=0.10"),
    ("qcow2", "cluster_size=2M,lazy_refcounts=on"),
    ("qcow2", "compression_type=zstd"),
    ("vmdk", "subformat=monolithicSparse"),
    ("vmdk", "subformat=streamOptimized"),
    ("vpc", "subformat=dynamic"),
    ("vpc", "subformat=dynamic,force_size=on"),
    ("vpc", "subformat=fixed"),
    ("vhdx", "subformat=dynamic"),
    ("vhdx", "subformat=fixed"),
)
COMPRESSED = ("compression_type=zstd",)


@pytest.fixture
def original(tmp_path: Path) -> Path:
    """A raw disk: noise, a hole, text, and something in its last sector."""
    path = tmp_path / "original.raw"
    with path.open("wb") as file:
        file.write(os.urandom(3 * MIB))
        file.seek(9 * MIB + 512)
        file.write(b"stillframe" * 100_000)
        file.seek(SIZE - 5)
        file.write(b"end\n\n")
    return path


def _make(tool: Tool, original: Path, image_format: str, options: str) -> Path:
    path = original.with_name("source." + image_format.replace("vpc", "vhd"))
    compress = ["-c"] if options in COMPRESSED else []
    chosen = ["-o", options] if options else []
    tool("qemu-img", "convert", "-f", "raw", "-O", image_format, *compress, *chosen, original, path)
    return path


def _assert_only(repository: FileRepository, *names: str) -> None:
    assert sorted(path.name for path in (repository.root / "img").iterdir()) == sorted(names)


@pytest.mark.parametrize(("image_format", "options"), SOURCES)
async def test_the_content_is_the_same(
    repository: FileRepository, tool: Tool, original: Path, image_format: ImageFormat, options: str
) -> None:
    source = _make(tool, original, image_format, options)
    before = source.read_bytes()
    facts = inspect(source)
    assert facts.format == image_format
    image_id, seen = repository.new_id(), list[float]()
    await repository.import_image(source, facts.format, image_id, progress=seen.append)

    path = repository.image_path(image_id)
    tool("qemu-img", "compare", "-f", "raw", "-F", "qcow2", original, path)
    assert "No errors were found" in tool("qemu-img", "check", "-f", "qcow2", path)
    repository.verify(image_id)
    header = repository.header(image_id)
    assert (header.virtual_size, header.extended_l2, header.cluster_size) == (facts.virtual_size, True, 128 << 10)
    assert path.stat().st_mode & 0o777 == 0o600
    _assert_only(repository, path.name)
    assert seen[-1] == 1.0
    assert source.read_bytes() == before
    assert repository.physical_utilisation(image_id) < 8 * MIB


async def test_a_raw_file_is_padded_to_whole_sectors(repository: FileRepository, tmp_path: Path, tool: Tool) -> None:
    source = tmp_path / "odd.raw"
    source.write_bytes(b"x" * 1000)
    image_id = repository.new_id()
    await repository.import_image(source, "raw", image_id)
    assert repository.virtual_size(image_id) == 1024
    tool(
        "qemu-io",
        "-f",
        "qcow2",
        "-c",
        "read -P 0x78 0 1000",
        "-c",
        "read -P 0 1000 24",
        repository.image_path(image_id),
    )


async def test_the_announced_format_must_be_right(repository: FileRepository, original: Path, tool: Tool) -> None:
    source = _make(tool, original, "qcow2", "")
    with pytest.raises(StorageError, match="is a qcow2 image, not raw") as caught:
        await repository.import_image(source, "raw", repository.new_id())
    assert caught.value.cause == "unsupported"
    _assert_only(repository)


async def test_a_taken_id_is_refused(repository: FileRepository, original: Path) -> None:
    image_id = repository.new_id()
    repository.create(image_id, MIB)
    with pytest.raises(StorageError, match="exists already") as caught:
        await repository.import_image(original, "raw", image_id)
    assert caught.value.cause == "in_use"
    assert repository.virtual_size(image_id) == MIB
    _assert_only(repository, f"{image_id}.qcow2")


@pytest.mark.parametrize(("image_format", "options"), [source for source in SOURCES if source[0] != "raw"])
async def test_a_source_that_was_cut_short_is_refused(
    repository: FileRepository, tool: Tool, original: Path, image_format: ImageFormat, options: str
) -> None:
    source = _make(tool, original, image_format, options)
    os.truncate(source, source.stat().st_size * 3 // 4 // 512 * 512)
    with pytest.raises(StorageError) as caught:
        await repository.import_image(source, image_format, repository.new_id())
    assert caught.value.cause == "corrupt", caught.value
    _assert_only(repository)


async def test_a_disk_of_a_running_vm_is_refused(repository: FileRepository, original: Path, tool: Tool) -> None:
    source = _make(tool, original, "qcow2", "")
    async with held_open(source):
        with pytest.raises(StorageError, match="in use by another process") as caught:
            await repository.import_image(source, "qcow2", repository.new_id())
    assert caught.value.cause == "in_use"
    _assert_only(repository)


async def test_split_and_differencing_vmdks_are_refused(original: Path, tool: Tool, tmp_path: Path) -> None:
    for subformat in ("monolithicFlat", "twoGbMaxExtentSparse", "twoGbMaxExtentFlat"):
        target = tmp_path / f"{subformat}.vmdk"
        tool("qemu-img", "convert", "-f", "raw", "-O", "vmdk", "-o", f"subformat={subformat}", original, target)
        with pytest.raises(StorageError, match="in other files"):
            inspect(target)
    with pytest.raises(StorageError, match="only one part"):
        inspect(tmp_path / "twoGbMaxExtentSparse-s001.vmdk")
    base, leaf = tmp_path / "base.vmdk", tmp_path / "leaf.vmdk"
    tool("qemu-img", "create", "-q", "-f", "vmdk", base, "4M")
    tool("qemu-img", "create", "-q", "-f", "vmdk", "-b", base, "-F", "vmdk", leaf)
    with pytest.raises(StorageError, match="needs its parent"):
        inspect(leaf)


@pytest.mark.parametrize(
    ("options", "sentence"),
    [
        ("backing_file=base.qcow2,backing_fmt=qcow2", "needs its parent"),
        ("data_file=FOLDER/data.raw", "another file"),
        ("encrypt.format=luks,encrypt.key-secret=s", "encrypted"),
    ],
)
async def test_qcow2_images_that_need_more_than_themselves(
    repository: FileRepository, tmp_path: Path, tool: Tool, options: str, sentence: str
) -> None:
    tool("qemu-img", "create", "-q", "-f", "qcow2", tmp_path / "base.qcow2", "4M")
    source, options = tmp_path / "source.qcow2", options.replace("FOLDER", str(tmp_path))
    tool(*("qemu-img", "create", "-q", "--object", "secret,id=s,data=x", "-f", "qcow2"), "-o", options, source, "4M")
    with pytest.raises(StorageError, match=sentence):
        await repository.import_image(source, "qcow2", repository.new_id())
    _assert_only(repository)


def _patch_vhdx(path: Path, signature: bytes, guid: bytes, change: int) -> None:
    content = bytearray(path.read_bytes())
    entry = content.index(guid, content.index(signature))
    item_offset = struct.unpack_from("<I", content, entry + 16)[0]
    content[content.index(signature) + item_offset + 4] |= change
    path.write_bytes(content)


def test_vhdx_refusals(original: Path, tool: Tool) -> None:
    source = _make(tool, original, "vhdx", "subformat=dynamic")
    sound = source.read_bytes()
    parameters = bytes.fromhex("3767a1ca36fa434db3b633f0aa44e76b")
    _patch_vhdx(source, b"metadata", parameters, 2)
    with pytest.raises(StorageError, match="differencing"):
        inspect(source)

    for damage, sentence in (
        ({64 << 10: b"x", 128 << 10: b"x"}, "no valid header"),
        ({(64 << 10) + 50: b"x", (128 << 10) + 50: b"x"}, "no valid header"),
        ({(192 << 10) + 20: b"x", (256 << 10) + 20: b"x"}, "region table"),
        ({sound.index(b"metadata"): b"x"}, "metadata table"),
    ):
        content = bytearray(sound)
        for offset, data in damage.items():
            content[offset : offset + 1] = data
        source.write_bytes(content)
        with pytest.raises(StorageError, match=sentence) as caught:
            inspect(source)
        assert caught.value.cause == "corrupt"


def _crc32c(data: bytes | bytearray) -> int:
    crc = 0xFFFFFFFF
    for byte in data:
        crc ^= byte
        for _ in range(8):
            crc = crc >> 1 ^ (0x82F63B78 * (crc & 1))
    return crc ^ 0xFFFFFFFF


@pytest.mark.parametrize("newest", [64 << 10, 128 << 10])
def test_a_vhdx_whose_log_is_not_replayed_is_refused(original: Path, tool: Tool, newest: int) -> None:
    source = _make(tool, original, "vhdx", "subformat=dynamic")
    content = bytearray(source.read_bytes())
    for offset in (64 << 10, 128 << 10):
        header = bytearray(content[offset : offset + 4096])
        assert struct.unpack_from("<I", header, 4)[0] == _crc32c(header[:4] + bytes(4) + header[8:])
        struct.pack_into("<Q", header, 8, 100 if offset == newest else 99)
        header[48:64] = b"log of a crash.." if offset == newest else bytes(16)
        struct.pack_into("<I", header, 4, 0)
        struct.pack_into("<I", header, 4, _crc32c(header))
        content[offset : offset + 4096] = header
    source.write_bytes(content)
    with pytest.raises(StorageError, match="not closed cleanly") as caught:
        inspect(source)
    assert caught.value.cause == "unsupported"


async def test_a_set_event_leaves_nothing(repository: FileRepository, original: Path) -> None:
    cancel = asyncio.Event()
    with pytest.raises(StorageError) as caught:
        await repository.import_image(
            original, "raw", repository.new_id(), progress=lambda _: cancel.set(), cancel=cancel
        )
    assert caught.value.cause == "cancelled"
    _assert_only(repository)


async def test_a_cancelled_task_leaves_nothing(repository: FileRepository, original: Path) -> None:
    begun = asyncio.Event()
    task = asyncio.create_task(
        repository.import_image(original, "raw", repository.new_id(), progress=lambda _: begun.set())
    )
    await begun.wait()
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task
    _assert_only(repository)


@pytest.mark.parametrize("size", [512, 4096, MIB, 1 << 40])
async def test_a_disk_can_begin_with_given_bytes(repository: FileRepository, tool: Tool, size: int) -> None:
    image_id, data = repository.new_id(), b"\xeb\xfe" * 200 + b"x"
    await repository.write_raw(image_id, data, size)
    path = repository.image_path(image_id)
    assert repository.virtual_size(image_id) == size
    assert repository.physical_utilisation(image_id) < MIB
    _assert_only(repository, path.name)
    with (path.parent / "expected.raw").open("wb") as file:
        file.write(data)
        file.truncate(size)
    tool("qemu-img", "compare", "-f", "raw", "-F", "qcow2", file.name, path)


@pytest.mark.parametrize(("length", "size"), [(513, 512), (1, 0), (1, 513), (1, -512), (1, 1 << 50)])
async def test_bytes_that_do_not_fit_are_refused(repository: FileRepository, length: int, size: int) -> None:
    with pytest.raises(StorageError, match="cannot begin a disk"):
        await repository.write_raw(repository.new_id(), b"x" * length, size)
    _assert_only(repository)


async def test_flattening_keeps_the_content_and_needs_no_parent(repository: FileRepository, tool: Tool) -> None:
    base, middle, leaf, flat = (repository.new_id() for _ in range(4))
    repository.create(base, SIZE)
    tool("qemu-io", "-f", "qcow2", "-c", "write -P 1 0 2M", repository.image_path(base))
    for child, parent, command in ((middle, base, "write -P 2 1M 2M"), (leaf, middle, "write -z 0 64k")):
        repository.freeze(parent)
        repository.create_overlay(child, parent)
        tool("qemu-io", "-f", "qcow2", "-c", command, repository.image_path(child))
    await repository.flatten(leaf, flat)
    assert repository.chain(flat) == (flat,)
    tool("qemu-img", "compare", "-f", "qcow2", "-F", "qcow2", repository.image_path(leaf), repository.image_path(flat))
    repository.discard([base, middle, leaf])
    reads = ("-c", "read -P 0 0 64k", "-c", "read -P 1 64k 960k", "-c", "read -P 2 1M 2M", "-c", "read -P 0 3M 21M")
    tool("qemu-io", "-r", "-f", "qcow2", *reads, repository.image_path(flat))


async def test_flattening_a_broken_chain_is_refused(repository: FileRepository) -> None:
    base, leaf = repository.new_id(), repository.new_id()
    repository.create(base, MIB)
    repository.create_overlay(leaf, base)
    repository.image_path(base).unlink()
    with pytest.raises(StorageError, match="is missing") as caught:
        await repository.flatten(leaf, repository.new_id())
    assert caught.value.cause == "missing"
    _assert_only(repository, f"{leaf}.qcow2")
