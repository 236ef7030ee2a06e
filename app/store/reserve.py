"""Space put aside so that a full disk can still be told of, and put right."""

from __future__ import annotations

import contextlib
import os
import shutil
from pathlib import Path
from typing import Final

from app.log import get

log = get(__name__)

SIZE: Final = 2 << 20
_RESTORE_ABOVE: Final = 8 * SIZE


class Reserve:
    """A file of `SIZE` bytes that goes when its space is needed, and comes back when there is plenty."""

    def __init__(self, path: Path | None) -> None:
        """Nothing is written before `restore`; without a path there is no reserve."""
        self._path = path

    def release(self) -> bool:
        """Give the space up. False if there is none."""
        if self._path is None:
            return False
        try:
            self._path.unlink()
        except OSError:
            return False
        log.warning("the disk is full: the reserve was given up", path=str(self._path))
        return True

    def restore(self) -> None:
        """Put the space aside again, if there is plenty; failing to is no harm."""
        path = self._path
        if path is None or path.exists():
            return
        with contextlib.suppress(OSError):
            if shutil.disk_usage(path.parent).free > _RESTORE_ABOVE:
                _fill(path)


def _fill(path: Path) -> None:
    descriptor = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
    try:
        with os.fdopen(descriptor, "wb") as file:
            # Random, so that a file system that compresses sets the space aside all the same.
            file.write(os.urandom(SIZE))
    except OSError:
        path.unlink(missing_ok=True)
        raise
