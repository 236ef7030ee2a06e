"""A driver without processes, for tests of the user interface and of scale. It keeps guests in memory only.

It reads no disk image and writes none. What it can do it does at once, and what it cannot do it refuses.
"""

from __future__ import annotations

import hashlib
import json
import os
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from app.hypervisor.argv import check
from app.hypervisor.checkpoint import STOP_UP_TO
from app.hypervisor.driver import (
    AgentFacts,
    CheckpointFacts,
    Compression,
    DiskSwitch,
    DriverError,
    DriverFacts,
    EventKind,
    EventSink,
    FreezeFacts,
    GuestEvent,
    GuestSpec,
    GuestState,
    JobFacts,
    MergeOrder,
    Progress,
    SavedFacts,
    SaveMethod,
    SwitchFacts,
    TogetherFacts,
)
from app.hypervisor.layout import sync_folder
from app.hypervisor.memory_files import file_error
from app.hypervisor.screen import rgb_to_png

_MACHINE = "simulated-1"
_FORMAT = "stillframe-simulated-memory"
_WIDTH, _HEIGHT = 160, 100


@dataclass
class _SimulatedGuest:
    spec: GuestSpec
    state: GuestState
    disks: dict[str, Path]
    boots: int = 1
    agent: AgentFacts | None = None
    frozen: bool = False


