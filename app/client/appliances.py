"""OVA and OVF appliances: a VM with its disks, made by an engine on this machine."""

from __future__ import annotations

import asyncio
import hashlib
import re
import shutil
import tempfile
import threading
from collections.abc import Mapping
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, BinaryIO, Final

from app.api import SR, VDI, VM, ConnectionLost, Failure, Network, Ref, Task, TaskStatus, VDICalls
from app.client.disk_transfers import default_sr
from app.client.ovf import Ovf, OvfDisk, parse
from app.client.pace import Pace
from app.client.session import Session
from app.client.stream_tasks import StreamTask
from app.client.tasks import outcome
from app.client.threads import in_thread
from app.client.transfer_types import ApplianceContents, ContainedDisk, ImportOptions, Report, no_report
from app.xva import tar
from app.xva.refusals import not_understood

_LARGEST_TEXT: Final = 8 << 20
_MOST_MEMBERS: Final = 256
_PIECE: Final = 4 << 20
_LOOK_SECONDS: Final = 0.1
_LEAST_MEMORY: Final = 64 << 20
_MIB: Final = 1 << 20
_DIGEST: Final = re.compile(r"(SHA1|SHA256|SHA512)\s*\((?P<name>[^)]+)\)\s*=\s*(?P<digest>[0-9a-fA-F]+)")
_TAR_NAME: Final = re.compile(r"(?:\./)?[^/\\\x00-\x1f]{1,99}")


@dataclass(frozen=True)
class _Member:
    """A file of an appliance: where it is, and from which byte on, how many."""

    path: Path
    offset: int
    size: int


@dataclass
class _Appliance:
    """An appliance that was looked at: its descriptor, its files by name, the digests its manifest tells."""

    ovf: Ovf
    members: Mapping[str, _Member]
    digests: Mapping[str, tuple[str, str]] = field(default_factory=dict)

    def file_of(self, disk: OvfDisk) -> _Member:
        """:raise Failure: it is not there."""
        found = self.members.get(disk.file)
        if found is None:
            raise not_understood(f"The appliance lacks the file {disk.file!a}.")
        return found


async def inspect_appliance(path: Path) -> ApplianceContents:
    """Read what an .ova or .ovf says of itself. :raise Failure: IMPORT_ERROR_GENERIC. :raise OSError: unreadable."""
    return await asyncio.to_thread(_contents, path)


def _contents(path: Path) -> ApplianceContents:
    found = _opened(path)
    ovf = found.ovf
    files = {disk.file for disk in ovf.disks if disk.file}
    sizes = [found.members[name].size for name in files if name in found.members]
    return ApplianceContents(
        name=ovf.name or path.stem,
        disks=tuple(ContainedDisk(disk.file, disk.capacity) for disk in ovf.disks),
        networks=ovf.networks,
        vcpus=ovf.vcpus,
        memory_bytes=ovf.memory,
        size=sum(sizes),
        manifest="matches" if found.digests else "",
        notes=ovf.notes,
    )


def _opened(path: Path) -> _Appliance:
    """Look at an appliance; the digest of its descriptor is compared at once. :raise Failure: IMPORT_ERROR…"""
    is_archive = path.suffix.lower() != ".ovf"
    members = _archived(path) if is_archive else {f.name: _Member(f, 0, f.stat().st_size) for f in _beside(path)}
    descriptors = [name for name in members if name.lower().endswith(".ovf")]
    name = path.name if not is_archive else next(iter(descriptors), "")
    if name not in members:
        raise not_understood("The appliance has no descriptor (.ovf).")
    manifest = name[: -len(".ovf")] + ".mf"
    digests = _digests(_text(members[manifest])) if manifest in members else {}
    document = _text(members[name])
    found = _Appliance(parse(document), members, digests)
    _compare(found, name, lambda algorithm: hashlib.new(algorithm, document).hexdigest())
    return found


def _beside(path: Path) -> list[Path]:
    return [file for file in path.parent.iterdir() if file.is_file()]


