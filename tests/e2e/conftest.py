"""One engine that runs as a service, and one guest on it, for all that xe is tested with."""

from __future__ import annotations

import re
import shutil
import signal
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.contracts.tree import ROOT
from tests.e2e.shell import Shell


@pytest.fixture(scope="package")
def shell() -> Iterator[Shell]:
    parent = Path(tempfile.mkdtemp(prefix="sf-"))
    login = parent / "login"
    login.write_text("root\nnot a secret\n")
    words = ["serve", "--data-dir", str(parent / "data"), "--listen", "127.0.0.1:0", "--user", "root"]
    served = subprocess.Popen(
        [sys.executable, "-m", "app", *words, "--password-file", "-"],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        cwd=ROOT,
        text=True,
    )
    assert served.stdin is not None and served.stdout is not None
    served.stdin.write("not a secret\n")
    served.stdin.close()
    assert served.stdout.readline().startswith("Serving")
    port = re.search(r":(\d+)", served.stdout.readline())
    assert port is not None
    yield Shell(parent / "data", "-s", "127.0.0.1", "-p", port[1], "-pwf", str(login))
    served.send_signal(signal.SIGTERM)
    assert served.wait(60) == 0
    served.stdout.close()
    shutil.rmtree(parent)


@pytest.fixture(scope="package")
def vm(shell: Shell) -> Iterator[str]:
    """A guest that runs."""
    uuid = shell.uuid("vm-install", "template=Sample guest", "new-name-label=Windows Server 2016 (1)")
    shell.said("vm-start", f"uuid={uuid}")
    yield uuid
    shell.said("vm-uninstall", f"uuid={uuid}", "--force")


@pytest.fixture(scope="package")
def checkpoint(shell: Shell, vm: str) -> str:
    return shell.uuid("vm-checkpoint", f"vm={vm}", "new-name-label=Snapshot with memory")


@pytest.fixture(scope="package")
def snapshot(shell: Shell, vm: str, checkpoint: str) -> str:
    return shell.uuid("vm-snapshot", f"vm={vm}", "new-name-label=Regular")
