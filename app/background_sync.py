"""Writing a growing file to the disk while it grows, so that the last sync has little left to wait for."""

from __future__ import annotations

import os
import threading
from typing import Final

EVERY: Final = 64 << 20
"""Bytes between two syncs."""


class BackgroundSync:
    """Syncs an open file now and then, from a thread of its own. `finish` or `abandon` it before the file is closed."""

    def __init__(self, descriptor: int) -> None:
        self._descriptor = descriptor
        self._since = 0
        self._running: threading.Thread | None = None
        self._error: OSError | None = None

    def wrote(self, size: int) -> None:
        """So many bytes more are in the file."""
        self._since += size
        if self._since >= EVERY and (self._running is None or not self._running.is_alive()):
            self._since = 0
            self._running = threading.Thread(target=self._sync, name="sync", daemon=True)
            self._running.start()

    def finish(self) -> None:
        """Return once all of the file is on the disk. :raise OSError: it could not be written, now or before."""
        self.abandon()
        if self._error is not None:
            raise self._error  # the system tells of it only once
        os.fsync(self._descriptor)

    def abandon(self) -> None:
        """Return once no sync is under way."""
        if self._running is not None:
            self._running.join()
            self._running = None

    def _sync(self) -> None:
        try:
            os.fsync(self._descriptor)
        except OSError as error:
            self._error = error
