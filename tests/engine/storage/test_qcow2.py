"""What we write is what QEMU understands."""

from __future__ import annotations

import json
import subprocess
from pathlib import Path

import pytest

from app.storage import qcow2
from app.storage.file_repository import FileRepository
from tests.engine.storage.conftest import Tool

MIB = 1 << 20
GIB = 1 << 30
PATTERNS = (0x11, 0x22, 0x33, 0x44, 0x55)
OPTIONS = (
    *("", "compat=0.10", "cluster_size=512", "cluster_size=2M", "lazy_refcounts=on", "refcount_bits=1"),
    *("compression_type=zstd", "preallocation=metadata", "data_file=FOLDER/x.raw"),
    "encrypt.format=luks,encrypt.key-secret=s",
)


@pytest.mark.parametrize("size", [MIB, MIB + 512, GIB, GIB + 512, 1 << 40, 16 << 40])
def test_qemu_finds_no_fault_in_what_we_write(tmp_path: Path, tool: Tool, size: int) -> None:
    base, leaf = tmp_path / "base.qcow2", tmp_path / "leaf.qcow2"
    qcow2.write_image(base, virtual_size=size)
    qcow2.write_image(leaf, virtual_size=size, backing_file=base.name)
    for path, backing in ((base, None), (leaf, base.name)):
        assert "No errors were found" in tool("qemu-img", "check", "-f", "qcow2", path)
        facts = json.loads(tool("qemu-img", "info", "-f", "qcow2", "--output=json", path))
        assert (facts["virtual-size"], facts["cluster-size"]) == (size, 128 << 10)
        assert facts["format-specific"]["data"]["extended-l2"] is True
        assert facts.get("backing-filename") == backing
        assert facts.get("backing-filename-format") == ("qcow2" if backing else None)


@pytest.mark.parametrize("size", [MIB, 3 * GIB, 16 << 40])
def test_an_image_can_be_written_from_end_to_end(tmp_path: Path, tool: Tool, size: int) -> None:
    path = tmp_path / "disk.qcow2"
    qcow2.write_image(path, virtual_size=size)
    tool("qemu-io", "-f", "qcow2", "-c", "write -P 7 0 64k", "-c", f"write -P 9 {size - 4096} 4k", path)
    tool("qemu-io", "-f", "qcow2", "-c", "read -P 7 0 64k", "-c", f"read -P 9 {size - 4096} 4k", path)
    assert "No errors were found" in tool("qemu-img", "check", "-f", "qcow2", path)
    qcow2.check_mappings(path)


def test_qemu_s_own_images_are_read(tmp_path: Path, tool: Tool) -> None:
    for number, options in enumerate(OPTIONS):
        path = tmp_path / f"{number}.qcow2"
        options = options.replace("FOLDER", str(tmp_path))
        secret = ("--object", "secret,id=s,data=x")
        tool("qemu-img", "create", *secret, "-q", "-f", "qcow2", *(("-o", options) if options else ()), path, "64M")
        header = qcow2.read_header(path)
        assert header.virtual_size == 64 * MIB
        assert header.data_file == ("data_file" in options)
        assert header.encrypted == ("encrypt" in options)
        assert header.unknown_features == ()
        qcow2.check_mappings(path)


def test_bytes_come_back_through_a_chain_of_five(repository: FileRepository, tool: Tool) -> None:
    ids = [repository.new_id() for _ in PATTERNS]
    for level, image_id in enumerate(ids):
        if level == 0:
            repository.create(image_id, GIB)
        else:
            repository.freeze(ids[level - 1])
            repository.create_overlay(image_id, ids[level - 1])
        # Each level writes its own megabyte, and over the last half of the one before.
        start = level * MIB - (MIB // 2 if level else 0)
        path = repository.image_path(image_id)
        tool("qemu-io", "-f", "qcow2", "-c", f"write -P {PATTERNS[level]} {start} {(level + 1) * MIB - start}", path)
    repository.verify(ids[-1])
    assert repository.chain(ids[-1]) == tuple(reversed(ids))
    reads = []
    for level, pattern in enumerate(PATTERNS):
        start = level * MIB - (MIB // 2 if level else 0)
        length = MIB if level == len(PATTERNS) - 1 else MIB // 2
        reads += ["-c", f"read -P {pattern} {start} {length}"]
    reads += ["-c", f"read -P 0 {5 * MIB} {MIB}"]
    leaf = repository.image_path(ids[-1])
    tool("qemu-io", "-r", "-f", "qcow2", *reads, leaf)
    # The same question to the base must fail, or the one above proves nothing.
    base = repository.image_path(ids[0])
    done = subprocess.run(["qemu-io", "-r", "-f", "qcow2", *reads, base], capture_output=True, text=True, check=False)
    assert (done.returncode, done.stdout.count("Pattern verification failed")) == (1, 4)
