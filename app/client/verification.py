"""Reading a finished .xva again: every block against its hash, every disk against what the engine says it wrote."""

from __future__ import annotations

import hashlib
import threading
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from io import RawIOBase
from pathlib import Path
from typing import Any, Final

from app.api import Failure
from app.api.streams import Chunk
from app.xva import ova
from app.xva.blocks import MemberName
from app.xva.buffers import Buffers
from app.xva.compression import Readable
from app.xva.contents import sizes_of
from app.xva.ova import Description
from app.xva.reader import Reader
from app.xva.source import PIECE
from app.xva.writer import Summary

SUMMARY: Final = "stillframe.blocks:"
"""In the other_config of an export's task, with a disk's id in the file behind it; see `app.ops.vm_export`."""


@dataclass(frozen=True, slots=True)
class Findings:
    """What was found in a file that is in order.

    :ivar summaries: of each disk by its id, how many blocks there are and a digest over their hashes.
    :ivar sha256: of the whole file, if it was asked for, in hexadecimal digits.
    """

    description: Description
    summaries: Mapping[str, str]
    size: int
    sha256: str


class Stopped(Exception):
    """Whoever waited does not any more."""


class Watched:
    """A file that is read once, from its beginning, with its bytes counted and maybe hashed."""

    def __init__(
        self, file: Readable, reach: Callable[[int], None], stop: threading.Event, *, with_digest: bool
    ) -> None:
        self._file = file
        self._reach = reach
        self._stop = stop
        self._digest: Any = hashlib.sha256() if with_digest else None
        self._buffers = Buffers(PIECE)
        self.size = 0

    def read(self, size: int, /) -> Chunk:
        """At most `size` bytes. :raise Stopped: see there."""
        if self._stop.is_set():
            raise Stopped
        piece = self._read(size)
        self.size += len(piece)
        if self._digest is not None:
            self._digest.update(piece)
        self._reach(self.size)
        return piece

    def _read(self, size: int) -> Chunk:
        if isinstance(self._file, RawIOBase) and size == PIECE:
            buffer = self._buffers.take()
            return memoryview(buffer)[: self._file.readinto(buffer) or 0]
        return self._file.read(size)

    def finish(self) -> str:
        """Read what is left; the digest, "" for none."""
        while self.read(1 << 20):
            pass
        return "" if self._digest is None else str(self._digest.hexdigest())


def verify(
    path: Path,
    told: Mapping[str, str],
    after: MemberName | None,
    reach: Callable[[int], None],
    stop: threading.Event,
    *,
    with_digest: bool = False,
) -> Findings:
    """Read a whole .xva, for a thread to do.

    :param told: the engine's summaries of what it wrote, by disk; of a server that tells nothing, nothing.
    :param after: the engine wrote only what comes behind this block.
    :param reach: told how many bytes are read.
    :raise Failure: what is wrong with it, as an import would say; IMPORT_ERROR_SOME_CHECKSUMS_FAILED: it is sound, but
        not what the engine wrote.
    """
    whole: dict[str, Summary] = {}
    written: dict[str, Summary] = {}
    with path.open("rb", buffering=0) as file:
        watched = Watched(file, reach, stop, with_digest=with_digest)
        reader = Reader(watched)
        description = ova.parse(reader.ova())
        expected = {} if reader.is_at_end() else sizes_of(description)
        for block in reader.blocks(expected):
            whole.setdefault(block.disk, Summary()).add(block.number, block.hash)
            if after is None or (block.disk, block.number) > (after.disk, after.number):
                written.setdefault(block.disk, Summary()).add(block.number, block.hash)
        sha256 = watched.finish()
    found = {disk: written.get(disk, Summary()).text() for disk in told}
    if found != dict(told) or (told and written.keys() - told.keys()):
        raise Failure("IMPORT_ERROR_SOME_CHECKSUMS_FAILED")
    return Findings(description, {disk: summary.text() for disk, summary in whole.items()}, watched.size, sha256)
