"""For all tests: a data folder of their own, and never the developer's."""

from __future__ import annotations

import faulthandler
import shutil
import tempfile
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any

import hypothesis
import pytest
from _pytest.faulthandler import fault_handler_stderr_fd_key

from app.config import DATA_DIR_VARIABLE
from app.garbage import Collector

if TYPE_CHECKING:
    from tests.support.crash_safe import CrashSafeFileScheduling

# No test asserts a time, and none fails because the machine is busy.
hypothesis.settings.register_profile("patient", deadline=None, suppress_health_check=[hypothesis.HealthCheck.too_slow])
hypothesis.settings.load_profile("patient")

_collector = Collector()


def pytest_xdist_make_scheduler(config: Any, log: Any) -> CrashSafeFileScheduling:
    """In place of what `--dist` names: a file's tests stay together, and a crash does not stop the rest."""
    from tests.support.crash_safe import CrashSafeFileScheduling

    return CrashSafeFileScheduling(config, log)


def pytest_timeout_set_timer(item: pytest.Item, settings: Any) -> bool:
    """A test that takes too long ends its process, which tells where each thread was.

    pytest-timeout's exception is swallowed by whatever slot of Qt's is running, and its thread waits for native code.
    """
    stderr = item.config.stash[fault_handler_stderr_fd_key]
    faulthandler.dump_traceback_later(settings.timeout, file=stderr, exit=True)
    return True


def pytest_timeout_cancel_timer() -> bool:
    """The test has ended in time."""
    faulthandler.cancel_dump_traceback_later()
    return True


def pytest_sessionstart() -> None:
    """No thread of a test may find the widgets that an earlier test left as garbage."""
    _collector.start()


def pytest_runtest_logfinish() -> None:
    """Between two tests garbage is searched for, in the thread that runs them; also after one that let Python do so."""
    _collector.start()
    _collector.step()


@pytest.fixture
def data_dir() -> Iterator[Path]:
    """A data folder not made yet, with a path short enough for the sockets in it; removed after the test.

    `tmp_path` holds the test's name and is often too long for a socket address.
    """
    parent = Path(tempfile.mkdtemp(prefix="sf-"))
    yield parent / "data"
    shutil.rmtree(parent)


@pytest.fixture(autouse=True)
def _nobodys_data_dir(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """A test that forgets to name its data folder must not open the one of whoever runs it."""
    monkeypatch.setenv(DATA_DIR_VARIABLE, str(tmp_path / "unnamed"))
