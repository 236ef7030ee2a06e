"""Crash points do nothing unless asked, and then exactly what was asked."""

from __future__ import annotations

import errno
import os
import signal
import subprocess
import sys
from pathlib import Path

import pytest

from app import crash_points


def _reach_in_a_process(names: list[str], **settings: str) -> int:
    code = "import sys\nfrom app import crash_points\nfor name in sys.argv[1:]: crash_points.reach(name)"
    return subprocess.run([sys.executable, "-c", code, *names], env={**os.environ, **settings}, check=False).returncode


def test_is_inert_unless_asked() -> None:
    crash_points.reach("anything.at_all")


def test_kills_the_process_at_the_named_point() -> None:
    assert _reach_in_a_process(["a", "b"], STILLFRAME_CRASH_AT="b") == -signal.SIGKILL
    assert _reach_in_a_process(["a", "b"], STILLFRAME_CRASH_AT="c") == 0


@pytest.mark.parametrize(("times", "expected"), [(2, 0), (3, -signal.SIGKILL)])
def test_kills_the_process_the_nth_time(times: int, expected: int) -> None:
    assert _reach_in_a_process(["a"] * times + ["b"], STILLFRAME_CRASH_AT="a:3") == expected


@pytest.mark.parametrize(
    ("setting", "number"),
    [("disk.full", errno.EIO), ("disk.full:enospc", errno.ENOSPC), ("disk.full:EIO", errno.EIO)],
)
def test_fails_with_the_named_error(monkeypatch: pytest.MonkeyPatch, setting: str, number: int) -> None:
    monkeypatch.setenv(crash_points.FAIL_AT, setting)
    crash_points.reach("disk.other")
    with pytest.raises(OSError, match=r"disk\.full") as caught:
        crash_points.reach("disk.full")
    assert caught.value.errno == number


def test_fails_only_the_nth_time(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv(crash_points.FAIL_AT, "disk.full:2:enospc")
    crash_points.reach("disk.full")
    with pytest.raises(OSError, match=os.strerror(errno.ENOSPC)):
        crash_points.reach("disk.full")
    crash_points.reach("disk.full")


def test_lists_what_was_reached(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    log = tmp_path / "reached"
    monkeypatch.setenv(crash_points.CRASH_LOG, str(log))
    for name in ("one.begun", "one.ended", "one.begun"):
        crash_points.reach(name)
    assert log.read_text().splitlines() == ["one.begun", "one.ended", "one.begun"]
