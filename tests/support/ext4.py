"""What an ext4 file system on a guest's disk looks like from outside: clean or not, and the files in it.

Everything works on a copy, so that nothing but the guest ever writes to its disk.
"""

from __future__ import annotations

import os
import shutil
import struct
import subprocess
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from tests.support.debian_packages import Unavailable

_FIRST_ENTRY = 446 + 8  # of the partition table: first sector and number of sectors
TOOLS = ("dumpe2fs", "e2fsck", "debugfs")


def tool(name: str) -> str:
    """The path of a program of e2fsprogs. :raise Unavailable: it is not installed."""
    found = shutil.which(name, path=f"{os.environ.get('PATH', os.defpath)}:/usr/sbin:/sbin")
    if found is None:
        raise Unavailable(f"{name} is not installed (Debian: e2fsprogs)")
    return found


class FileSystem:
    """A file system in a file of its own."""

    def __init__(self, path: Path) -> None:
        self._path = path

    def needs_recovery(self) -> bool:
        """Whether the journal has to be replayed first, as after a power cut."""
        features = [
            line for line in self._run("dumpe2fs", "-h").splitlines() if line.startswith("Filesystem features:")
        ]
        assert len(features) == 1
        return "needs_recovery" in features[0].split()

    def complaints(self) -> str:
        """What a check without repair finds, before any replay of the journal; "" if all is well."""
        done = subprocess.run([tool("e2fsck"), "-fn", str(self._path)], capture_output=True, text=True, check=False)
        return "" if done.returncode == 0 else done.stdout + done.stderr

    def recover(self) -> None:
        """Replay the journal, as a guest does when it mounts. :raise CalledProcessError: it cannot be made whole."""
        done = subprocess.run([tool("e2fsck"), "-fy", str(self._path)], capture_output=True, text=True, check=False)
        if done.returncode not in (0, 1):  # 1: all errors found were corrected
            raise subprocess.CalledProcessError(done.returncode, done.args, done.stdout, done.stderr)

    def read(self, name: str) -> str | None:
        """The content of a file, None if there is no such file."""
        with tempfile.TemporaryDirectory() as folder:
            target = Path(folder, "file")
            self._run("debugfs", "-R", f"dump {name} {target}")
            return target.read_text() if target.exists() and self._exists(name) else None

    def _exists(self, name: str) -> bool:
        return "File not found" not in self._run("debugfs", "-R", f"stat {name}")

    def _run(self, program: str, *arguments: str) -> str:
        argv = [tool(program), *arguments, str(self._path)]
        done = subprocess.run(argv, capture_output=True, text=True, check=True)
        return done.stdout + done.stderr


@contextmanager
def file_system_on(image: Path) -> Iterator[FileSystem]:
    """The file system on the first partition of a qcow2 disk, also of one that a guest has open."""
    with tempfile.TemporaryDirectory() as folder:
        raw = Path(folder, "disk.raw")
        argv = ["qemu-img", "convert", "-U", "-f", "qcow2", "-O", "raw", str(image), str(raw)]
        subprocess.run(argv, check=True, capture_output=True)
        alone = Path(folder, "partition")
        with raw.open("rb") as disk, alone.open("wb") as file:
            disk.seek(_FIRST_ENTRY)
            first, count = struct.unpack("<II", disk.read(8))
            disk.seek(first * 512)
            file.write(disk.read(count * 512))
        yield FileSystem(alone)
