"""Importing .xva files."""

from __future__ import annotations

import asyncio
import re
import stat
import threading
from collections import deque
from collections.abc import Generator, Iterator
from contextlib import suppress
from pathlib import Path
from typing import Final, Literal

from app.api import VM, ConnectionLost, Failure, Network, Ref
from app.api.streams import Chunk, ThreadedChunks
from app.client.manifests import Manifest, ManifestError, read_manifest
from app.client.pace import Pace
from app.client.part_files import opened_source
from app.client.session import Session
from app.client.stream_tasks import IMPORT, stream_task
from app.client.transfer_types import ContainedDisk, ImportOptions, Report, XvaContents, no_report
from app.client.verification import Watched
from app.xva import ova
from app.xva.contents import disks_of, drives_of, memory_image_of, vm_of
from app.xva.ova import Described, Description
from app.xva.reader import Reader
from app.xva.rewriting import Changes, rewritten

_PIECE: Final = 4 << 20
_HELD_BACK: Final = 2
"""Pieces that are sent only when the manifest was found to fit: without them no import is complete."""
_REF: Final = re.compile(r"<value>(OpaqueRef:[^<]+)</value>")


async def inspect_xva(path: Path) -> XvaContents:
    """Read what an .xva file says of itself.

    :raise Failure: IMPORT_ERROR_GENERIC, IMPORT_ERROR_PREMATURE_EOF, IMPORT_ERROR_UNEXPECTED_FILE: it is none.
    :raise OSError: it cannot be read.
    """
    return await asyncio.to_thread(_inspect, path)


def _inspect(path: Path) -> XvaContents:
    with path.open("rb", buffering=0) as file:
        size = path.stat().st_size
        reader = Reader(file)
        description = ova.parse(reader.ova())
        alone = reader.is_at_end()
    vm = vm_of(description)
    memory = memory_image_of(description, vm)
    disks = [vdi for identity, vdi in disks_of(description).items() if memory is None or identity != memory.id]
    manifest, signer = _manifest(path, size)
    return XvaContents(
        name=vm.text("name_label"),
        is_a_template=vm.fields.get("is_a_template") is True,
        disks=tuple(ContainedDisk(vdi.text("name_label"), vdi.number("virtual_size")) for vdi in disks),
        nics=tuple(_networks_of(description, vm)),
        version=description.product,
        compressed=reader.compression,
        size=size,
        metadata_only=alone and bool(drives_of(description)),
        description=vm.text("name_description"),
        memory_bytes=_number(vm, "memory_static_max"),
        vcpus=_number(vm, "VCPUs_max"),
        uuid=vm.text("uuid"),
        has_memory_image=memory is not None,
        manifest=manifest,
        signer=signer,
    )


def _networks_of(description: Description, vm: Described) -> Iterator[str]:
    for vif in sorted(description.of("VIF"), key=lambda vif: vif.text("device")):
        network = description.find("network", vif.text("network"))
        if vif.text("VM") == vm.id:
            yield "" if network is None else network.text("name_label")


def _number(vm: Described, name: str) -> int:
    with suppress(Failure):
        return vm.number(name)
    return 0


def _manifest(path: Path, size: int) -> tuple[Literal["", "signed", "wrong"], str]:
    try:
        found = read_manifest(path)
    except ManifestError:
        return "wrong", ""
    if found is None:
        return "", ""
    return ("signed" if found.size == size else "wrong"), found.signer


async def import_xva(
    session: Session, path: Path, options: ImportOptions | None = None, report: Report = no_report
) -> tuple[Ref[VM], ...]:
    """Take an .xva file in, or what a pipe delivers; answer the new VMs or templates.

    Where a manifest lies beside the file, the import succeeds only if it is signed and fits.

    :raise Failure: IMPORT_ERROR…, VM_TO_IMPORT_IS_NOT_NEWER_VERSION, SR_BACKEND_FAILURE_44 and the like.
    :raise ManifestError: see there. :raise OSError: the file cannot be read.
    """
    options = options or ImportOptions()
    pace = Pace(report, "preparing", None)
    is_file = stat.S_ISREG((await asyncio.to_thread(path.stat)).st_mode)
    alone = is_file and (await inspect_xva(path)).metadata_only
    manifest = await asyncio.to_thread(read_manifest, path) if is_file else None
    changes = await _changes(session, options)
    size = (await asyncio.to_thread(path.stat)).st_size if is_file else None
    async with stream_task(session, IMPORT) as task:
        query = {**_query(options), **task.query}
        pace = Pace(report, "reading", size)
        body = _Body(path, manifest, changes, pace)
        try:
            handler = "/import_metadata" if alone else "/import"
            await session.upload(handler, query, body.chunks(), None if changes else size)
        except (Failure, ConnectionLost) as error:
            # Whatever the transport makes of it: the stream ended because the manifest does not fit.
            raise body.misfit or error from error
        finally:
            await body.close()
        result = await task.result()
    pace.finish()
    return tuple(Ref(found) for found in _REF.findall(result))


def _query(options: ImportOptions) -> dict[str, str]:
    query = {"restore": "true" if options.restore else "false", "force": "true" if options.force else "false"}
    return query if options.sr is None else {**query, "sr_id": options.sr}


async def _changes(session: Session, options: ImportOptions) -> Changes:
    """What has to be written into the description so that the engine does as wished."""
    networks = {}
    for name, ref in options.networks.items():
        record = await session.get_record(Network, ref)
        networks[name] = (record.name_label, record.bridge)
    return Changes(options.name, networks)


class _Body:
    """A file on its way to the engine."""

    def __init__(self, path: Path, manifest: Manifest | None, changes: Changes, pace: Pace) -> None:
        self._path = path
        self._manifest = manifest
        self._changes = changes
        self._pace = pace
        self._loop = asyncio.get_running_loop()
        self._stop = threading.Event()
        self._given = self._pieces()
        self.misfit: ManifestError | None = None

    def chunks(self) -> ThreadedChunks:
        """What to send."""
        return ThreadedChunks(self._given)

    async def close(self) -> None:
        """Close the file; the thread that reads may be about to notice."""
        self._stop.set()
        for _ in range(200):
            with suppress(ValueError):
                self._given.close()
                break
            await asyncio.sleep(0.01)

    def _pieces(self) -> Generator[Chunk, None, None]:
        with opened_source(self._path, self._stop) as file:
            watched = Watched(file, self._reach, self._stop, with_digest=self._manifest is not None)
            held: deque[Chunk] = deque()
            for piece in rewritten(watched, self._changes) if self._changes else _plain(watched):
                held.append(piece)
                if self._manifest is None or len(held) > _HELD_BACK:
                    yield held.popleft()
            self._compare(watched)
            yield from held

    def _reach(self, done: int) -> None:
        self._loop.call_soon_threadsafe(self._pace.reach, done)

    def _compare(self, watched: Watched) -> None:
        found = watched.finish()
        if self._manifest is not None and (watched.size, found) != (self._manifest.size, self._manifest.sha256):
            self.misfit = ManifestError("The file is not the one that the manifest beside it was made for.")
            raise self.misfit


def _plain(watched: Watched) -> Iterator[Chunk]:
    while piece := watched.read(_PIECE):
        yield piece
