"""What the window waits for before it is shown."""

from __future__ import annotations

import subprocess
import sys

from tests.contracts.tree import ROOT

NEEDED_LATER = ("aiohttp", "alembic", "cryptography", "keyring", "rich", "app.server", "ui.tour")
"""Together these took as long as half of what is needed."""


def test_the_window_does_not_wait_for_what_it_needs_later() -> None:
    source = f"import sys, ui.application; print(*(name for name in {NEEDED_LATER} if name in sys.modules))"
    done = subprocess.run(
        [sys.executable, "-c", source], cwd=ROOT, capture_output=True, text=True, timeout=60, check=True
    )
    assert done.stdout.split() == []
