"""The committed image of the sample guest: its layout, and that it is what its source says."""

from __future__ import annotations

import os
import shutil
import struct
import subprocess
import sys
from pathlib import Path

import pytest

from tests.support.guest_disk import GuestSector, parse_sector

FOLDER = Path(__file__).resolve().parents[2] / "resources" / "sample_guest"
IMAGE = FOLDER / "sample-guest.img"
STATE_SECTOR = 64


def build(output: Path, **environment: str) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, str(FOLDER / "build.py"), str(output)]
    return subprocess.run(command, capture_output=True, text=True, check=False, env={**os.environ, **environment})


def test_image_is_whole_sectors_before_the_state() -> None:
    size = IMAGE.stat().st_size
    assert size % 512 == 0
    assert 512 < size <= 8 * 512


def test_boot_sector_is_one_and_loads_all_the_rest() -> None:
    image = IMAGE.read_bytes()
    assert image[510:512] == b"\x55\xaa"
    # The packet of the extended read: size, zero, sectors, address, segment, first sector.
    packet = struct.pack("<BBHHHQ", 16, 0, len(image) // 512 - 1, 0x7E00, 0, 1)
    assert image[:510].count(packet) == 1


def test_no_partition_is_claimed() -> None:
    assert not any(IMAGE.read_bytes()[446:510])


def test_source_gives_the_committed_bytes(tmp_path: Path) -> None:
    if shutil.which("nasm") is None:
        pytest.skip("nasm is not installed")
    output = tmp_path / "again.img"
    done = build(output)
    assert done.returncode == 0, done.stderr
    assert output.read_bytes() == IMAGE.read_bytes()
    assert list(tmp_path.iterdir()) == [output]


def test_build_without_nasm_says_so_and_leaves_the_old_image(tmp_path: Path) -> None:
    output = tmp_path / "old.img"
    output.write_bytes(b"old")
    done = build(output, PATH=str(tmp_path))
    assert done.returncode == 1
    assert "nasm is not installed" in done.stderr
    assert output.read_bytes() == b"old"


def test_sector_is_decoded() -> None:
    data = b"STILLFRM" + struct.pack("<QQIII", 1 << 40, 7, 2, 3, 1) + bytes(28) + b"Hi there".ljust(64, b"\0")
    assert parse_sector(data.ljust(512, b"\0")) == GuestSector(True, 1 << 40, 7, 3, "Hi there", 2, True)


@pytest.mark.parametrize("data", [bytes(512), b"STILLFRN".ljust(512, b"\1")])
def test_a_foreign_sector_is_known_as_one(data: bytes) -> None:
    assert parse_sector(data) == GuestSector(magic_ok=False)
