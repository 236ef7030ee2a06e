"""What the engine may ask of a hypervisor: the `Driver` protocol and the values that cross it.

Nothing here knows the object store or the public vocabulary: a guest is a uuid, a disk is a path, memory is bytes.
Two drivers implement the protocol: `app.hypervisor.qemu.QemuDriver` runs real guests, and
`app.hypervisor.simulated.SimulatedDriver` keeps them in memory for user-interface and scale tests.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Literal, Protocol

from app.hypervisor.facts import (
    AgentFacts,
    CheckpointFacts,
    DriverFacts,
    FreezeFacts,
    Interface,
    SavedFacts,
    SwitchFacts,
    TogetherFacts,
)
from app.hypervisor.merge_driver import JobFacts, MergeDriver, MergeOrder

__all__ = [
    "AgentFacts",
    "CheckpointFacts",
    "Compression",
    "DiskBus",
    "DiskFormat",
    "DiskKind",
    "DiskSpec",
    "DiskSwitch",
    "Driver",
    "DriverError",
    "DriverFacts",
    "ErrorCause",
    "EventKind",
    "EventSink",
    "FreezeFacts",
    "GuestEvent",
    "GuestSpec",
    "GuestState",
    "Interface",
    "JobFacts",
    "MergeOrder",
    "NicSpec",
    "Progress",
    "SaveMethod",
    "SavedFacts",
    "SwitchFacts",
    "TogetherFacts",
]

DiskKind = Literal["disk", "cd"]
DiskFormat = Literal["qcow2", "raw"]
DiskBus = Literal["virtio", "ide", "sata"]

GuestState = Literal[
    "absent",  # no process
    "running",
    "paused",
    "saved",  # memory written out by `save`, virtual CPUs stopped; `unpause` takes it back to running
    "suspended-incoming",  # started for a restore whose memory has not arrived
    "io-error",  # stopped by QEMU because a disk write failed
    "shutdown",  # the guest powered off and its process is about to end
    "crashed",  # the guest panicked, or QEMU's virtual CPU failed
    "unresponsive",  # the process lives and its monitor does not answer: only `kill` works
]

EventKind = Literal["running", "paused", "stopped", "reset", "agent"]

ErrorCause = Literal[
    "absent",  # no QEMU program on this machine
    "too_old",  # a QEMU older than the oldest one supported
    "no_accelerator",  # not even plain emulation could boot a guest
    "start",  # the guest's process ended before it was ready
    "qmp",  # QEMU refused a command
    "timeout",  # QEMU did not answer in time
    "lost",  # the connection to QEMU ended before the answer: the outcome is unknown
    "unsupported",  # this platform, QEMU version or guest cannot do it
    "no_space",  # the file system is full
    "state",  # the guest is not in a state that allows it
    "agent",  # the agent inside the guest did not answer, answered nonsense or refused
]

SaveMethod = Literal[
    "background",  # the guest stands still for milliseconds and runs while its memory is written
    "stop",  # the guest stands still until its memory is written
]
Compression = Literal["none", "zstd"]

Progress = Callable[[float], None]
"""Called with the finished fraction, 0.0 to 1.0."""


class DriverError(Exception):
    """A hypervisor operation failed.

    :ivar message: one sentence for people, with QEMU's own words in it.
    :ivar cause: what kind of failure it was.
    :ivar command: the command line or monitor command that failed, "" if none was involved.
    :ivar detail: everything QEMU said (its standard error, or the monitor's error), "" if nothing.
    """

    def __init__(self, message: str, *, cause: ErrorCause, command: str = "", detail: str = "") -> None:
        super().__init__(message)
        self.message = message
        self.cause: ErrorCause = cause
        self.command = command
        self.detail = detail


@dataclass(frozen=True)
class DiskSpec:
    """One drive of a guest.

    :ivar device: stable id, used as QEMU's device id: letters, digits, "-" and "_", starting with a letter, at most 15
        characters ("disk0", "cd3"). Its trailing number also decides the drive's place on the bus.
    :ivar path: the image file; None is an empty CD drive (disks need a path).
    :ivar boot_index: the place among the drives of its kind when the firmware looks for something to boot; None goes
        last, in the order of the spec.
    """

    device: str
    kind: DiskKind
    path: Path | None
    format: DiskFormat
    read_only: bool
    bus: DiskBus = "virtio"
    boot_index: int | None = None


@dataclass(frozen=True)
class NicSpec:
    """One network card behind user-mode NAT: the guest reaches out, nothing reaches in.

    :ivar mac: six hexadecimal pairs separated by colons.
    :ivar model: a QEMU network device name.
    """

    device: str
    mac: str
    model: str = "virtio-net-pci"


@dataclass(frozen=True)
class GuestSpec:
    """Everything a guest is made of.

    :ivar memory: bytes, a multiple of 1 MiB.
    :ivar boot_order: letters tried in turn: "c" disks, "d" CD drives, "n" network.
    :ivar serial_log: a file that receives (appended) what the guest writes to its first serial port.
    :ivar machine: versioned machine type; None means the newest one of the QEMU in use. A restore needs the value
        `save` returned.
    :ivar cpu: QEMU CPU model; None means the best for the accelerator. A restore needs the value `save` returned.
    """

    uuid: str
    name: str
    memory: int
    vcpus: int
    disks: tuple[DiskSpec, ...] = ()
    nics: tuple[NicSpec, ...] = ()
    boot_order: str = "cdn"
    serial_log: Path | None = None
    machine: str | None = None
    cpu: str | None = None


@dataclass(frozen=True)
class DiskSwitch:
    """Make `overlay` the active file of `device`.

    The overlay exists already: an empty qcow2 file whose backing file is the one active now.
    """

    device: str
    overlay: Path


@dataclass(frozen=True)
class GuestEvent:
    """A guest changed by itself or because of a command.

    :ivar reason: for "stopped": "guest-shutdown", "guest-panic", "host-qmp-quit", "host-signal", "killed", "crashed";
        for "reset": "guest-reset", "host-qmp-system-reset"; for "paused": "requested", "save", "snapshot",
        "io-error", "guest-panic"; for "running": "started", "restored", "resumed"; for "agent": "connected",
        "disconnected".
    :ivar text: QEMU's own last words when it died, or the name of the disk and the error for "io-error".
    """

    uuid: str
    kind: EventKind
    reason: str
    text: str = ""


EventSink = Callable[[GuestEvent], None]


class Driver(MergeDriver, Protocol):
    """One hypervisor and its guests. All methods belong to the event loop `open` was called in.

    Every coroutine may raise DriverError. Commands about a guest that has no process raise it with cause "state"
    (`kill` and `wait_gone` do not: the guest is gone already).
    """

    async def facts(self) -> DriverFacts:
        """What this hypervisor is. Found out once, then remembered across starts of the program.

        :raise DriverError: "absent", "too_old", "no_accelerator" or "unsupported", saying what to install.
        """
        ...

    async def open(self, on_event: EventSink) -> None:
        """Begin: `on_event` is called in this event loop for every guest event from now on."""
        ...

    async def close(self) -> None:
        """Let go of the guests. They keep running and can be attached again."""
        ...

    async def attach_all(self) -> dict[str, GuestState]:
        """Find the guests of this data folder that are alive and attach to them; tidy up after the dead ones."""
        ...

    def state(self, uuid: str) -> GuestState:
        """The last known state; never blocks."""
        ...

    async def start(self, spec: GuestSpec, *, paused: bool = False, restore: Path | None = None) -> None:
        """Start a guest; with `restore`, continue from a memory image made by `save`.

        When it fails no process, socket or other trace stays, except the log.

        :param paused: leave the virtual CPUs stopped.
        :raise DriverError: "start" with QEMU's own text; "state" if the guest has a process already.
        """
        ...

    async def kill(self, uuid: str) -> None:
        """Pull the plug. Returns when the process is gone; disk images are closed properly where QEMU still can."""
        ...

    async def powerdown(self, uuid: str) -> None:
        """Press the ACPI power button. Returns at once; the guest decides what to do."""
        ...

    async def reset(self, uuid: str) -> None: ...

    async def pause(self, uuid: str) -> None: ...

    async def unpause(self, uuid: str) -> None:
        """Let the virtual CPUs run (again), also after `save` and after "io-error"."""
        ...

    async def wait_gone(self, uuid: str, timeout: float | None) -> bool:
        """Wait until the guest's process has ended, at most `timeout` seconds. True when it is gone."""
        ...

    async def save(self, uuid: str, path: Path, progress: Progress) -> SavedFacts:
        """Stop the guest and write its memory and device state to the new file `path`, durably.

        Afterwards the guest is "saved": `kill` it to complete a suspend, or `unpause` to go on. When it fails or is
        cancelled the file is removed and the guest goes on as it was.
        """
        ...

    async def save_method(self, uuid: str) -> SaveMethod:
        """How `checkpoint` would save this guest's memory now: what its size, its state and the host allow."""
        ...

    async def checkpoint(
        self,
        uuid: str,
        switches: Sequence[DiskSwitch],
        path: Path,
        progress: Progress,
        *,
        method: SaveMethod,
        compression: Compression = "none",
    ) -> CheckpointFacts:
        """Switch the disks and write memory and device state of that very instant to the new file `path`, durably.

        Afterwards the guest goes on as it was: running or paused. So it does when this fails or is cancelled; the file
        is removed then, and the disks may have been switched or not: ask `active_disks`.

        :raise DriverError: "state" for a guest that neither runs nor is paused; "no_space"; else as QEMU says.
        """
        ...

    async def end_save(self, uuid: str, *, running: bool) -> None:
        """After an interruption: let no transfer of memory be under way, and the guest run, or be paused.

        A guest that stands still for a reason of its own ("io-error", "crashed") is left alone. Safe to repeat.
        """
        ...

    async def switch_disks(self, uuid: str, switches: Sequence[DiskSwitch]) -> SwitchFacts:
        """Switch all the given disks to their overlays at one instant, or none of them."""
        ...

    async def switch_together(self, switches: Mapping[str, Sequence[DiskSwitch]]) -> TogetherFacts:
        """Switch the disks of several guests as close to one instant as can be. All go on as they were: running or not.

        :raise DriverError: the first that went wrong. Some guests may have switched and others not: ask `active_disks`.
        """
        ...

    async def active_disks(self, uuid: str) -> dict[str, Path]:
        """Device -> the file it writes to (or reads, for a CD), asked from the hypervisor."""
        ...

    async def change_medium(self, uuid: str, device: str, iso: Path | None) -> None:
        """Put another disc into a CD drive, or take it out. When it fails the old disc is still in."""
        ...

    def has_agent(self, uuid: str) -> bool:
        """Whether an agent inside the guest has opened its channel, as far as is known; never blocks."""
        ...

    async def look_for_agent(self, uuid: str) -> bool:
        """Ask the hypervisor whether there is an agent, and tell of it by an event if that is news."""
        ...

    async def agent_facts(self, uuid: str) -> AgentFacts:
        """What the agent tells of the guest. :raise DriverError: "agent"."""
        ...

    async def freeze(self, uuid: str, budget: float) -> FreezeFacts:
        """Have the agent write out the guest's file systems and hold all writing to them.

        After an error with cause "agent", and after a cancellation, it may be frozen or freeze later: `thaw` it.

        :param budget: seconds that the freezing may take.
        :raise DriverError: "agent"; "state" if no agent answers, so that the guest was told nothing.
        """
        ...

    async def thaw(self, uuid: str, timeout: float) -> int:
        """Let the guest write again: how many file systems had still been frozen. Repeats itself within the time given.

        :raise DriverError: "agent": nobody knows whether it is frozen.
        """
        ...

    async def is_frozen(self, uuid: str) -> bool:
        """Whether the agent holds the file systems. :raise DriverError: "agent"."""
        ...

    async def screenshot(self, uuid: str) -> bytes:
        """The guest's screen as a PNG."""
        ...

    def memory_in_use(self, uuid: str) -> int:
        """The most bytes of memory that the guest has touched so far, or a little more; 0 if nobody knows."""
        ...

    def console_socket(self, uuid: str) -> Path:
        """The unix socket that speaks RFB (VNC)."""
        ...

    def serial_socket(self, uuid: str) -> Path:
        """The unix socket behind the first serial port."""
        ...

    def last_words(self, uuid: str) -> str:
        """The end of what QEMU wrote to its log in the guest's latest run, "" if nothing."""
        ...

    async def forget(self, uuid: str) -> None:
        """Remove what is kept about a guest that has no process (its folder and log, no disks)."""
        ...
