"""What a driver finds out and answers: plain values."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Literal


@dataclass(frozen=True)
class DriverFacts:
    """What was found out about the hypervisor by trying it.

    :ivar accelerator: the fastest accelerator that booted a guest.
    :ivar tried: accelerator -> "works", or the reason why it is not used.
    :ivar machine: the versioned machine type new guests get, such as pc-i440fx-7.2.
    :ivar features: optional abilities found ("sandbox").
    """

    version: str
    version_tuple: tuple[int, ...]
    accelerator: str
    tried: Mapping[str, str]
    machine: str
    binary: Path
    features: frozenset[str] = frozenset()


@dataclass(frozen=True)
class SwitchFacts:
    """How a switch went.

    :ivar stall: seconds the switching command took: an upper bound of how long the guest's disks waited.
    :ivar frozen: device -> the file that was active before and is only read from now on.
    """

    stall: float
    frozen: Mapping[str, Path] = field(default_factory=dict)


@dataclass(frozen=True)
class TogetherFacts:
    """How the switch of several guests went.

    :ivar spread: seconds between the instants of the guests that ran, at most; 0.0 if fewer than two did.
    :ivar stalls: uuid -> seconds that the guest, or its disks only, stood still, at most.
    """

    spread: float
    stalls: Mapping[str, float]


@dataclass(frozen=True)
class SavedFacts:
    """What a restore of a memory image needs to be given again, and what the save cost.

    :ivar pause: seconds the virtual CPUs had been stopped when the image was complete.
    :ivar size: bytes of the memory image.
    """

    machine: str
    cpu: str
    accelerator: str
    version: str
    pause: float
    size: int


@dataclass(frozen=True)
class CheckpointFacts:
    """How a checkpoint went.

    :ivar saved: what a restore needs. Its `pause` is how long the virtual CPUs stood still, 0.0 if they did before.
    :ivar switch: how the disks were switched.
    :ivar duration: seconds from the beginning until the memory image was durable.
    :ivar compression: how the image is compressed: as asked for, or "none" where that could not be.
    """

    saved: SavedFacts
    switch: SwitchFacts
    duration: float
    compression: Literal["none", "zstd"] = "none"


@dataclass(frozen=True)
class FreezeFacts:
    """File systems of a guest that stand still.

    :ivar file_systems: how many; 0 if the guest has none that can.
    :ivar since: when the guest was told to, on the monotonic clock.
    """

    file_systems: int
    since: float


@dataclass(frozen=True)
class Interface:
    """A network interface as the guest sees it: its MAC in lower case, its addresses."""

    mac: str
    addresses: tuple[str, ...]


@dataclass(frozen=True)
class AgentFacts:
    """What a guest's agent tells. The guest may lie: plain short texts, for people to read.

    :ivar system: of the operating system what is known: "name", "distro", "version", "uname", "hostname".
    :ivar can_freeze: it offers to freeze file systems.
    """

    version: str
    can_freeze: bool
    system: Mapping[str, str] = field(default_factory=dict)
    interfaces: tuple[Interface, ...] = ()
