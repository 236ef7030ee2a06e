"""One window per data folder: a file that is opened goes to the window there is, by a private unix socket.

A line with the file's path, and a line in answer. The socket lies in the data folder's own run folder, which nobody
else may enter. Where there are no unix sockets every call opens a window of its own.
"""

from __future__ import annotations

import asyncio
import os
import socket
from collections.abc import Callable
from pathlib import Path
from typing import Final

from app.log import get

log = get(__name__)

_BUSY_SECONDS: Final = 15.0
"""A window that is there may be busy; a second one would only confuse."""
_TAKEN: Final = b"taken\n"
_PATIENCE_SECONDS: Final = 2.0
_LONGEST: Final = 8192


def hand_over(door: Path, path: Path) -> bool:
    """Give a file to the window that listens at `door`; false where none does."""
    if not hasattr(socket, "AF_UNIX"):
        return False
    try:
        with socket.socket(socket.AF_UNIX) as line:
            line.settimeout(_PATIENCE_SECONDS)
            line.connect(str(door))
            line.settimeout(_BUSY_SECONDS)
            line.sendall(os.fsencode(path) + b"\n")
            return line.recv(len(_TAKEN)) == _TAKEN
    except OSError:
        return False


class Door:
    """Listens for files. `named` is called with each path, on the event loop that opened it."""

    def __init__(self, path: Path, named: Callable[[str], None]) -> None:
        self._path, self._named = path, named
        self._server: asyncio.Server | None = None

    async def open(self) -> None:
        """Begin to listen, unless another window does. That it is not possible is noted: nothing else needs it."""
        if not hasattr(asyncio, "start_unix_server") or await self._is_answered():
            return
        before = os.umask(0o177)
        try:
            self._path.unlink(missing_ok=True)  # of a window that was killed
            self._server = await asyncio.start_unix_server(self._answer, str(self._path), limit=_LONGEST)
        except OSError as error:
            log.warning("files that are opened come to no window", error=str(error))
        finally:
            os.umask(before)

    async def close(self) -> None:
        """Listen no more."""
        if self._server is not None:
            self._server.close()
            self._path.unlink(missing_ok=True)
            self._server = None

    async def _is_answered(self) -> bool:
        try:
            _, writer = await asyncio.open_unix_connection(str(self._path))
        except OSError:
            return False
        writer.close()
        return True

    async def _answer(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        try:
            async with asyncio.timeout(_PATIENCE_SECONDS):
                line = await reader.readline()
            if line.endswith(b"\n"):
                writer.write(_TAKEN)
                await writer.drain()
                self._named(os.fsdecode(line[:-1]))
        except (TimeoutError, ValueError, OSError) as error:
            log.debug("what was said at the door is not understood", error=str(error))
        finally:
            writer.close()
