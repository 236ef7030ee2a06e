"""A guest that never stops writing to its memory, for all that happens while that is saved."""

from __future__ import annotations

import shutil
import subprocess
import tempfile
from pathlib import Path

SOURCE = Path(__file__).with_name("dirtier.asm")


def boot_sector() -> bytes | None:
    """The guest, or None where nasm is missing, which makes it."""
    if shutil.which("nasm") is None:
        return None
    with tempfile.TemporaryDirectory() as folder:
        output = Path(folder) / "dirtier"
        subprocess.run(["nasm", "-Werror", "-f", "bin", "-o", str(output), str(SOURCE)], check=True)
        return output.read_bytes()
