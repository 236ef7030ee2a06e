"""Which accelerator to use, found out by booting something: that a device file exists proves nothing.

A boot sector of a few bytes waits for two timer interrupts and prints a word on the serial port. Emulation always
works and sets the pace: an accelerator that is broken, or nested so that it is slower than emulation, is not used.
"""

from __future__ import annotations

import asyncio
import json
import os
import platform
import shutil
import signal
import tempfile
import time
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from app.hypervisor.argv import SANDBOX, cpu_model, image_node
from app.hypervisor.launch import sentence
from app.hypervisor.process import Process, spawn

BOOT_TIMEOUT = 30.0
"""Seconds emulation may take to boot, on a machine that is busy with other things."""

HEAD_START = 1.5
"""Seconds an accelerator may boot later than emulation and still be used."""

WORKS = "works"
SLOW = "it boots much more slowly than emulation"
_TOKEN = b"stillframe\n"

# 16-bit code, loaded at 0x7c00. [0x46c] is the BIOS's count of timer interrupts, 0x3f8 the first serial port.
_CODE = bytes.fromhex(
    "31c0"  # xor ax, ax
    "8ed8"  # mov ds, ax
    "8ed0"  # mov ss, ax
    "bc007c"  # mov sp, 0x7c00
    "fb"  # sti
    "b90200"  # mov cx, 2
    "8b1e6c04"  # tick: mov bx, [0x46c]
    "f4"  # wait: hlt
    "3b1e6c04"  # cmp bx, [0x46c]
    "74f9"  # je wait
    "e2f3"  # loop tick
    "be2c7c"  # mov si, text
    "ac"  # next: lodsb
    "84c0"  # test al, al
    "7406"  # jz end
    "baf803"  # mov dx, 0x3f8
    "ee"  # out dx, al
    "ebf5"  # jmp next
    "fa"  # end: cli
    "f4"  # hlt
    "ebfc"  # jmp end
)
BOOT_SECTOR = (_CODE + _TOKEN + b"\0").ljust(510, b"\0") + b"\x55\xaa"


@dataclass(frozen=True)
class Trial:
    """One attempt to boot: `problem` is "" when it worked."""

    problem: str
    seconds: float


def candidates() -> tuple[str, ...]:
    """The accelerators of this platform, the fastest first."""
    own = {"Linux": ("kvm",), "Darwin": ("hvf",), "Windows": ("whpx",)}
    return (*own.get(platform.system(), ()), "tcg")


async def try_accelerators(binary: Path, built: tuple[str, ...], *, sandbox: bool) -> dict[str, str]:
    """Accelerator -> "works" or why it is not used, the fastest first."""
    with tempfile.TemporaryDirectory(prefix="stillframe-probe-") as folder:
        # An image each: QEMU locks what it may write to, so one of the trials would find no disk.
        images = {name: Path(folder) / f"{name}.img" for name in candidates() if name in built}
        for image in images.values():
            image.write_bytes(BOOT_SECTOR)
        trials = {
            name: asyncio.create_task(boot(binary, name, image, sandbox=sandbox)) for name, image in images.items()
        }
        try:
            results = await _race(trials)
        finally:
            for task in trials.values():
                task.cancel()
            await asyncio.gather(*trials.values(), return_exceptions=True)
    return {name: results.get(name, "not built into this QEMU") for name in candidates()}


async def _race(trials: Mapping[str, asyncio.Task[Trial]]) -> dict[str, str]:
    results: dict[str, str] = {}
    emulation = trials.get("tcg")
    if emulation is not None:
        trial = await emulation
        results["tcg"] = trial.problem or WORKS
        if not trial.problem:
            await asyncio.wait(trials.values(), timeout=HEAD_START)
    for name, task in trials.items():
        if name != "tcg" and not task.done() and results.get("tcg") == WORKS:
            results[name] = SLOW
        elif name != "tcg":
            results[name] = (await task).problem or WORKS
    return results


async def boot(binary: Path, accelerator: str, image: Path, *, sandbox: bool) -> Trial:
    """Boot the sector once and see whether the word arrives."""
    argv = [str(binary), "-no-user-config", "-nodefaults", "-display", "none", "-machine", "pc", "-m", "16"]
    argv += ["-accel", accelerator, "-cpu", cpu_model(accelerator), "-boot", "strict=on", "-serial", "stdio"]
    argv += ["-blockdev", json.dumps(image_node("probe", image, "raw", read_only=False))]
    argv += ["-device", "ide-hd,drive=probe,bootindex=1"]
    if sandbox:
        argv += ["-sandbox", SANDBOX]
    started = time.monotonic()
    with tempfile.TemporaryFile() as log:
        reader, writer = os.pipe()
        try:
            pid = spawn(_with_us(argv), descriptors={}, log=log.fileno(), stdout=writer)
        except OSError as error:
            os.close(reader)
            return Trial(str(error), 0.0)
        finally:
            os.close(writer)
        process = Process(pid)
        try:
            said = await _heard(reader)
        except TimeoutError:
            said = None
        finally:
            process.signal(signal.SIGKILL)
            await process.wait()
            os.close(reader)
        log.seek(0)
        words = log.read().decode("utf-8", "replace")
    seconds = time.monotonic() - started
    if said is None:
        return Trial(f"a guest did not boot within {BOOT_TIMEOUT:.0f} seconds", seconds)
    return Trial("" if said else sentence(words) or "QEMU ended without a word", seconds)


def _with_us(argv: list[str]) -> list[str]:
    """The command such that it dies when we are killed: nobody else would ever end a guest of a trial.

    By setpriv(1), which becomes the program itself; where that is not, as on macOS, there is no way.
    """
    setpriv = shutil.which("setpriv")
    if setpriv is None or not os.access(argv[0], os.X_OK):
        return argv
    return [setpriv, "--pdeathsig", "KILL", *argv]


async def _heard(reader: int) -> bool:
    """True when the word has arrived, False when the other side was closed before.

    :raise TimeoutError: neither happened in time.
    """
    loop = asyncio.get_running_loop()
    heard: asyncio.Future[bool] = loop.create_future()
    received = bytearray()

    def take() -> None:
        data = os.read(reader, 4096)
        received.extend(data)
        if not heard.done() and (not data or _TOKEN in received):
            heard.set_result(bool(data))

    loop.add_reader(reader, take)
    try:
        async with asyncio.timeout(BOOT_TIMEOUT):
            return await heard
    finally:
        loop.remove_reader(reader)
