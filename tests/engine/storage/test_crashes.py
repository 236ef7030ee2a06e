"""Killed or failing at every durable step, a repository is consistent when it is opened again."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from collections import Counter
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from app import crash_points
from app.storage.errors import StorageError
from app.storage.file_repository import FileRepository
from app.storage.journal import Journal
from tests.engine.storage import crash_scenario
from tests.engine.storage.crash_scenario import IMAGES_AFTER, LEFT

STEPS = list(IMAGES_AFTER)


def _run(root: Path, **settings: str) -> subprocess.CompletedProcess[str]:
    root.mkdir(exist_ok=True)
    command = [sys.executable, "-m", crash_scenario.__name__, str(root)]
    return subprocess.run(command, env={**os.environ, **settings}, capture_output=True, text=True, check=False)


def _points(tmp_path: Path) -> list[str]:
    """Every point of the scenario, as ``name:N``."""
    log = tmp_path / "points"
    done = _run(tmp_path / "whole", STILLFRAME_CRASH_LOG=str(log))
    assert done.returncode == 0, done.stderr
    assert done.stdout.split() == STEPS[1:]
    seen: Counter[str] = Counter()
    points = []
    for name in log.read_text().splitlines():
        seen[name] += 1
        points.append(f"{name}:{seen[name]}")
    assert len(seen) > 15
    return points


def _assert_consistent(root: Path, last: str, point: str) -> None:
    """*last* is the step completed last. Open again, do what a recovery would, and look at everything."""
    repository = FileRepository(root / "sr")
    repository.open()
    before = set(repository.image_ids())
    following = STEPS[min(STEPS.index(last) + 1, len(STEPS) - 1)]
    kept = IMAGES_AFTER[last] & IMAGES_AFTER[following]
    assert kept <= before <= IMAGES_AFTER[last] | IMAGES_AFTER[following], (point, last)

    journal = Journal(root / "journal")
    for entry in journal.pending():
        images = entry.facts["images"]
        assert isinstance(images, list)
        repository.discard(str(image_id) for image_id in images)
        entry.end()
    repository.empty_trash()
    repository.remove_memory_parts()
    assert journal.bad == ()
    assert list((root / "journal").glob("*.json")) == []

    children = repository.children_map()
    for image_id, facts in repository.scan().items():
        assert facts.problem == "", (point, facts)
        repository.verify(image_id)
        assert facts.virtual_size > 0
    assert set(children) == set(repository.image_ids())
    stray = [path.name for path in (root / "sr").rglob("*") if path.is_file() and path.suffix not in (".qcow2", ".ram")]
    assert stray == [], point
    memory = repository.memory_path(LEFT)
    assert not memory.exists() or memory.stat().st_size == 60_000


def test_a_kill_at_any_point_leaves_a_consistent_repository(tmp_path: Path) -> None:
    points = _points(tmp_path)

    def crash(point: str) -> tuple[str, Path, subprocess.CompletedProcess[str]]:
        root = tmp_path / point.replace(":", "-")
        return point, root, _run(root, STILLFRAME_CRASH_AT=point)

    with ThreadPoolExecutor(2) as pool:
        runs = list(pool.map(crash, points))
    for point, root, done in runs:
        assert done.returncode == -signal.SIGKILL, (point, done.stderr)
        completed = done.stdout.split()
        _assert_consistent(root, completed[-1] if completed else "nothing", point)


async def test_a_failure_at_any_point_changes_nothing(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    for number, point in enumerate(_points(tmp_path)):
        root, completed = tmp_path / str(number), ["nothing"]
        root.mkdir()
        crash_points.reset()
        monkeypatch.setenv(crash_points.FAIL_AT, f"{point}:enospc")
        with pytest.raises(StorageError) as caught:
            await crash_scenario.run(root, completed.append)
        monkeypatch.delenv(crash_points.FAIL_AT)
        assert caught.value.cause == "no_space", point
        present = {path.stem for path in (root / "sr" / "img").iterdir()}
        expected = IMAGES_AFTER[completed[-1]]
        if "trash" in point or completed[-1] == "memory" or "journal" in point:
            # A removal goes on where it stopped; a journal that fails undoes nothing of the work it is about.
            _assert_consistent(root, completed[-1], point)
        else:
            assert present == expected, point
