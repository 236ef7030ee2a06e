"""Finding the points that a scenario passes, killing it at one of them, and checking what a new engine makes of it."""

from __future__ import annotations

import asyncio
import json
import os
import shutil
import signal
import sys
import tempfile
from collections import Counter
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path

from app.hypervisor.findings import find_facts
from tests.engine.vm.guests import processes_of
from tests.faults import child
from tests.faults.scenarios import SCENARIOS, Facts
from tests.faults.world import assert_sound, contents, difference, files, objects
from tests.support.engine import Bench, open_bench

LIMIT = 120
"""Seconds for one child: only one that hangs takes that long."""


@dataclass(frozen=True)
class Ended:
    """How a child ended: its exit status, the facts it told, and what it said besides."""

    status: int
    facts: Facts
    words: str


async def find_accelerators(folder: Path) -> Path:
    """Try the accelerators once; the file is copied into each data folder."""
    cache = folder / "hypervisor.json"
    await find_facts(cache)
    return cache


@asynccontextmanager
async def data_folder(findings: Path) -> AsyncIterator[Path]:
    """A data folder with a short path; its guests and files are gone afterwards."""
    parent = Path(tempfile.mkdtemp(prefix="sff-"))
    folder = parent / "data"
    folder.mkdir(mode=0o700)
    (folder / "journal").mkdir(mode=0o700)
    shutil.copy(findings, folder / "hypervisor.json")
    try:
        yield folder
    finally:
        for pid in processes_of(folder):
            os.kill(pid, signal.SIGKILL)
        shutil.rmtree(parent)


async def points_of(name: str, findings: Path) -> list[str]:
    """The points that the scenario passes while it acts, as `name:N`, in the order reached."""
    async with data_folder(findings) as folder:
        log = folder / "points"
        ended = await _run(name, folder, {child.LOG: str(log)})
        if ended.status != 0:
            raise RuntimeError(f"{name} failed without being killed: {ended.words}")
        seen: Counter[str] = Counter()
        points = []
        for point in log.read_text().splitlines() if log.exists() else []:
            seen[point] += 1
            points.append(f"{point}:{seen[point]}")
        log.unlink(missing_ok=True)
        await _check(name, folder, ended.facts)
        return points


async def kill_at(name: str, point: str, findings: Path) -> bool:
    """Kill the scenario at the point and check the folder. False if it was not reached this time.

    :raise AssertionError: what is left is not right.
    """
    async with data_folder(findings) as folder:
        ended = await _run(name, folder, {child.AT: point})
        if ended.status not in (0, -signal.SIGKILL):
            raise AssertionError(f"the child ended by itself: {ended.words}")
        await _check(name, folder, ended.facts)
        return ended.status != 0


async def _check(name: str, folder: Path, facts: Facts) -> None:
    async with open_bench(folder, kill_guests=False) as bench:
        assert_sound(bench, folder)
        _assert_frozen(bench, facts)
        recovered, kept = objects(bench), files(folder)
    async with open_bench(folder) as bench:
        again = objects(bench)
        assert again == recovered, f"opening again changed {difference(recovered, again)}"
        assert files(folder) == kept
        assert_sound(bench, folder)
        await SCENARIOS[name].check(bench, facts)
        _assert_frozen(bench, facts)
        assert_sound(bench, folder)


def _assert_frozen(bench: Bench, facts: Facts) -> None:
    """A snapshot that is there shows what it showed, to the byte."""
    for ref, expected in facts["frozen"].items():
        if ref in bench.store.of_class("VM"):
            assert contents(bench, ref) == expected


async def _run(name: str, folder: Path, settings: dict[str, str]) -> Ended:
    inherited = {key: value for key, value in os.environ.items() if not key.startswith("STILLFRAME_")}
    command = [sys.executable, "-m", child.__name__, name, str(folder)]
    process = await asyncio.create_subprocess_exec(
        *command, env={**inherited, **settings}, stdout=asyncio.subprocess.PIPE, stderr=asyncio.subprocess.PIPE
    )
    try:
        async with asyncio.timeout(LIMIT):
            output, errors = await process.communicate()
    except TimeoutError:
        process.kill()
        await process.wait()
        raise AssertionError("the child hung") from None
    lines = output.decode().splitlines()
    assert process.returncode is not None
    return Ended(process.returncode, json.loads(lines[0]) if lines else {"frozen": {}}, errors.decode()[-2000:])
