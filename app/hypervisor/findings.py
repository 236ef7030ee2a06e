"""The driver's facts: found out by trying, then kept in a file until QEMU or the machine changes."""

from __future__ import annotations

import asyncio
import json
import os
import platform
import time
from dataclasses import asdict
from pathlib import Path
from typing import Any

from app.hypervisor.driver import DriverError, DriverFacts
from app.hypervisor.probe import SLOW, WORKS, try_accelerators
from app.hypervisor.program import find_accelerators, find_binary, find_machine, find_version, how_to_install
from app.log import get

log = get(__name__)

_FORMAT = 1
_SLOW_VALID = 7 * 24 * 3600.0
"""Seconds after which an accelerator found slow is tried again: the machine may just have been busy."""

_DEVICES = ("/dev/kvm",)


async def find_facts(cache: Path) -> DriverFacts:
    """The facts, from `cache` if it is about this very QEMU on this very machine, else by trying.

    :raise DriverError: see `Driver.facts`.
    """
    if os.name == "nt":
        raise DriverError("Running guests on Windows is not supported yet.", cause="unsupported")
    binary = await asyncio.to_thread(find_binary)
    key = _key(binary)
    facts = _read(cache, key)
    if facts is None:
        facts = await _try(binary)
        _write(cache, key, facts)
        log.info("accelerators tried", qemu=facts.version, used=facts.accelerator, tried=dict(facts.tried))
    return facts


async def _try(binary: Path) -> DriverFacts:
    version, version_tuple = await asyncio.to_thread(find_version, binary)
    machine = await asyncio.to_thread(find_machine, binary)
    built = await asyncio.to_thread(find_accelerators, binary)
    features = frozenset({"sandbox"})
    tried = await try_accelerators(binary, built, sandbox=True)
    if WORKS not in tried.values() and any("sandbox" in reason for reason in tried.values()):
        features = frozenset()  # a QEMU built without libseccomp
        tried = await try_accelerators(binary, built, sandbox=False)
    accelerator = next((name for name, result in tried.items() if result == WORKS), None)
    if accelerator is None:
        reasons = "; ".join(f"{name}: {reason}" for name, reason in tried.items())
        raise DriverError(
            f"QEMU could not boot a test guest ({reasons}). {how_to_install()}", cause="no_accelerator", detail=reasons
        )
    return DriverFacts(version, version_tuple, accelerator, tried, machine, binary, features)


def _key(binary: Path) -> str:
    """Everything that can change the answer: the program, the kernel, and whether we may use its accelerator."""
    found = binary.stat()
    access = [f"{device}:{os.access(device, os.R_OK | os.W_OK)}" for device in _DEVICES]
    parts = [
        _FORMAT,
        binary.resolve(),
        found.st_size,
        found.st_mtime_ns,
        platform.release(),
        platform.machine(),
        *access,
    ]
    return "|".join(map(str, parts))


def _read(cache: Path, key: str) -> DriverFacts | None:
    try:
        data: dict[str, Any] = json.loads(cache.read_text(encoding="utf-8"))
        age = time.time() - data.pop("found_at")
        if data.pop("key") != key or (SLOW in data["tried"].values() and not 0 <= age < _SLOW_VALID):
            return None
        data["binary"] = Path(data["binary"])
        data["version_tuple"] = tuple(data["version_tuple"])
        data["features"] = frozenset(data["features"])
        return DriverFacts(**data)
    except (OSError, ValueError, TypeError, KeyError):
        return None


def _write(cache: Path, key: str, facts: DriverFacts) -> None:
    """Losing it costs a second at the next start, so a failure is only noted."""
    data = {
        **asdict(facts),
        "key": key,
        "found_at": time.time(),
        "binary": str(facts.binary),
        "features": sorted(facts.features),
    }
    temporary = cache.with_suffix(".new")
    try:
        cache.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
        temporary.write_text(json.dumps(data, indent=1), encoding="utf-8")
        temporary.replace(cache)
    except OSError as error:
        log.warning("accelerator findings were not kept", error=str(error))
