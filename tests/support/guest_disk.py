"""What the sample guest left on its disks, and bytes at any place of a disk image.

Everything goes through qemu-io with the format named, so a qcow2 image is seen through its whole backing chain.
Reading works while a QEMU has the image open, but sees only what that QEMU has flushed: stop the machine first (or use
virtio-blk, where the sample guest's writes are flushed one by one) if the newest tick matters.
"""

from __future__ import annotations

import re
import struct
import subprocess
import tempfile
from pathlib import Path
from typing import NamedTuple

SECTOR = 512
STATE_OFFSET = 64 * SECTOR
MAGIC = b"STILLFRM"

_DUMP_LINE = re.compile(r"^[0-9a-f]+: +((?:[0-9a-f]{2} ){1,16})", re.MULTILINE)


class GuestSector(NamedTuple):
    """Sector 64 of a disk of the sample guest; all zero or empty where `magic_ok` is false."""

    magic_ok: bool
    counter: int = 0
    ticks: int = 0
    boot: int = 0
    note: str = ""
    disk: int = 0
    broken: bool = False


def read_counter(path: Path | str, fmt: str = "qcow2") -> GuestSector:
    """The sample guest's sector of the image at `path`, read through its chain.

    :raise RuntimeError: qemu-io could not read it (no such file, wrong format, too small); it says why.
    """
    return parse_sector(read_bytes(path, STATE_OFFSET, SECTOR, fmt))


def parse_sector(data: bytes) -> GuestSector:
    """Decode one sector; resources/sample_guest/README.md has the layout."""
    if data[:8] != MAGIC:
        return GuestSector(magic_ok=False)
    counter, ticks, disk, boot, broken = struct.unpack_from("<QQIII", data, 8)
    note = data[64:128].split(b"\0", 1)[0].decode("ascii")
    return GuestSector(True, counter, ticks, boot, note, disk, bool(broken))


def read_bytes(path: Path | str, offset: int, length: int, fmt: str = "qcow2") -> bytes:
    """`length` bytes at `offset` of what the guest would see; also of an image some QEMU has open for writing.

    :raise RuntimeError: qemu-io could not read them; the message is its own.
    """
    output = _qemu_io(path, fmt, f"read -v {offset} {length}", reading=True)
    data = bytes.fromhex("".join(_DUMP_LINE.findall(output)))
    if len(data) != length:
        raise RuntimeError(f"qemu-io gave {len(data)} of {length} bytes of {path}: {output[-500:]}")
    return data


def write_bytes(path: Path | str, offset: int, data: bytes, fmt: str = "qcow2") -> None:
    """Write `data` at `offset` of an image nobody has open, flushed to the file.

    :raise RuntimeError: qemu-io could not write (locked by a QEMU, read-only, too small); the message is its own.
    """
    with tempfile.NamedTemporaryFile() as pattern:
        pattern.write(data)
        pattern.flush()
        _qemu_io(path, fmt, f"write -s {pattern.name} {offset} {len(data)}", "flush", reading=False)


def _qemu_io(path: Path | str, fmt: str, *commands: str, reading: bool) -> str:
    argv = ["qemu-io", *(["-r", "-U"] if reading else []), "-f", fmt]
    for command in commands:
        argv += ["-c", command]
    # qemu-io takes "json:" and "nbd:" in a name for a protocol, hence the absolute path.
    done = subprocess.run([*argv, str(Path(path).absolute())], capture_output=True, text=True, check=False)
    # Some versions report a failed read or write only in words.
    if done.returncode or "failed:" in done.stdout + done.stderr:
        raise RuntimeError(f"{' '.join(argv)} {path}: {(done.stderr + done.stdout).strip()}")
    return done.stdout
