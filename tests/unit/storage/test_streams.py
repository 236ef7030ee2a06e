"""Images written from a stream and chains read without QEMU, against QEMU itself."""

from __future__ import annotations

import os
import random
import subprocess
from collections.abc import Sequence
from contextlib import closing
from pathlib import Path

import pytest

from app.storage.errors import StorageError
from app.storage.image_reader import ImageReader
from app.storage.image_writer import new_image

MIB = 1 << 20
KINDS = {
    "ours": "cluster_size=128k,extended_l2=on",
    "old": "compat=0.10,cluster_size=64k",
    "small clusters": "cluster_size=512",
    "large clusters": "cluster_size=2M,extended_l2=on",
}


def run(*words: object) -> None:
    subprocess.run([str(word) for word in words], check=True, capture_output=True)


def io(path: Path, *commands: str) -> None:
    run("qemu-io", "-f", "qcow2", *(word for command in commands for word in ("-c", command)), path)


def shown(path: Path, folder: Path) -> bytes:
    """What QEMU shows of an image."""
    run("qemu-img", "convert", "-f", "qcow2", "-O", "raw", path, folder / "shown")
    return (folder / "shown").read_bytes()


def read(paths: Sequence[Path], step: int = MIB) -> bytes:
    """What our reader shows, by blocks that hold something."""
    with closing(ImageReader(paths)) as reader:
        found = bytearray(reader.size)
        for number in reader.holding(step):
            part = bytearray(os.urandom(min(step, reader.size - number * step)))
            reader.read_into(number * step, memoryview(part))
            found[number * step : number * step + len(part)] = part
    return bytes(found)


@pytest.mark.parametrize("kind", KINDS)
def test_a_chain_shows_what_qemu_shows(tmp_path: Path, kind: str) -> None:
    base, middle, top = (tmp_path / f"{name}.qcow2" for name in ("base", "middle", "top"))
    run("qemu-img", "create", "-f", "qcow2", "-o", KINDS[kind], base, "5M")
    io(base, "write -P 1 0 3M", "write -P 2 4200k 100k")
    run("qemu-img", "create", "-f", "qcow2", "-o", KINDS["ours"], "-b", base, "-F", "qcow2", middle)
    io(middle, "write -P 3 4k 8k", "write -z 1M 300k", "write -P 4 2001k 3k", "discard 2M 64k")
    run("qemu-img", "create", "-f", "qcow2", "-o", KINDS["ours"], "-b", middle, "-F", "qcow2", top, f"{6 * MIB + 512}")
    io(top, "write -P 5 5k 2k", "write -P 6 6M 512", "write -z 0 4k")
    assert read([top, middle, base]) == read([top, middle, base], 4 * MIB) == shown(top, tmp_path)


@pytest.mark.parametrize("method", ["zlib", "zstd"])
def test_compressed_clusters(tmp_path: Path, method: str) -> None:
    source, packed = tmp_path / "raw", tmp_path / "packed.qcow2"
    source.write_bytes(random.Random(5).randbytes(MIB // 2) + b"text" * MIB)
    options = ["-c", "-o", f"compression_type={method}"]
    run("qemu-img", "convert", *options, "-f", "raw", "-O", "qcow2", source, packed)
    assert read([packed]) == shown(packed, tmp_path)


def test_a_disk_without_data_costs_nothing(tmp_path: Path) -> None:
    path = tmp_path / "a.qcow2"
    run("qemu-img", "create", "-f", "qcow2", "-o", KINDS["ours"], path, "64T")
    io(path, "write -P 1 63T 4k")
    reader = ImageReader([path])
    assert list(reader.holding(MIB)) == [63 * MIB]
    reader.close()


def test_what_cannot_be_read_is_told(tmp_path: Path) -> None:
    path = tmp_path / "a.qcow2"
    run("qemu-img", "create", "-f", "qcow2", "-o", KINDS["ours"], path, "64M")
    io(path, "write -P 1 0 1M")
    content = path.read_bytes()
    for wrong in (b"", b"no image", content[: 3 * 131072 + 8]):
        path.write_bytes(wrong)
        with pytest.raises(StorageError):
            read([path])
    with pytest.raises(StorageError):
        ImageReader([tmp_path / "none"])


@pytest.mark.parametrize("size", [512, 131072, 131072 + 512, 5 * MIB, (1 << 30) + 4096])
def test_a_streamed_image_is_sound_and_equal(tmp_path: Path, size: int) -> None:
    chance = random.Random(size)
    raw, path = tmp_path / "raw", tmp_path / "a.qcow2"
    with raw.open("wb") as file, new_image(path, size) as writer:
        file.truncate(size)
        position = 0
        while position < size:
            count = min(chance.choice((100, 512, 4096, 524800, MIB)), size - position)
            data = chance.randbytes(count) if chance.random() < 0.7 else bytes(count)
            file.seek(position)
            file.write(data)
            writer.write(position, data)
            position += count + chance.choice((0, 0, 1000, MIB, 300 * MIB))
    run("qemu-img", "compare", "-f", "raw", "-F", "qcow2", raw, path)
    run("qemu-img", "check", "-f", "qcow2", path)
    assert path.stat().st_mode & 0o777 == 0o600


def test_zeros_take_no_place(tmp_path: Path) -> None:
    path = tmp_path / "a.qcow2"
    with new_image(path, 8 * MIB) as writer:
        writer.write(0, bytes(4 * MIB))
        writer.write(4 * MIB, b"x" + bytes(4 * MIB - 1))
    assert path.stat().st_size < MIB


def test_a_failure_leaves_nothing(tmp_path: Path) -> None:
    with pytest.raises(RuntimeError), new_image(tmp_path / "a.qcow2", MIB) as writer:
        writer.write(0, b"x" * MIB)
        raise RuntimeError
    with pytest.raises(StorageError, match="exists already"), new_image(tmp_path, MIB):
        pass
    with pytest.raises(StorageError, match="512 bytes"), new_image(tmp_path / "b.qcow2", 100):
        pass
    assert list(tmp_path.iterdir()) == []