class SimulatedDriver:
    """See `app.hypervisor.driver.Driver`.

    :ivar stubborn: uuids of guests that ignore the power button.
    """

    def __init__(self, *, accelerator: str = "simulated") -> None:
        self._facts = DriverFacts(
            version="1.0",
            version_tuple=(1, 0),
            accelerator=accelerator,
            tried={accelerator: "works"},
            machine=_MACHINE,
            binary=Path("simulated"),
        )
        self.stubborn: set[str] = set()
        self._guests: dict[str, _SimulatedGuest] = {}
        self._sink: EventSink | None = None

    async def facts(self) -> DriverFacts:
        return self._facts

    async def open(self, on_event: EventSink) -> None:
        self._sink = on_event

    async def close(self) -> None:
        self._sink = None

    async def attach_all(self) -> dict[str, GuestState]:
        return {uuid: guest.state for uuid, guest in self._guests.items()}

    def state(self, uuid: str) -> GuestState:
        guest = self._guests.get(uuid)
        return guest.state if guest is not None else "absent"

    async def start(self, spec: GuestSpec, *, paused: bool = False, restore: Path | None = None) -> None:
        check(spec)
        if spec.uuid in self._guests:
            raise DriverError("The guest is running already.", cause="state")
        for disk in spec.disks:
            if disk.path is not None and not disk.path.exists():
                raise DriverError(f"The guest could not start: {disk.path} is missing.", cause="start")
        boots = _read_memory(restore) if restore is not None else 1
        images = {disk.device: disk.path for disk in spec.disks if disk.path is not None}
        self._guests[spec.uuid] = _SimulatedGuest(spec, "paused" if paused else "running", images, boots)
        self._emit(spec.uuid, "paused" if paused else "running", "started" if restore is None else "restored")

    async def kill(self, uuid: str) -> None:
        if uuid in self._guests:
            self.end(uuid, "host-qmp-quit")

    async def powerdown(self, uuid: str) -> None:
        if self._guest(uuid).state == "running" and uuid not in self.stubborn:
            self.end(uuid, "guest-shutdown")

    async def reset(self, uuid: str) -> None:
        self._guest(uuid).boots += 1
        self._emit(uuid, "reset", "host-qmp-system-reset")

    async def pause(self, uuid: str) -> None:
        guest = self._guest(uuid)
        if guest.state == "running":
            guest.state = "paused"
            self._emit(uuid, "paused", "requested")

    async def unpause(self, uuid: str) -> None:
        guest = self._guest(uuid)
        if guest.state != "running":
            guest.state = "running"
            self._emit(uuid, "running", "resumed")

    async def wait_gone(self, uuid: str, timeout: float | None) -> bool:
        """True if the guest is gone. Nothing happens by itself here, so it does not wait."""
        return uuid not in self._guests

    async def save(self, uuid: str, path: Path, progress: Progress) -> SavedFacts:
        saved = self._save(uuid, path)
        guest = self._guest(uuid)
        was_running, guest.state = guest.state == "running", "saved"
        if was_running:
            self._emit(uuid, "paused", "save")
        progress(1.0)
        return saved

    async def save_method(self, uuid: str) -> SaveMethod:
        guest = self._guest(uuid)
        return "background" if guest.state == "running" and guest.spec.memory > STOP_UP_TO else "stop"

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
        saved = self._save(uuid, path)
        try:
            switch = await self.switch_disks(uuid, switches)
        except DriverError:
            path.unlink()
            raise
        progress(1.0)
        return CheckpointFacts(saved, switch, duration=0.0)

    async def end_save(self, uuid: str, *, running: bool) -> None:
        guest = self._guest(uuid)
        if running and guest.state == "saved":
            guest.state = "running"
            self._emit(uuid, "running", "resumed")

    def _save(self, uuid: str, path: Path) -> SavedFacts:
        """Write a small note in place of memory; `start` accepts it as a restore."""
        guest = self._guest(uuid)
        if guest.state not in ("running", "paused"):
            raise DriverError(f"A guest that is {guest.state} cannot be saved.", cause="state")
        data = json.dumps({"format": _FORMAT, "uuid": uuid, "boots": guest.boots}).encode()
        try:
            descriptor = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
            with os.fdopen(descriptor, "wb") as file:
                file.write(data)
                file.flush()
                os.fsync(file.fileno())
            sync_folder(path.parent)
        except OSError as error:
            raise file_error("The memory image could not be made", error) from error
        return SavedFacts(
            machine=_MACHINE,
            cpu="simulated",
            accelerator=self._facts.accelerator,
            version=self._facts.version,
            pause=0.0,
            size=len(data),
        )

    async def switch_disks(self, uuid: str, switches: Sequence[DiskSwitch]) -> SwitchFacts:
        guest = self._guest(uuid)
        for switch in switches:
            if switch.device not in guest.disks:
                raise DriverError(f"The guest has no disk {switch.device}.", cause="state")
            if not switch.overlay.exists():
                raise DriverError(f"{switch.overlay} is missing.", cause="qmp")
        frozen = {switch.device: guest.disks[switch.device] for switch in switches}
        guest.disks |= {switch.device: switch.overlay for switch in switches}
        return SwitchFacts(stall=0.0, frozen=frozen)

    async def switch_together(self, switches: Mapping[str, Sequence[DiskSwitch]]) -> TogetherFacts:
        stalls = {uuid: (await self.switch_disks(uuid, wanted)).stall for uuid, wanted in sorted(switches.items())}
        return TogetherFacts(spread=0.0, stalls=stalls)

    async def active_disks(self, uuid: str) -> dict[str, Path]:
        return dict(self._guest(uuid).disks)

    async def change_medium(self, uuid: str, device: str, iso: Path | None) -> None:
        guest = self._guest(uuid)
        if not any(disk.device == device and disk.kind == "cd" for disk in guest.spec.disks):
            raise DriverError(f"The guest has no CD drive {device}.", cause="state")
        if iso is None:
            guest.disks.pop(device, None)
        elif iso.exists():
            guest.disks[device] = iso
        else:
            raise DriverError(f"{iso} is missing.", cause="qmp")

    async def start_merge(self, uuid: str, order: MergeOrder) -> None:
        self._guest(uuid)
        raise DriverError("A simulated guest merges no images.", cause="unsupported")

    async def merge_facts(self, uuid: str, job: str) -> JobFacts:
        self._guest(uuid)
        return JobFacts("absent")

    async def wait_merge(self, uuid: str, job: str, progress: Progress) -> JobFacts:
        return await self.merge_facts(uuid, job)

    async def flush_image(self, uuid: str, device: str, image: Path) -> None:
        self._guest(uuid)

    async def finish_merge(self, uuid: str, job: str) -> None:
        self._guest(uuid)

    async def cancel_merge(self, uuid: str, job: str) -> None:
        self._guest(uuid)

    async def chain(self, uuid: str, device: str) -> list[Path]:
        """The active image alone."""
        return [self._guest(uuid).disks[device]]

    async def drop_image(self, uuid: str, image: Path) -> None:
        self._guest(uuid)

    async def screenshot(self, uuid: str) -> bytes:
        """A plain field in a colour of the guest's own, darker while it does not run."""
        guest = self._guest(uuid)
        shade = 1 if guest.state == "running" else 2
        colour = bytes(part // shade for part in hashlib.blake2b(uuid.encode(), digest_size=3).digest())
        return rgb_to_png(_WIDTH, _HEIGHT, colour * (_WIDTH * _HEIGHT))

    def set_agent(self, uuid: str, agent: AgentFacts | None) -> None:
        """Let an agent appear in a guest, or go."""
        self._guest(uuid).agent = agent
        self._emit(uuid, "agent", "disconnected" if agent is None else "connected")

    def has_agent(self, uuid: str) -> bool:
        guest = self._guests.get(uuid)
        return guest is not None and guest.agent is not None

    async def look_for_agent(self, uuid: str) -> bool:
        return self._guest(uuid).agent is not None

    async def agent_facts(self, uuid: str) -> AgentFacts:
        return self._agent(uuid)

    async def freeze(self, uuid: str, budget: float) -> FreezeFacts:
        self._agent(uuid)
        self._guest(uuid).frozen = True
        return FreezeFacts(1, time.monotonic())

    async def thaw(self, uuid: str, timeout: float) -> int:
        self._agent(uuid)
        was_frozen, self._guest(uuid).frozen = self._guest(uuid).frozen, False
        return int(was_frozen)

    async def is_frozen(self, uuid: str) -> bool:
        self._agent(uuid)
        return self._guest(uuid).frozen

    def memory_in_use(self, uuid: str) -> int:
        guest = self._guests.get(uuid)
        return guest.spec.memory if guest is not None else 0

    def console_socket(self, uuid: str) -> Path:
        raise DriverError("A simulated guest has no console.", cause="unsupported")

    def serial_socket(self, uuid: str) -> Path:
        raise DriverError("A simulated guest has no serial port.", cause="unsupported")

    def last_words(self, uuid: str) -> str:
        return ""

    async def forget(self, uuid: str) -> None:
        if uuid in self._guests:
            raise DriverError("The guest is running.", cause="state")

    def end(self, uuid: str, reason: str, text: str = "") -> None:
        """Let a guest end by itself, the way `reason` says: "guest-shutdown", "crashed", "killed"."""
        self._guest(uuid)
        del self._guests[uuid]
        if self._sink is not None:
            self._sink(GuestEvent(uuid, "stopped", reason, text))

    def _guest(self, uuid: str) -> _SimulatedGuest:
        guest = self._guests.get(uuid)
        if guest is None:
            raise DriverError("The guest is not running.", cause="state")
        return guest

    def _agent(self, uuid: str) -> AgentFacts:
        """The agent, if it can answer."""
        guest = self._guest(uuid)
        if guest.agent is None or guest.state != "running":
            raise DriverError("The guest's agent did not answer in time.", cause="agent")
        return guest.agent

    def _emit(self, uuid: str, kind: EventKind, reason: str) -> None:
        if self._sink is not None:
            self._sink(GuestEvent(uuid, kind, reason))


def _read_memory(path: Path) -> int:
    """The number of boots in a memory note.

    :raise DriverError: "start" if it is no such note.
    """
    try:
        data = json.loads(path.read_text(encoding="utf-8"))
        if data["format"] != _FORMAT:
            raise ValueError("it is something else")
        return int(data["boots"])
    except (OSError, ValueError, KeyError, TypeError) as error:
        raise DriverError(f"The memory image cannot be restored: {error}", cause="start") from error
