"""Facts about this machine that figures depend on, in words that say nothing about whose machine it is."""

from __future__ import annotations

import os
import platform
import shutil
import subprocess
from pathlib import Path

from app import __version__


def facts(folder: Path) -> dict[str, str]:
    """Processors, memory, system, file system of `folder`, and the versions of what is measured."""
    return {
        "stillframe": __version__,
        "python": platform.python_version(),
        "qemu": _first_line("qemu-system-x86_64", "--version"),
        "libvirt": _first_line("virsh", "--version"),
        "system": _system(),
        "kernel": platform.release().split("-")[0],
        "processors": str(os.cpu_count() or 1),
        "memory": f"{memory_bytes() >> 30} GiB",
        "file system": file_system(folder),
        "load": f"{os.getloadavg()[0]:.2f}",
    }


def memory_bytes() -> int:
    """The machine's memory."""
    return os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES")


def file_system(folder: Path) -> str:
    """The type of file system that holds a folder, from the kernel's list of mounts; "unknown" without one."""
    try:
        mounts = Path("/proc/self/mounts").read_text(encoding="utf-8").splitlines()
    except OSError:
        return "unknown"
    best, found = "", "unknown"
    for _, point, kind, *_ in map(str.split, mounts):
        if folder.resolve().is_relative_to(point) and len(point) >= len(best):
            best, found = point, kind
    return found


def _system() -> str:
    try:
        return platform.freedesktop_os_release()["PRETTY_NAME"]
    except (OSError, KeyError):
        return platform.system()


def _first_line(program: str, *arguments: str) -> str:
    if shutil.which(program) is None:
        return "not installed"
    done = subprocess.run([program, *arguments], capture_output=True, text=True, check=False)
    return (done.stdout.splitlines() or ["unknown"])[0].removeprefix("QEMU emulator version ")