def _archived(path: Path) -> dict[str, _Member]:
    """The members of an .ova, which are not read. :raise Failure: it is no archive of plain files."""
    found: dict[str, _Member] = {}
    size, position = path.stat().st_size, 0
    with path.open("rb") as file:
        while position + tar.BLOCK <= size:
            file.seek(position)
            block = file.read(tar.BLOCK)
            if tar.is_end(block):
                break
            header = tar.unpack(block)
            name = header.name.removeprefix("./")
            end = position + tar.BLOCK + header.size
            if _TAR_NAME.fullmatch(header.name) is None or name in found or len(found) >= _MOST_MEMBERS:
                raise not_understood(f"{name!a} in the appliance is no plain file name, or there twice.")
            if end > size:
                raise Failure("IMPORT_ERROR_PREMATURE_EOF")
            found[name] = _Member(path, position + tar.BLOCK, header.size)
            position = end + tar.padding(header.size)
    return found


def _text(member: _Member) -> bytes:
    if member.size > _LARGEST_TEXT:
        raise not_understood(f"A description in the appliance has {member.size} bytes, which is too much.")
    with member.path.open("rb") as file:
        file.seek(member.offset)
        return file.read(member.size)


def _digests(manifest: bytes) -> dict[str, tuple[str, str]]:
    """The algorithm and digest of each file, from lines as `SHA256(disk.vmdk)= 01ab…` (DSP0243, 5.1)."""
    matches = _DIGEST.finditer(manifest.decode("utf-8", "replace"))
    return {match["name"]: (match[1].lower(), match["digest"].lower()) for match in matches}


def _compare(found: _Appliance, name: str, digest: Any) -> None:
    """:raise Failure: the file's digest is not the one in the manifest."""
    if name in found.digests:
        algorithm, told = found.digests[name]
        if digest(algorithm) != told:
            raise Failure("IMPORT_ERROR_SOME_CHECKSUMS_FAILED")


async def import_appliance(
    session: Session, path: Path, options: ImportOptions | None = None, report: Report = no_report
) -> Ref[VM]:
    """Make a VM of an .ova or .ovf with its disks. The engine has to be on this machine: it reads the files itself.

    :raise Failure: IMPORT_ERROR…; MESSAGE_METHOD_UNKNOWN: the engine is elsewhere. :raise OSError: unreadable.
    """
    options = options or ImportOptions()
    found = await asyncio.to_thread(_opened, path)
    for disk in found.ovf.disks:
        if disk.file:
            found.file_of(disk)
    work = _Making(session, found, options.sr or await default_sr(session), report)
    try:
        return await work.make(options.name or found.ovf.name or path.stem, options.networks)
    except BaseException:
        await asyncio.shield(work.undo())
        raise


