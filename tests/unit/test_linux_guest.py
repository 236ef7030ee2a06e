"""The Linux guest's parts that need no download: the archive writer, and the loader being what its source says."""

from __future__ import annotations

import shutil
import subprocess
from pathlib import Path

import pytest

from tests.support.cpio import CpioArchive

SUPPORT = Path(__file__).resolve().parents[1] / "support"


def test_loader_is_what_its_source_says(tmp_path: Path) -> None:
    if shutil.which("nasm") is None:
        pytest.skip("nasm is not installed")
    output = tmp_path / "loader.bin"
    subprocess.run(["nasm", "-Werror", "-f", "bin", "-o", output, SUPPORT / "linux_loader.asm"], check=True)
    assert output.read_bytes() == (SUPPORT / "linux_loader.bin").read_bytes()


def entries(data: bytes) -> dict[str, tuple[int, bytes]]:
    """Name to mode and content, read as Documentation/driver-api/early-userspace/buffer-format.rst describes it."""
    found: dict[str, tuple[int, bytes]] = {}
    at = 0
    while True:
        assert data[at : at + 6] == b"070701"
        fields = [int(data[at + 6 + 8 * field : at + 14 + 8 * field], 16) for field in range(13)]
        size, name_size = fields[6], fields[11]
        name = data[at + 110 : at + 110 + name_size]
        assert name[-1:] == b"\0"
        start = (at + 110 + name_size + 3) // 4 * 4
        if name == b"TRAILER!!!\0":
            return found
        found[name[:-1].decode()] = (fields[1], data[start : start + size])
        at = (start + size + 3) // 4 * 4


def test_archive_holds_what_was_put_in() -> None:
    archive = CpioArchive()
    archive.add_file("deep/down/script", "#!/bin/sh\n", executable=True)
    archive.add_file("odd", b"\0" * 5)
    archive.add_link("deep/link", "down/script")
    archive.add_folder("deep")
    archive.add_folder("empty")
    assert entries(archive.data()) == {
        "deep": (0o40755, b""),
        "deep/down": (0o40755, b""),
        "deep/down/script": (0o100755, b"#!/bin/sh\n"),
        "odd": (0o100644, b"\0" * 5),
        "deep/link": (0o120777, b"down/script"),
        "empty": (0o40755, b""),
    }


def test_archive_refuses_a_second_entry_of_a_name() -> None:
    archive = CpioArchive()
    archive.add_file("name", "one")
    with pytest.raises(ValueError, match="name is in the archive already"):
        archive.add_link("name", "two")


def test_archives_can_follow_one_another() -> None:
    archive = CpioArchive()
    archive.add_file("a", "b")
    assert len(archive.data()) % 4 == 0
    assert archive.data().count(b"TRAILER!!!") == 1
