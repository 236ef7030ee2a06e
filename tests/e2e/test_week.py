"""A week of three schedules over ten VMs on real guests and files, with a failure, a lock and a kill in the middle."""

from __future__ import annotations

import asyncio
import json
import os
import signal
import sys
from collections import Counter
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from app import crash_points
from app.api import EPOCH, VM, VMSS, Ref, VMSSRun, VMSSRunStatus
from app.engine.schedule_state import runs_of
from tests.e2e.week import Clock
from tests.engine.vm.guests import assert_tidy, counter, some_ticks
from tests.support.engine import Bench, open_bench

pytestmark = pytest.mark.timeout(600)
BEGUN = datetime(2026, 11, 23, 0, 30, tzinfo=UTC)  # a Monday
WEEK = 7 * 24
STATUSES = {VMSSRunStatus.success, VMSSRunStatus.partial, VMSSRunStatus.skipped}


async def prepare(folder: Path) -> dict[str, str]:
    """Ten VMs, two of them running, three schedules; answer references by name."""
    found: dict[str, str] = {}
    async with open_bench(folder, kill_guests=False, now=Clock(BEGUN)) as bench:
        session = bench.session
        for number in range(10):
            found[f"vm{number}"] = await bench.sample_vm(f"vm{number}", disks=1)
        for name in ("vm0", "vm1"):
            await session.VM.start(Ref(found[name]))
            await some_ticks(bench, Ref(found[name]))
        plans = {
            "nightly": ("daily", {"hour": "2"}, "snapshot", 3, range(6)),
            "twice": ("daily", {"stillframe.times": "06:00,18:00"}, "snapshot", 2, range(6, 9)),
            "memory": ("weekly", {"hour": "4", "days": "Wednesday,Saturday"}, "checkpoint", 1, range(9, 10)),
        }
        for name, (frequency, entries, kind, retained, vms) in plans.items():
            schedule = {**entries, "stillframe.zone": "UTC"}
            record = {"name_label": name, "type": kind, "frequency": frequency, "schedule": schedule}
            found[name] = await session.VMSS.create({**record, "retained_snapshots": retained})
            for number in vms:
                await session.VM.set_snapshot_schedule(Ref(found[f"vm{number}"]), Ref(found[name]))
    return found


async def go_on(folder: Path, start: datetime, hours: int, crash_at: str = "") -> tuple[int, datetime]:
    """So many hours in a process of its own; answer its status and how far its clock came."""
    environment = {**os.environ, **({crash_points.CRASH_AT: crash_at} if crash_at else {})}
    words = [sys.executable, "-m", "tests.e2e.week", str(folder), start.isoformat(), str(hours)]
    process = await asyncio.create_subprocess_exec(*words, env=environment, stdout=asyncio.subprocess.PIPE)
    output, _ = await process.communicate()
    lines = output.decode().split()
    return process.returncode or 0, datetime.fromisoformat(lines[-1]) if lines else start


async def lock_and_break(folder: Path, names: dict[str, str], now: datetime) -> str:
    """Lock the first nightly snapshot of vm0, and lose the disk of vm5."""
    async with open_bench(folder, kill_guests=False, now=Clock(now)) as bench:
        snapshots = bench.vm(names["vm0"]).snapshots
        first = min(snapshots, key=lambda ref: bench.vm(ref).snapshot_time)
        await bench.session.VM.lock_snapshot(first, "audit", "tests", EPOCH)
        bench.image(names["vm5"]).rename(folder / "lost.qcow2")
        return first


async def test_the_log_and_the_snapshots_agree_after_a_week(data_dir: Path) -> None:
    names = await prepare(data_dir)
    status, now = await go_on(data_dir, BEGUN, 30)
    assert (status, now) == (0, BEGUN + timedelta(hours=30))
    locked = await lock_and_break(data_dir, names, now)
    # In the middle of a run, with some of its snapshots taken and none of the log finished.
    status, now = await go_on(data_dir, now, WEEK - 30, "schedule.snapshot_taken:14")
    assert status == -signal.SIGKILL
    left = WEEK - round((now - BEGUN) / timedelta(hours=1))
    # The hour of the kill is done again by the next process, on the same clock.
    status, now = await go_on(data_dir, now, left)
    assert (status, now) == (0, BEGUN + timedelta(hours=WEEK))
    async with open_bench(data_dir, now=Clock(now)) as bench:
        check(bench, names, locked)
        (data_dir / "lost.qcow2").rename(bench.image(names["vm5"]))
        assert_tidy(bench)


def check(bench: Bench, names: dict[str, str], locked: str) -> None:
    """Every slot once; every snapshot in the log; what the log says was deleted is gone, the rest is there."""
    assert slots(bench, names["nightly"]) == [BEGUN.replace(hour=2, minute=0) + timedelta(days=d) for d in range(7)]
    assert len(slots(bench, names["twice"])) == 14 and len(slots(bench, names["memory"])) == 2
    taken, deleted = Counter[str](), set[str]()
    for schedule in ("nightly", "twice", "memory"):
        for line in told(bench, names[schedule]):
            assert line.status in STATUSES, line
            for uuid, text in line.results.items():
                result = json.loads(text)
                taken[uuid] += result["outcome"] == "success"
                deleted |= set(result.get("deleted", ()))
    for number in range(10):
        record = bench.vm(names[f"vm{number}"])
        found = {bench.vm(ref).uuid for ref in record.snapshots}
        assert not found & deleted
        gone = deleted & made_of(bench, names, record.uuid)
        assert len(found) == taken[record.uuid] - len(gone)
    assert bench.store.find(VM, locked) is not None
    kept = {number: len(bench.vm(names[f"vm{number}"]).snapshots) for number in range(10)}
    # The locked one stays beside the newest three; what failed lost nothing; a halted VM has no memory to keep.
    assert kept == {0: 4, 1: 3, 2: 3, 3: 3, 4: 3, 5: 2, 6: 2, 7: 2, 8: 2, 9: 0}
    by_time = sorted(bench.vm(names["vm1"]).snapshots, key=lambda ref: bench.vm(ref).snapshot_time)
    counts = [counter(bench, ref) for ref in by_time]
    assert counts == sorted(counts) and counts[0] > 0


def told(bench: Bench, schedule: str) -> list[VMSSRun]:
    """The runs of a schedule, without notes."""
    lines = runs_of(bench.engine.context, Ref[VMSS](schedule)).values()
    return [line for line in lines if line.status is not VMSSRunStatus.noted]


def slots(bench: Bench, schedule: str) -> list[datetime]:
    return [line.slot for line in told(bench, schedule)]


def made_of(bench: Bench, names: dict[str, str], uuid: str) -> set[str]:
    """The uuids of all snapshots that the log says were made of a VM."""
    lines = [line for schedule in ("nightly", "twice", "memory") for line in told(bench, names[schedule])]
    return {json.loads(line.results[uuid]).get("snapshot", "") for line in lines if uuid in line.results}
