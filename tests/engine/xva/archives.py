"""What the tests of .xva files look at: an archive taken apart by Python's tarfile, and disks as digests."""

from __future__ import annotations

import gzip
import hashlib
import io
import json
import tarfile
import xmlrpc.client
from collections.abc import AsyncIterator, Mapping
from pathlib import Path
from typing import Any

from app.api import VDI, Ref
from app.api.streams import Chunk
from tests.contracts.tree import ROOT
from tests.engine.vm.guests import disks_of
from tests.support.engine import Bench
from tests.support.guest_disk import write_bytes
from tests.support.qcow2_view import view

MIB = 1 << 20
RECORDED = ROOT / "tests" / "data" / "xva"


def index() -> dict[str, Any]:
    """What is known of the recorded files, by name."""
    found: dict[str, Any] = json.loads((RECORDED / "index.json").read_text(encoding="utf-8"))["files"]
    return found


def recorded(name: str) -> bytes:
    """A recorded file as XenServer wrote it."""
    stored = RECORDED / index()[name]["file"]
    content = stored.read_bytes()
    return gzip.decompress(content) if stored.suffix == ".gz" else content


async def new_disk(bench: Bench, size: int, name: str) -> Ref[VDI]:
    """An empty disk in the engine's own repository."""
    return await bench.session.VDI.create({"SR": bench.sr(), "virtual_size": size, "name_label": name, "type": "user"})


def fill(path: Path, pieces: Mapping[int, bytes]) -> None:
    """Write bytes into an image, by offset."""
    for offset, data in pieces.items():
        write_bytes(path, offset, data)


def sha256_of(bench: Bench, vm: str) -> dict[str, str]:
    """The hash of each disk's whole content, by device number; the disks are small."""
    return {device: _sha256(bench.image(vm, device)) for device in disks_of(bench, vm)}


def _sha256(path: Path) -> str:
    seen = view(path)
    return hashlib.sha256(seen.read(0, seen.size)).hexdigest()


def members(content: bytes) -> dict[str, bytes]:
    """The members of an archive in their order."""
    with tarfile.open(fileobj=io.BytesIO(content)) as archive:
        return {member.name: _content(archive, member) for member in archive.getmembers()}


def _content(archive: tarfile.TarFile, member: tarfile.TarInfo) -> bytes:
    file = archive.extractfile(member)
    assert file is not None
    return file.read()


def objects(ova: bytes) -> list[Mapping[str, Any]]:
    """The objects of a description, read by another parser than ours."""
    whole = xmlrpc.client.loads(f"<params><param>{ova.decode()}</param></params>")[0][0]
    assert isinstance(whole, dict)
    return list(whole["objects"])


async def sent(content: bytes, size: int = 100_000) -> AsyncIterator[Chunk]:
    """A stream of these bytes."""
    for start in range(0, len(content), size):
        yield content[start : start + size]
