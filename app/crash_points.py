"""Named points in durable work where a test can kill the process or make a step fail.

Inert unless one of three environment variables is set:

``STILLFRAME_CRASH_AT=name`` or ``name:N``
    The process kills itself with SIGKILL when *name* is reached (for the Nth time), as a power cut for processes would.
``STILLFRAME_FAIL_AT=name``, ``name:N``, ``name:enospc``, ``name:eio`` or ``name:N:enospc``
    :func:`reach` raises the `OSError` instead (EIO if none is named).
``STILLFRAME_CRASH_LOG=FILE``
    Every reached name is appended to *FILE*, one a line, so that a sweep can list the points an operation passes.

Names read ``operation.step_done``, for example ``vm_snapshot.overlays_written``.
"""

from __future__ import annotations

import errno
import os
import signal
import threading
from pathlib import Path

CRASH_AT = "STILLFRAME_CRASH_AT"
FAIL_AT = "STILLFRAME_FAIL_AT"
CRASH_LOG = "STILLFRAME_CRASH_LOG"

_ERRORS = {"enospc": errno.ENOSPC, "eio": errno.EIO}

_lock = threading.Lock()
_counts: dict[str, int] = {}


def reach(name: str) -> None:
    """Say that *name* was reached; returns at once unless a test asked for something here.

    :raise OSError: if ``STILLFRAME_FAIL_AT`` names this point.
    """
    crash_at = os.environ.get(CRASH_AT)
    fail_at = os.environ.get(FAIL_AT)
    log = os.environ.get(CRASH_LOG)
    if crash_at is None and fail_at is None and log is None:
        return
    count = _count(name)
    if log:
        _append(Path(log), name)
    if crash_at and _matches(crash_at, name, count):
        # Windows has no SIGKILL; there os.kill ends the process at once whatever the signal.
        os.kill(os.getpid(), getattr(signal, "SIGKILL", signal.SIGTERM))
    if fail_at and _matches(fail_at, name, count):
        number = _error_number(fail_at)
        raise OSError(number, os.strerror(number), name)


def reset() -> None:
    """Start counting from zero again, for tests that set several points in one process."""
    with _lock:
        _counts.clear()


def _count(name: str) -> int:
    with _lock:
        _counts[name] = _counts.get(name, 0) + 1
        return _counts[name]


def _append(log: Path, name: str) -> None:
    with log.open("a", encoding="utf-8") as file:
        file.write(name + "\n")


def _matches(setting: str, name: str, count: int) -> bool:
    wanted, *suffixes = setting.split(":")
    if wanted != name:
        return False
    numbers = [int(suffix) for suffix in suffixes if suffix.isdecimal()]
    return not numbers or numbers[0] == count


def _error_number(setting: str) -> int:
    for suffix in setting.lower().split(":")[1:]:
        if suffix in _ERRORS:
            return _ERRORS[suffix]
    return errno.EIO
