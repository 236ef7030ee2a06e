"""What the project depends on: the lock, and the one fault that chose PySide6's version."""

from __future__ import annotations

import re
import subprocess
import sys
import tomllib

from tests.contracts.tree import ROOT

LOCK = (ROOT / "requirements.lock").read_text(encoding="utf-8")
PINNED = re.compile(r"(?P<name>[a-z0-9-]+)==(?P<version>[0-9][0-9a-z.+!]*)(?: ; [^\\:/]+)? \\")
HASH = re.compile(r"    --hash=sha256:[0-9a-f]{64}(?: \\)?")

# PySide6 6.12.0 on Python 3.11 gives away references to None and True with every void call and every emit, until the
# interpreter aborts. A short test does not show it; this many calls do.
MANY_CALLS = """
import sys
from PySide6.QtCore import QObject, Signal
from PySide6.QtWidgets import QApplication, QLabel

class Source(QObject):
    fired = Signal(int)

application = QApplication([])
source, label, heard = Source(), QLabel(), []
source.fired.connect(heard.append)
before = sys.getrefcount(None), sys.getrefcount(True)
for number in range(20_000):
    source.fired.emit(number)
    label.setText(str(number))
lost = [old - new for old, new in zip(before, (sys.getrefcount(None), sys.getrefcount(True)))]
assert len(heard) == 20_000 and label.text() == "19999"
assert max(lost) < 1_000, f"references to None and True lost: {lost}"
"""


def normalised(requirement: str) -> str:
    """The name a requirement begins with, as PEP 503 writes it."""
    match = re.match(r"[A-Za-z0-9._-]+", requirement)
    assert match is not None
    return re.sub(r"[-_.]+", "-", match.group()).lower()


def test_the_lock_holds_versions_and_hashes_and_no_address() -> None:
    odd = [line for line in LOCK.splitlines() if not PINNED.fullmatch(line) and not HASH.fullmatch(line)]
    assert odd == []
    assert not re.search(r"^[a-z].*\n(?!    --hash)", LOCK, re.MULTILINE), "a package without a hash"


def test_the_lock_covers_every_dependency() -> None:
    project = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]
    wanted = {normalised(line) for line in project["dependencies"] + project["optional-dependencies"]["test"]}
    locked = {match["name"] for match in map(PINNED.fullmatch, LOCK.splitlines()) if match}
    assert wanted - locked == set(), "make the lock anew: installer/lock.sh"
    assert "setuptools" in locked, "needed to install the project itself without an index"


def test_many_qt_calls_do_not_break_the_interpreter() -> None:
    done = subprocess.run(
        [sys.executable, "-c", MANY_CALLS],
        env={"QT_QPA_PLATFORM": "offscreen", "PATH": "/usr/bin:/bin"},
        capture_output=True,
        text=True,
        timeout=60,
    )
    assert done.returncode == 0, done.stderr
