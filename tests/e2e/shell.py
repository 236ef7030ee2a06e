"""xe for one data folder, as a person at a terminal uses it."""

from __future__ import annotations

import io
import re
from pathlib import Path

from app.cli import main
from tests.unit.cli.recorded import Printed

UUID = r"[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}"


class Shell:
    """Runs xe for one data folder."""

    def __init__(self, data_dir: Path, *far: str) -> None:
        self.data_dir = data_dir
        self.far = far

    def xe(self, *words: str, stdin: str = "") -> Printed:
        out, error = io.StringIO(), io.StringIO()
        status = main.run(words, {}, self.data_dir, (io.StringIO(stdin), out, error), data_dir=self.data_dir)
        return Printed(out.getvalue(), error.getvalue(), status)

    def said(self, *words: str, stdin: str = "") -> str:
        """What a command prints that must succeed."""
        printed = self.xe(*words, stdin=stdin)
        assert (printed.stderr, printed.status) == ("", 0), words
        return printed.stdout

    def uuid(self, *words: str) -> str:
        """What a command prints that makes an object."""
        printed = self.said(*words)
        assert re.fullmatch(f"{UUID}\n", printed), printed
        return printed.strip()
