"""Where a guest's files are: its folder, its short run folder with the sockets, and its record `vm.json`.

<data>/vm/<uuid>/vm.json    command line, machine type, QEMU version, run folder, process (written before the start)
<data>/vm/<uuid>/qemu.log   what QEMU said on its standard error
<data>/run/<short>/         sockets and the pid file; elsewhere if the data folder's path is too long
"""

from __future__ import annotations

import contextlib
import hashlib
import json
import os
import stat
import tempfile
from dataclasses import asdict, dataclass, field, replace
from pathlib import Path
from typing import Any

from app.hypervisor.driver import DriverError

SOCKET_PATH_LIMIT = 107
"""Bytes in `sockaddr_un.sun_path` without the final zero (unix(7)); macOS has 103, checked with a margin below."""

_LONGEST_NAME = len("/qmp-rescue")
_LIMIT = SOCKET_PATH_LIMIT - 4
_LOG_TAIL = 8192
RUN_FILES = ("qmp-engine", "qmp-rescue", "serial", "agent", "vnc", "pid", "screen.ppm")


@dataclass(frozen=True)
class RunPaths:
    """The run folder of one guest."""

    folder: Path

    @property
    def engine(self) -> Path:
        return self.folder / "qmp-engine"

    @property
    def rescue(self) -> Path:
        return self.folder / "qmp-rescue"

    @property
    def serial(self) -> Path:
        return self.folder / "serial"

    @property
    def agent(self) -> Path:
        return self.folder / "agent"

    @property
    def vnc(self) -> Path:
        return self.folder / "vnc"

    @property
    def pid(self) -> Path:
        return self.folder / "pid"

    @property
    def screen(self) -> Path:
        return self.folder / "screen.ppm"


@dataclass(frozen=True)
class GuestRecord:
    """The contents of `vm.json`.

    :ivar identity: what distinguishes the process from a later one with the same pid; "" while not known.
    :ivar log_start: where the latest run begins in the log, in bytes.
    """

    uuid: str
    name: str
    argv: tuple[str, ...]
    machine: str
    cpu: str
    accelerator: str
    version: str
    run: str
    pid: int = 0
    identity: str = ""
    log_start: int = 0
    extra: dict[str, Any] = field(default_factory=dict)


class Layout:
    """The folders of all guests of one data folder."""

    def __init__(self, data: Path, run: Path | None = None) -> None:
        """:param run: the folder for run folders; `<data>/run` if not given, and another one if it is too long."""
        self.data = data.absolute()
        self._run = run.absolute() if run is not None else self.data / "run"

    def folder(self, uuid: str) -> Path:
        return self.data / "vm" / uuid

    def log(self, uuid: str) -> Path:
        return self.folder(uuid) / "qemu.log"

    def uuids(self) -> list[str]:
        """The guests that have a record."""
        return sorted(path.parent.name for path in (self.data / "vm").glob("*/vm.json"))

    def prepare(self, uuid: str) -> RunPaths:
        """Make the guest's folder and an empty run folder, both private.

        :raise DriverError: "start" if a folder cannot be made or belongs to someone else.
        """
        try:
            for folder in (self.data / "vm", self.folder(uuid)):
                folder.mkdir(mode=0o700, parents=True, exist_ok=True)
            run = self._run_folder(uuid)
            run.folder.mkdir(mode=0o700, exist_ok=True)
            _check_private(run.folder)
            _empty(run)
        except OSError as error:
            raise DriverError(f"The guest's folders could not be made: {error}", cause="start") from error
        return run

    def _run_folder(self, uuid: str) -> RunPaths:
        short = hashlib.blake2b(uuid.encode(), digest_size=6).hexdigest()
        for base in self._run_bases():
            if len(os.fsencode(base / short)) + _LONGEST_NAME <= _LIMIT:
                base.mkdir(mode=0o700, parents=True, exist_ok=True)
                _check_private(base)
                return RunPaths(base / short)
        raise DriverError("No folder with a path short enough for sockets was found.", cause="start")

    def _run_bases(self) -> list[Path]:
        name = "stillframe-" + hashlib.blake2b(os.fsencode(self.data), digest_size=5).hexdigest()
        # Not $XDG_RUNTIME_DIR: it is emptied at logout, and the guests stay. /tmp's cleaner spares sockets in use.
        return [self._run, Path("/tmp") / name, Path(tempfile.gettempdir()) / name]

    def run_paths(self, record: GuestRecord) -> RunPaths:
        """The run folder a guest was started with."""
        return RunPaths(Path(record.run))

    def clean(self, run: RunPaths) -> None:
        """Remove the run folder with everything we or QEMU put in it."""
        _empty(run)
        with contextlib.suppress(OSError):
            run.folder.rmdir()
            if run.folder.parent != self._run:
                run.folder.parent.rmdir()

    def write(self, record: GuestRecord, *, durable: bool = True) -> None:
        """Replace the record in one step; with `durable`, it is on the disk when this returns."""
        folder = self.folder(record.uuid)
        temporary = folder / "vm.json.new"
        descriptor = os.open(temporary, os.O_WRONLY | os.O_CREAT | os.O_TRUNC | os.O_CLOEXEC, 0o600)
        with os.fdopen(descriptor, "w", encoding="utf-8") as file:
            json.dump(asdict(record), file, indent=1)
            file.flush()
            if durable:
                os.fsync(file.fileno())
        temporary.replace(folder / "vm.json")
        if durable:
            sync_folder(folder)

    def read(self, uuid: str) -> GuestRecord | None:
        """The record, or None if there is none that can be understood."""
        try:
            data = json.loads((self.folder(uuid) / "vm.json").read_text(encoding="utf-8"))
            return GuestRecord(**{**data, "argv": tuple(data["argv"])})
        except (OSError, ValueError, TypeError, KeyError):
            return None

    def set_process(self, record: GuestRecord, pid: int, identity: str) -> GuestRecord:
        """Note which process runs the guest. Not durable: a power cut ends that process as well."""
        record = replace(record, pid=pid, identity=identity)
        self.write(record, durable=False)
        return record

    def last_words(self, uuid: str) -> str:
        """The end of the log since the latest start."""
        record = self.read(uuid)
        try:
            with self.log(uuid).open("rb") as file:
                end = file.seek(0, os.SEEK_END)
                file.seek(max(min(record.log_start if record else 0, end), end - _LOG_TAIL))
                return file.read().decode("utf-8", "replace").strip()
        except OSError:
            return ""

    def forget(self, uuid: str) -> None:
        """Remove the guest's folder; a missing one is fine."""
        folder = self.folder(uuid)
        for name in ("vm.json.new", "qemu.log", "vm.json"):
            with contextlib.suppress(FileNotFoundError):
                (folder / name).unlink()
        with contextlib.suppress(OSError):
            folder.rmdir()


def sync_folder(folder: Path) -> None:
    """Make the names in a folder durable. Windows has no such call and needs none."""
    if os.name == "nt":
        return
    descriptor = os.open(folder, os.O_RDONLY | os.O_CLOEXEC)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


def _empty(run: RunPaths) -> None:
    for name in RUN_FILES:
        with contextlib.suppress(FileNotFoundError, NotADirectoryError):
            (run.folder / name).unlink()


def _check_private(folder: Path) -> None:
    """Refuse a folder that others could have prepared, as is possible below /tmp."""
    if os.name == "nt":
        return
    found = folder.lstat()
    if not stat.S_ISDIR(found.st_mode) or found.st_uid != os.getuid():
        raise PermissionError(f"{folder} is not a folder of this user")
    if stat.S_IMODE(found.st_mode) & 0o077:
        folder.chmod(0o700)
