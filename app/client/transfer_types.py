"""What exports and imports are told and answer; see `app.client.exchange`."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Final, Literal

from app.api import SR, Network, Ref

Compression = Literal["none", "gzip", "zstd"]
Stage = Literal["preparing", "writing", "reading", "verifying"]
DiskFormat = Literal["raw", "vhd", "qcow2"]
PART_SUFFIX: Final = ".part"
MANIFEST_SUFFIX: Final = ".manifest"


@dataclass(frozen=True, slots=True)
class Progress:
    """How far a transfer is.

    :ivar done: bytes so far in this stage.
    :ivar total: bytes of this stage in all; None where nobody knows. Of an export it is an estimate.
    :ivar rate: bytes a second, of late.
    :ivar seconds_left: None while that cannot be told.
    """

    stage: Stage
    done: int
    total: int | None
    rate: float
    seconds_left: float | None


Report = Callable[[Progress], None]


def no_report(progress: Progress) -> None:
    """For whoever does not show progress."""


@dataclass(frozen=True, slots=True)
class ExportPlan:
    """What an export would be, for the page before it.

    :ivar file_name: a name to propose, without characters that file systems refuse; ends in `.xva`.
    :ivar virtual_bytes: the disks' sizes as a guest sees them.
    :ivar data_bytes: about what an uncompressed file takes.
    :ivar disks: how many disks go along.
    :ivar memory_bytes: the memory image that `preserve_power_state` adds; 0: there is none.
    """

    file_name: str
    virtual_bytes: int
    data_bytes: int
    disks: int
    memory_bytes: int = 0


@dataclass(frozen=True, slots=True)
class ExportOptions:
    """How to export.

    :ivar preserve_power_state: take a suspended VM's, or a checkpoint's, memory along.
    :ivar metadata: only the description, without any disk.
    :ivar include_snapshots: of metadata only: the snapshots' descriptions too.
    :ivar excluded_device_types: of metadata only: devices that stay behind: VBD, VIF, VGPU, VTPM.
    :ivar verify: read the file again and compare each block with its hash and each disk with the engine's.
    :ivar manifest: write a signed manifest beside the file.
    :ivar resume: go on with an interrupted export of the same snapshot where that is possible.
    :ivar key_file: the key that signs the manifest, made if it is not there; None: that of the default data folder.
    """

    compression: Compression = "none"
    preserve_power_state: bool = False
    metadata: bool = False
    include_snapshots: bool = False
    excluded_device_types: tuple[str, ...] = ()
    verify: bool = True
    manifest: bool = False
    resume: bool = True
    key_file: Path | None = None


@dataclass(frozen=True, slots=True)
class ExportResult:
    """A finished export.

    :ivar bytes: the file's size.
    :ivar verified: it was read again and everything in it was right.
    :ivar resumed_at: bytes that an earlier, interrupted export had left and that were kept; 0: it began anew.
    :ivar note: a sentence for the user, "" for none; for one, why an interrupted export could not go on.
    """

    path: Path
    bytes: int
    seconds: float
    verified: bool
    manifest_path: Path | None = None
    resumed_at: int = 0
    note: str = ""


@dataclass(frozen=True, slots=True)
class ContainedDisk:
    """A disk in a file: its name, and its size as a guest sees it, in bytes."""

    name: str
    virtual_size: int


@dataclass(frozen=True, slots=True)
class XvaContents:
    """What an .xva file says of itself; its disks have not been read.

    :ivar nics: the name of each interface's network, in the interfaces' order.
    :ivar version: what wrote it, as `XenServer 8.4.0`.
    :ivar size: of the file, in bytes; 0 of a pipe.
    :ivar manifest: whether a manifest lies beside it: `signed`, or `wrong` if it does not fit; "" for none. Only the
        signature and the description are looked at here; the import looks at all of it.
    :ivar signer: the fingerprint of the manifest's key, "" for none.
    """

    name: str
    is_a_template: bool
    disks: tuple[ContainedDisk, ...]
    nics: tuple[str, ...]
    version: str
    compressed: Compression
    size: int
    metadata_only: bool
    description: str = ""
    memory_bytes: int = 0
    vcpus: int = 0
    uuid: str = ""
    has_memory_image: bool = False
    manifest: Literal["", "signed", "wrong"] = ""
    signer: str = ""


@dataclass(frozen=True, slots=True)
class ImportOptions:
    """How to import.

    :ivar sr: where all disks go; None: the pool's default.
    :ivar restore: keep the uuids and MAC addresses; else it becomes a new VM.
    :ivar force: take it in although hashes are wrong or the VM is there already.
    :ivar networks: for the names of networks in the file, the network to join in place of it.
    :ivar name: another name for the VM; "": the file's.
    """

    sr: Ref[SR] | None = None
    restore: bool = False
    force: bool = False
    networks: Mapping[str, Ref[Network]] = field(default_factory=dict)
    name: str = ""


@dataclass(frozen=True, slots=True)
class ApplianceContents:
    """What an OVA or OVF appliance says of itself.

    :ivar networks: the networks it names.
    :ivar notes: sentences about what will not come along.
    """

    name: str
    disks: tuple[ContainedDisk, ...]
    networks: tuple[str, ...]
    vcpus: int
    memory_bytes: int
    size: int
    manifest: Literal["", "matches"] = ""
    notes: tuple[str, ...] = ()
