"""The QEMU program on this machine: where it is, how old it is, what it was built with."""

from __future__ import annotations

import os
import re
import shutil
import subprocess
import sys
from pathlib import Path

from app.hypervisor.driver import DriverError

BINARY_VARIABLE = "STILLFRAME_QEMU"
"""Environment variable that names the QEMU program to use instead of the one found."""

OLDEST = (6, 0)
_NAME = "qemu-system-x86_64"
_PLACES = ("/usr/bin", "/usr/local/bin", "/opt/homebrew/bin", "/opt/local/bin", "C:/Program Files/qemu")
_TIMEOUT = 30.0


def find_binary() -> Path:
    """The program's path.

    :raise DriverError: "absent", saying what to install.
    """
    named = os.environ.get(BINARY_VARIABLE)
    if named is not None:
        path = shutil.which(named)
        if path is None:
            raise DriverError(f"{BINARY_VARIABLE} names {named}, which is not a program.", cause="absent")
        return Path(path).absolute()
    path = shutil.which(_NAME) or shutil.which(_NAME, path=os.pathsep.join(_PLACES))
    if path is None:
        raise DriverError(f"QEMU is not installed. {how_to_install()}", cause="absent")
    return Path(path).absolute()


def how_to_install() -> str:
    """One sentence for the platform we are on."""
    if sys.platform.startswith("darwin"):
        return "Install it with: brew install qemu"
    if sys.platform.startswith("win"):
        return "Install it from https://www.qemu.org/download/#windows"
    if shutil.which("apt-get"):
        return "Install it with: sudo apt install qemu-system-x86 qemu-utils"
    if shutil.which("dnf"):
        return "Install it with: sudo dnf install qemu-kvm qemu-img"
    return "Install your system's packages of QEMU for x86 and of qemu-img."


def find_version(binary: Path) -> tuple[str, tuple[int, ...]]:
    """The version as text and as numbers.

    :raise DriverError: "absent" if the program is no QEMU, "too_old" below 6.0.
    """
    version = parse_version(_ask(binary, "--version"))
    if version is None:
        raise DriverError(f"{binary} is not QEMU. {how_to_install()}", cause="absent")
    if version < OLDEST:
        text = ".".join(map(str, version))
        oldest = ".".join(map(str, OLDEST))
        raise DriverError(
            f"QEMU {text} is too old: {oldest} or newer is needed. {how_to_install()}", cause="too_old", detail=text
        )
    return ".".join(map(str, version)), version


def find_machine(binary: Path) -> str:
    """The versioned machine type behind `pc`, such as pc-i440fx-7.2.

    :raise DriverError: "unsupported" if this QEMU has no PC.
    """
    machine = parse_machine(_ask(binary, "-machine", "help"))
    if machine is None:
        raise DriverError(f"{binary} cannot emulate a PC.", cause="unsupported")
    return machine


def find_accelerators(binary: Path) -> tuple[str, ...]:
    """The accelerators this QEMU was built with.

    :raise DriverError: "absent", if the program does not answer.
    """
    return parse_accelerators(_ask(binary, "-accel", "help"))


def parse_version(text: str) -> tuple[int, ...] | None:
    """(7, 2, 22) from the answer to --version; None if it is not QEMU's."""
    found = re.search(r"QEMU emulator version (\d+(?:\.\d+)+)", text)
    return tuple(int(part) for part in found[1].split(".")) if found else None


def parse_machine(text: str) -> str | None:
    """The machine type that `pc` is an alias of, from the answer to -machine help."""
    found = re.search(r"^pc\s.*\(alias of ([\w.-]+)\)", text, re.MULTILINE)
    return found[1] if found else None


def parse_accelerators(text: str) -> tuple[str, ...]:
    """The names in the answer to -accel help, which come after a headline with a colon."""
    return tuple(line.strip() for line in text.splitlines() if re.fullmatch(r"[a-z]+", line.strip()))


def _ask(binary: Path, *arguments: str) -> str:
    try:
        found = subprocess.run(
            [str(binary), *arguments],
            capture_output=True,
            text=True,
            timeout=_TIMEOUT,
            stdin=subprocess.DEVNULL,
            check=False,
        )
    except (OSError, subprocess.TimeoutExpired) as error:
        raise DriverError(f"{binary} cannot be run: {error}", cause="absent") from error
    return found.stdout
