"""What is in a file that may be imported: an .xva, an appliance, or a single disk."""

from __future__ import annotations

import asyncio
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Final, Literal, cast

from app.client import Session, exchange
from app.client.exchange import Compression, ContainedDisk, DiskFormat
from ui.base.sizes_and_dates import count, size
from ui.widgets.facts import Fact

Kind = Literal["xva", "appliance", "disk"]

#: what a file's name ends in, for each kind
ENDINGS: Final[Mapping[Kind, tuple[str, ...]]] = {
    "xva": (".xva", ".xva.gz", ".xva.zst"),
    "appliance": (".ova", ".ovf"),
    "disk": (".qcow2", ".qcow", ".vhd", ".vhdx", ".vmdk", ".raw", ".img"),
}
FILTER: Final = (
    "All that can be imported (*.xva *.xva.gz *.xva.zst *.ova *.ovf *.qcow2 *.vhd *.vhdx *.vmdk *.raw *.img);;"
    "VMs and templates of XenServer (*.xva *.xva.gz *.xva.zst);;Appliances (*.ova *.ovf);;"
    "Disks (*.qcow2 *.qcow *.vhd *.vhdx *.vmdk *.raw *.img);;All files (*)"
)
#: what the client carries over itself; other formats the engine has to read where it is
CARRIED: Final[frozenset[str]] = frozenset({"raw", "vhd", "qcow2"})
_FORMATS: Final[Mapping[str, str]] = {"vpc": "vhd"}


@dataclass(frozen=True, slots=True)
class Contents:
    """A file that was looked into; sizes in bytes.

    :ivar networks: the names of the networks that its interfaces are on, each once.
    :ivar written_by: the program that wrote it, "" where that is not known.
    :ivar disk_format: of a single disk, as QEMU calls it.
    :ivar manifest: "signed", "matches" or "wrong"; "" for none.
    :ivar notes: sentences about what will not come along.
    """

    path: Path
    kind: Kind
    name: str
    file_size: int
    disks: tuple[ContainedDisk, ...] = ()
    networks: tuple[str, ...] = ()
    interfaces: int = 0
    is_a_template: bool = False
    metadata_only: bool = False
    has_memory: bool = False
    compressed: Compression = "none"
    written_by: str = ""
    vcpus: int = 0
    memory_bytes: int = 0
    uuid: str = ""
    disk_format: str = ""
    manifest: str = ""
    signer: str = ""
    notes: tuple[str, ...] = ()

    @property
    def what(self) -> str:
        """What it becomes: ``VM``, ``template`` or ``disk``."""
        return "disk" if self.kind == "disk" else "template" if self.is_a_template else "VM"

    @property
    def icon(self) -> str:
        """The icon of what it becomes."""
        return {"disk": "disk", "template": "template", "VM": "vm"}[self.what]

    @property
    def virtual_size(self) -> int:
        """All disks as a guest sees them."""
        return sum(disk.virtual_size for disk in self.disks)

    @property
    def carried_format(self) -> DiskFormat | None:
        """The format in which the client carries a single disk; None: the engine has to read the file itself."""
        return cast("DiskFormat", self.disk_format) if self.disk_format in CARRIED else None


def kind_of(path: Path) -> Kind | None:
    """What a file is, by its name; None where the name does not tell."""
    name = path.name.casefold()
    return next((kind for kind, endings in ENDINGS.items() if name.endswith(endings)), None)


def importable(paths: Iterable[str]) -> str:
    """The one file of these that can be imported, by its name; "" for none or several."""
    found = [path for path in paths if kind_of(Path(path)) is not None]
    return found[0] if len(found) == 1 else ""


async def look_into(session: Session, path: Path) -> Contents:
    """Read what a file says of itself.

    :raise Failure: it is not what its name says, or is damaged.
    :raise OSError: it cannot be read.
    """
    kind = kind_of(path) or "xva"
    if kind == "appliance":
        return await _appliance(path)
    return await _disk(session, path) if kind == "disk" else await _xva(path)


async def _xva(path: Path) -> Contents:
    found = await exchange.inspect_xva(path)
    return Contents(
        path,
        "xva",
        found.name,
        found.size,
        disks=found.disks,
        networks=tuple(dict.fromkeys(found.nics)),
        interfaces=len(found.nics),
        is_a_template=found.is_a_template,
        metadata_only=found.metadata_only,
        has_memory=found.has_memory_image,
        compressed=found.compressed,
        written_by=found.version,
        vcpus=found.vcpus,
        memory_bytes=found.memory_bytes,
        uuid=found.uuid,
        manifest=found.manifest,
        signer=found.signer,
    )


async def _appliance(path: Path) -> Contents:
    found = await exchange.inspect_appliance(path)
    return Contents(
        path,
        "appliance",
        found.name,
        found.size,
        disks=found.disks,
        networks=found.networks,
        interfaces=len(found.networks),
        vcpus=found.vcpus,
        memory_bytes=found.memory_bytes,
        manifest=found.manifest,
        notes=found.notes,
    )


async def _disk(session: Session, path: Path) -> Contents:
    """By the engine's own strict look at images."""
    facts = await session.VDI.inspect_file(str(path))
    length = await asyncio.to_thread(lambda: path.stat().st_size)
    kind = _FORMATS.get(facts.get("format", ""), facts.get("format", ""))
    disk = ContainedDisk(path.stem, int(facts.get("virtual_size", "0")))
    return Contents(path, "disk", path.stem, length, disks=(disk,), disk_format=kind)


_PACKED: Final[Mapping[Compression, str]] = {"none": "", "gzip": ", gzip", "zstd": ", Zstandard"}
_SHORT: Final = 14
_MANIFESTS: Final[Mapping[str, str]] = {
    "matches": "It fits",
    "wrong": "It does not fit this file",
}


def _manifest(found: Contents) -> str:
    """What the manifest beside the file says; with a signature, the beginning of the key's fingerprint."""
    if found.manifest == "signed":
        return f"Signed by the key {found.signer[:_SHORT].rstrip()}…, and it fits"
    return _MANIFESTS.get(found.manifest, "")


def facts_of(found: Contents) -> list[Fact]:
    """What is in it, in words."""
    disks = f"{count(len(found.disks), 'disk')}, {size(found.virtual_size)}" if found.disks else "None"
    machine = f"{count(found.vcpus, 'virtual CPU')}, {size(found.memory_bytes)} of memory" if found.vcpus else ""
    packed = f"{found.disk_format}" if found.kind == "disk" else ""
    return [
        ("Disks", "" if found.kind == "disk" else disks),
        ("Size", size(found.virtual_size) if found.kind == "disk" else ""),
        ("Format", packed),
        ("Hardware", machine),
        ("Networks", ", ".join(found.networks)),
        ("Written by", found.written_by),
        ("File", f"{size(found.file_size)}{_PACKED[found.compressed]}"),
        ("Manifest", _manifest(found), f"The key {found.signer}" if found.signer else ""),
    ]
