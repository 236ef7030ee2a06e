"""Reading and writing disk images from outside: through chains, past any alignment, and while a QEMU has them open."""

from __future__ import annotations

import itertools
import struct
import subprocess
from pathlib import Path

import pytest

from tests.engine.sample_guest.conftest import MakeDisks
from tests.engine.sample_guest.machine import Machine
from tests.support.guest_disk import STATE_OFFSET, GuestSector, read_bytes, read_counter, write_bytes


def qemu_img(*arguments: str) -> None:
    subprocess.run(["qemu-img", *arguments], check=True, capture_output=True, timeout=60)


@pytest.fixture
def chain(folder: Path) -> list[Path]:
    """An image, an overlay on it, and one on that: the state sector is in the first, the middle holds nothing."""
    files = [folder / name for name in ("base.qcow2", "middle.qcow2", "leaf.qcow2")]
    qemu_img("create", "-q", "-f", "qcow2", str(files[0]), "1M")
    for below, file in itertools.pairwise(files):
        qemu_img("create", "-q", "-f", "qcow2", "-F", "qcow2", "-b", str(below), str(file))
    write_bytes(files[0], STATE_OFFSET, b"STILLFRM" + struct.pack("<QQII", 41, 5, 1, 2))
    return files


def test_reads_through_the_chain(chain: list[Path]) -> None:
    assert [read_counter(file) for file in chain] == [GuestSector(True, 41, 5, 2, "", 1)] * 3


def test_a_write_stays_in_its_layer(chain: list[Path]) -> None:
    write_bytes(chain[2], STATE_OFFSET + 8, struct.pack("<Q", 99))
    assert [read_counter(file).counter for file in chain] == [41, 41, 99]


def test_bytes_come_back_at_any_offset_and_length(chain: list[Path]) -> None:
    data = bytes(range(256)) * 17 + b"end"
    write_bytes(chain[2], 70_001, data)
    assert read_bytes(chain[2], 70_000, len(data) + 2) == b"\0" + data + b"\0"
    assert read_bytes(chain[1], 70_001, 16) == bytes(16)


def test_an_empty_disk_has_no_sector_of_ours(folder: Path) -> None:
    qemu_img("create", "-q", "-f", "raw", str(folder / "empty"), "1M")
    assert read_counter(folder / "empty", "raw") == GuestSector(magic_ok=False)


def test_failures_are_told(folder: Path, chain: list[Path]) -> None:
    with pytest.raises(RuntimeError, match="No such file"):
        read_counter(folder / "missing.qcow2")
    with pytest.raises(RuntimeError, match="Image is not in qcow2 format"):
        qemu_img("create", "-q", "-f", "raw", str(folder / "raw"), "1M")
        read_counter(folder / "raw")
    with pytest.raises(RuntimeError, match="failed"):
        read_bytes(chain[0], 1 << 20, 512)
    with pytest.raises(RuntimeError, match="failed"):
        write_bytes(chain[0], 1 << 20, b"past the end")


async def test_a_disk_in_use_is_read_and_not_written(folder: Path, make_disks: MakeDisks) -> None:
    disks = make_disks(1)
    async with Machine(folder, disks) as machine:
        seen = await machine.ticks_until(3)
        assert read_counter(disks[0], "raw").counter >= seen.counter
        with pytest.raises(RuntimeError, match="lock"):
            write_bytes(disks[0], STATE_OFFSET, bytes(512), "raw")
