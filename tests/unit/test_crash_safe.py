"""A worker that dies costs the test it died of, and nothing else."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
PLUGIN = """
from tests.support.crash_safe import CrashSafeFileScheduling

def pytest_xdist_make_scheduler(config, log):
    return CrashSafeFileScheduling(config, log)
"""
PASSES = "def test_{0}(): pass\n"
DIES = "import os\ndef test_{0}(): os._exit(1)\n"


def _run(folder: Path, processes: int, files: dict[str, str]) -> str:
    (folder / "conftest.py").write_text(PLUGIN)
    for name, text in files.items():
        (folder / f"test_{name}.py").write_text(text)
    command = [sys.executable, "-m", "pytest", "-p", "no:cacheprovider", "-c", "/dev/null", "--rootdir", str(folder)]
    ran = subprocess.run(
        [*command, "-n", str(processes), "--dist", "loadfile", str(folder)],
        cwd=ROOT,
        capture_output=True,
        text=True,
        check=False,
        timeout=100,
    )
    return ran.stdout


@pytest.mark.parametrize("processes", [1, 2])
@pytest.mark.parametrize("after", [0, 2])
def test_the_rest_is_run_and_the_run_ends(tmp_path: Path, processes: int, after: int) -> None:
    done = "".join(PASSES.format(f"done_{n}") for n in range(4))
    rest = "".join(PASSES.format(f"rest_{n}") for n in range(after))
    out = _run(tmp_path, processes, {"done": done, "other": PASSES.format("other"), "z": DIES.format("dies") + rest})
    assert f"1 failed, {5 + after} passed" in out.splitlines()[-1], out


def test_each_of_many_deaths_is_told_once(tmp_path: Path) -> None:
    out = _run(tmp_path, 1, {name: DIES.format(name) for name in "abc"} | {"d": PASSES.format("d")})
    assert "3 failed, 1 passed" in out.splitlines()[-1], out
