"""What an interrupted export has left: how far it can be trusted, and what has to come behind it."""

from __future__ import annotations

from collections.abc import Mapping
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

from app.api import Failure
from app.xva import ova
from app.xva.blocks import MemberName
from app.xva.contents import sizes_of
from app.xva.reader import Reader


@dataclass(frozen=True, slots=True)
class Leftover:
    """The beginning of an export.

    :ivar size: its first bytes that are whole members with right hashes.
    :ivar after: the last block of these.
    :ivar identity: which objects it is of.
    """

    size: int
    after: MemberName
    identity: str

    @property
    def query(self) -> Mapping[str, str]:
        """What asks the engine for the rest."""
        return {"stillframe_after": str(self.after), "stillframe_identity": self.identity}


def leftover(part: Path) -> Leftover | None:
    """Read an interrupted export, for a thread to do; None: nothing of it is of use.

    :raise OSError: it cannot be read.
    """
    last: MemberName | None = None
    size = 0
    with suppress(Failure), part.open("rb", buffering=0) as file:
        reader = Reader(file)
        description = ova.parse(reader.ova())
        identity = ova.identity(description)
        if reader.compression == "none":
            with suppress(Failure):
                for block in reader.blocks(sizes_of(description)):
                    last, size = MemberName(block.disk, block.number), reader.position_of_block
    return None if last is None else Leftover(size, last, identity)