class _Making:
    """Makes the VM of an appliance, step by step."""

    def __init__(self, session: Session, found: _Appliance, sr: Ref[SR], report: Report) -> None:
        self._session = session
        self._found = found
        self._sr = sr
        self._report = report
        self._disks: list[Ref[VDI]] = []
        self._vm: Ref[VM] | None = None

    async def make(self, name: str, networks: Mapping[str, Ref[Network]]) -> Ref[VM]:
        total = sum(self._found.file_of(disk).size for disk in self._found.ovf.disks if disk.file)
        reading = Pace(self._report, "reading", total)
        done = 0
        for number, disk in enumerate(self._found.ovf.disks):
            label = f"{name} {number}"
            if disk.file:
                member = self._found.file_of(disk)
                self._disks.append(await self._convert(disk.file, member, label, reading, done))
                done += member.size
            else:
                fields = {"SR": self._sr, "virtual_size": disk.capacity, "name_label": label, "type": "user"}
                self._disks.append(await self._session.VDI.create(fields))
            reading.reach(done)
        reading.finish()
        return await self._assemble(name, networks)

    async def _convert(self, name: str, member: _Member, label: str, reading: Pace, done: int) -> Ref[VDI]:
        """One disk, by way of a file of its own if it is inside an archive."""
        folder = await asyncio.to_thread(tempfile.mkdtemp, prefix=".stillframe-", dir=member.path.parent)
        try:
            own = Path(folder) / Path(name).name
            await in_thread(lambda stop: self._extract(name, member, own, stop))
            task = await self._session.start(VDICalls.import_file, self._sr, str(own.absolute()), label)
            return Ref(await self._followed(task, lambda part: reading.reach(done + int(part * member.size))))
        finally:
            await asyncio.shield(asyncio.to_thread(shutil.rmtree, folder, ignore_errors=True))

    def _extract(self, name: str, member: _Member, own: Path, stop: threading.Event) -> None:
        """Compare its digest, and make the file that the engine reads. :raise Failure: the digest is wrong."""
        algorithm, _ = self._found.digests.get(name, ("", ""))
        digest = hashlib.new(algorithm) if algorithm else None
        inside = member.offset > 0
        with member.path.open("rb") as source, own.open("xb") as target:
            source.seek(member.offset)
            if inside or digest is not None:
                _copy(source, target if inside else None, member.size, digest, stop)
        if not inside:
            own.unlink()
            own.symlink_to(member.path.absolute())
        if digest is not None:
            _compare(self._found, name, lambda _: digest.hexdigest())

    async def _followed(self, task: Ref[Task], progress: Any) -> str:
        try:
            while True:
                record = await self._session.get_record(Task, task)
                progress(record.progress)
                if record.status not in (TaskStatus.pending, TaskStatus.cancelling):
                    return outcome(task, record)
                await asyncio.sleep(_LOOK_SECONDS)
        except asyncio.CancelledError:
            await asyncio.shield(self._stopped(task))
            raise
        finally:
            with suppress(Failure, ConnectionLost):
                await self._session.task.destroy(task)

    async def _stopped(self, task: Ref[Task]) -> None:
        """Stop the conversion; a disk that it made all the same goes with the others."""
        with suppress(Failure, ConnectionLost):
            await self._session.task.cancel(task)
            record = await StreamTask(self._session, task).ended()
            self._disks.append(Ref(outcome(task, record)))

    async def _assemble(self, name: str, networks: Mapping[str, Ref[Network]]) -> Ref[VM]:
        ovf = self._found.ovf
        memory = max(_LEAST_MEMORY, -(-ovf.memory // _MIB) * _MIB)
        limits = ("memory_static_max", "memory_dynamic_max", "memory_dynamic_min", "memory_static_min")
        fields: dict[str, Any] = dict.fromkeys(limits, memory)
        fields |= {"name_label": name, "VCPUs_max": ovf.vcpus, "VCPUs_at_startup": ovf.vcpus}
        # What a guest from elsewhere surely has a driver for.
        fields |= {"platform": {"disk-bus": "sata"}, "HVM_boot_params": {"order": "cdn"}}
        self._vm = vm = await self._session.VM.create(fields)
        for number, vdi in enumerate(self._disks):
            drive: dict[str, Any] = {"VM": vm, "VDI": vdi, "userdevice": str(number), "mode": "RW", "type": "Disk"}
            await self._session.VBD.create({**drive, "bootable": number == 0, "other_config": {"owner": ""}})
        fallback = next(iter(await self._session.get_all_records(Network)), None)
        for number, wanted in enumerate(ovf.networks):
            network = networks.get(wanted, fallback)
            if network is not None:
                await self._session.VIF.create({"VM": vm, "network": network, "device": str(number), "MAC": ""})
        return vm

    async def undo(self) -> None:
        """Remove what was made."""
        if self._vm is not None:
            with suppress(Failure, ConnectionLost):
                await self._session.VM.uninstall(self._vm, False)
        for vdi in self._disks:
            with suppress(Failure, ConnectionLost):
                await self._session.VDI.destroy(vdi)


def _copy(source: BinaryIO, target: BinaryIO | None, size: int, digest: Any, stop: threading.Event) -> None:
    remaining = size
    while remaining and not stop.is_set():
        piece = source.read(min(_PIECE, remaining))
        if not piece:
            raise Failure("IMPORT_ERROR_PREMATURE_EOF")
        remaining -= len(piece)
        if digest is not None:
            digest.update(piece)
        if target is not None:
            target.write(piece)
