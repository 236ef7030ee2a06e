"""What the engine may ask of a hypervisor about merging images that a guest has open; part of `Driver`.

A merge is a job inside the guest's QEMU. It never takes its last step by itself: when all is copied it is "ready" and
waits to be told. A controller that dies leaves it running, and the next one finds it by its name.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Literal, Protocol

JobState = Literal[
    "running",
    "ready",  # all is copied, and nothing points elsewhere yet: `finish_merge` or `cancel_merge`
    "done",  # finished, and not yet forgotten
    "failed",  # ended by an error or cancelled, and not yet forgotten
    "absent",  # unknown: never begun, or forgotten
]


@dataclass(frozen=True)
class JobFacts:
    """How a job is.

    :ivar fraction: how much is done, 0.0 to 1.0.
    :ivar error: QEMU's words if it failed.
    """

    state: JobState
    fraction: float = 0.0
    error: str = ""


@dataclass(frozen=True)
class MergeOrder:
    """Merge two images of a device's chain, neighbours.

    :ivar job: a name for the job: letters, digits and "-", beginning with a letter.
    :ivar stream: copy what `base` holds up into `child`; else what `child` holds down into `base`, which the image that
        the guest writes to can never be told.
    :ivar parent: the image below `base`, if any.
    :ivar speed: bytes a second at most; 0 is no limit.
    """

    job: str
    device: str
    stream: bool
    child: Path
    base: Path
    parent: Path | None
    speed: int = 0


class MergeDriver(Protocol):
    """Every coroutine may raise DriverError, as those of `Driver`."""

    async def start_merge(self, uuid: str, order: MergeOrder) -> None:
        """Begin to copy. The images that are written to must be writable files."""
        ...

    async def merge_facts(self, uuid: str, job: str) -> JobFacts:
        """How the job is now."""
        ...

    async def wait_merge(self, uuid: str, job: str, progress: Callable[[float], None]) -> JobFacts:
        """Wait until the job is not running any more. Being cancelled leaves the job as it is."""
        ...

    async def flush_image(self, uuid: str, device: str, image: Path) -> None:
        """Have everything about an image of the device's chain written to its file.

        QEMU does not tell whether that worked: look at the file.
        """
        ...

    async def finish_merge(self, uuid: str, job: str) -> None:
        """Tell a "ready" job to take the last step, wait for it, and forget the job. No image stays locked for it.

        :raise DriverError: "qmp" with QEMU's words; the chain is as it was then.
        """
        ...

    async def cancel_merge(self, uuid: str, job: str) -> None:
        """Stop the job if it has not finished, wait for its end, and forget it. One that is absent is no error."""
        ...

    async def chain(self, uuid: str, device: str) -> list[Path]:
        """The images a device uses, the active one first, asked from the hypervisor."""
        ...

    async def drop_image(self, uuid: str, image: Path) -> None:
        """Close an image that no device uses any more, if it is still open."""
        ...
