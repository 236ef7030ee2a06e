"""Freeing a guest from the write protection that QEMU leaves behind.

When a background snapshot is cancelled or fails, QEMU (seen with 7.2.22) forgets to lift the protection of the guest's
memory: each virtual CPU stands still for good as soon as it writes to a page that was not saved. The protection
belongs to a userfaultfd (userfaultfd(2)), and whoever may trace QEMU can borrow that by pidfd_getfd(2) and lift it.
"""

from __future__ import annotations

import contextlib
import ctypes
import fcntl
import os
import re
import struct
from collections.abc import Iterator
from pathlib import Path
from typing import Final

from app.log import get

log = get(__name__)

_PIDFD_GETFD: Final = 438
"""The same on every architecture (asm-generic/unistd.h)."""
# linux/userfaultfd.h
_WAKE: Final = 0x8010AA02
_UNREGISTER: Final = 0x8010AA01
_WRITE_PROTECT: Final = 0xC018AA06
_NAME: Final = "anon_inode:[userfaultfd]"
_MAPPING: Final = re.compile(r"([0-9a-f]+)-([0-9a-f]+) rw")


def borrow(pid: int) -> list[int]:
    """Copies of the process's userfaultfds, for `lift`; empty if it has none or we may not."""
    found: list[int] = []
    with contextlib.suppress(OSError, AttributeError):  # another system than Linux, or the process has ended
        pidfd = os.pidfd_open(pid)
        try:
            libc = ctypes.CDLL(None, use_errno=True)
            for number in _descriptors(pid):
                copy = libc.syscall(_PIDFD_GETFD, pidfd, number, 0)
                if copy < 0:
                    log.warning("a guest's write protection is out of reach", error=os.strerror(ctypes.get_errno()))
                else:
                    found.append(copy)
        finally:
            os.close(pidfd)
    return found


def lift(pid: int, borrowed: list[int]) -> None:
    """Lift the protection, wake what waits for it, and close the copies. Takes a while per GiB: call it in a thread."""
    try:
        for start, end in _mappings(pid):
            for descriptor in borrowed:
                with contextlib.suppress(OSError):  # not one of the protected ones
                    area = struct.pack("QQ", start, end - start)
                    fcntl.ioctl(descriptor, _WRITE_PROTECT, area + struct.pack("Q", 0))
                    fcntl.ioctl(descriptor, _WAKE, area)
                    fcntl.ioctl(descriptor, _UNREGISTER, area)
    finally:
        give_back(borrowed)


def give_back(borrowed: list[int]) -> None:
    """Close the copies without doing anything."""
    for descriptor in borrowed:
        os.close(descriptor)


def _descriptors(pid: int) -> Iterator[int]:
    for entry in Path(f"/proc/{pid}/fd").iterdir():
        with contextlib.suppress(OSError):
            if str(entry.readlink()) == _NAME:
                yield int(entry.name)


def _mappings(pid: int) -> list[tuple[int, int]]:
    try:
        text = Path(f"/proc/{pid}/maps").read_text(encoding="utf-8", errors="replace")
    except OSError:
        return []
    return [(int(m[1], 16), int(m[2], 16)) for line in text.splitlines() if (m := _MAPPING.match(line))]
