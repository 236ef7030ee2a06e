"""/export and /export_metadata: VMs, templates and snapshots as .xva streams.

Only images that nothing writes to are read: a snapshot's are frozen, and a halted VM is held by the operation. What
is being exported cannot be started, deleted or reverted to, and no image of its chains is merged meanwhile; its VM may
run, and be snapshotted. Nothing is written, so a kill leaves nothing.
"""

from __future__ import annotations

import asyncio
import os
import time
from collections.abc import AsyncIterator, Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import AsyncExitStack, ExitStack, asynccontextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from app.api import VDI, VM, Ref, Task, VDIOperation, VMOperation
from app.api.failure import handle_invalid, invalid_value, not_allowed
from app.api.streams import Chunk
from app.api.types import is_null
from app.ops.context import Context
from app.ops.disks import disks, image_path, require_disk
from app.ops.export_records import Exported, describe
from app.ops.locking import disk_operation, operation
from app.ops.outlet import Outlet
from app.ops.task import TaskHandle, current
from app.ops.translate import failures
from app.storage.files import open_regular, read_at
from app.storage.image_reader import ImageReader
from app.xva import blocks, ova
from app.xva.compression import ZSTD_BLOCKS_AT_ONCE, Compression, compressed
from app.xva.writer import BLOCKS_AT_ONCE, DiskMember, archive, written_size

CONTENT_TYPE: Final = "application/octet-stream"
FILE_NAME: Final = "export.xva"
SUMMARY: Final = "stillframe.blocks:"
"""In the task's other_config, with a disk's id in the file behind it: how many blocks were written of it, and a digest
over their hashes. Whoever has read the file can compare."""
AFTER: Final = "stillframe_after"
"""In the query, an extension: begin behind this block, of a snapshot whose file was broken off there…"""
IDENTITY: Final = "stillframe_identity"
"""…if the objects in the file are still these; see `ova.identity`."""
REPORT_SECONDS: Final = 0.2
_EXCLUDED: Final = "excluded_device_types"
_DEVICE_TYPES: Final = ("VBD", "VIF", "VGPU", "VTPM")
"""Those that a XenServer can leave out. Of the last two there is none here."""
_COMPRESSIONS: Final[Mapping[str, Compression]] = {"true": "gzip", "gzip": "gzip", "zstd": "zstd"}


async def export(context: Context, query: Mapping[str, str], outlet: Outlet) -> None:
    """GET /export: `ref` or `uuid`, `use_compression`, `preserve_power_state`."""
    vm = vm_in(context, query)
    compression = _COMPRESSIONS.get(query.get("use_compression", ""), "none")
    async with operation(context, (vm, VMOperation.export)), _held(context, vm) as pieces:
        with_memory = query.get("preserve_power_state") == "true"
        memory = _memory_of(context, vm) if with_memory else {}
        exported = describe(context, [vm], lineage=False, memory=memory)
        after = _resumed(context, vm, query, exported.ova, compression)
        with failures(vm), disk_operation(context, [vdi for vdi, _ in pieces], VDIOperation.copy):
            await _stream(_Work(context, exported, pieces, list(memory), compression, after), outlet)


async def export_metadata(context: Context, query: Mapping[str, str], outlet: Outlet) -> None:
    """GET /export_metadata: `ref`, `uuid` or `all`, with the snapshots unless `export_snapshots=false`.

    `excluded_device_types` names kinds of devices that stay behind, with commas between. As a XenServer, /export does
    not look at it.
    """
    excluded = _device_types(query.get(_EXCLUDED, ""))
    if query.get("all") == "true":
        every = context.store.all(VM)
        vms = [ref for ref, vm in every.items() if not (vm.is_a_snapshot or vm.is_default_template)]
    else:
        vms = [vm_in(context, query)]
    if query.get("export_snapshots", "true") == "true":
        vms += [snapshot for vm in vms for snapshot in sorted(context.store.get(VM, vm).snapshots)]
    async with operation(context, *((vm, VMOperation.metadata_export) for vm in vms)):
        document = describe(context, vms, lineage=True, memory={}, excluded=excluded).ova
    whole = b"".join(archive(document, []))
    outlet.begin(CONTENT_TYPE, FILE_NAME, len(whole))
    await outlet.pour([whole])


def _device_types(names: str) -> frozenset[str]:
    """Kinds of devices, in upper case. :raise Failure: INVALID_VALUE: a XenServer has no devices of such a kind."""
    wanted = frozenset(names.upper().split(",")) if names else frozenset()
    if not wanted <= set(_DEVICE_TYPES):
        raise invalid_value(_EXCLUDED, names)
    return wanted


def vm_in(context: Context, query: Mapping[str, str]) -> Ref[VM]:
    """The VM that a query names by `ref` or `uuid`. :raise Failure: HANDLE_INVALID, UUID_INVALID."""
    if query.get("uuid"):
        return context.store.by_uuid(VM, query["uuid"])
    ref: Ref[VM] = Ref(query.get("ref", ""))
    if context.store.find(VM, ref) is None:
        raise handle_invalid("VM", ref)
    return ref


_Pieces = Sequence[tuple[Ref[VDI], VDI]]


@asynccontextmanager
async def _held(context: Context, vm: Ref[VM]) -> AsyncIterator[_Pieces]:
    """The disks of a VM, with no merge in their chains while they are held.

    :raise Failure: VDI_NOT_MANAGED, SR_OPERATION_NOT_SUPPORTED: one is none of ours.
    """
    record = context.store.get(VM, vm)
    owner = record.snapshot_of if record.is_a_snapshot and not is_null(record.snapshot_of) else vm
    async with AsyncExitStack() as reading:
        # Only to begin with: what was done before must be settled. The claim keeps the images as they are.
        async with context.alone_with(owner):
            pieces = [(disk.vdi_ref, vdi) for disk, vdi in disks(context.store, vm)]
            for ref, vdi in pieces:
                require_disk(context, vdi, ref)
                with failures(vm):
                    chain = await asyncio.to_thread(context.files(vdi.SR).chain, vdi.location)
                await reading.enter_async_context(context.merging.reading(vdi.SR, chain))
        yield pieces


def _memory_of(context: Context, vm: Ref[VM]) -> dict[str, int]:
    """The memory image of a suspended VM or checkpoint, with the size of its file. :raise Failure: 46: it is gone."""
    image = context.store.find(VDI, context.store.get(VM, vm).suspend_VDI)
    if image is None:
        return {}
    with failures(vm):
        return {context.store.get(VM, vm).suspend_VDI: image_path(context, image).stat().st_size}


def _resumed(
    context: Context, vm: Ref[VM], query: Mapping[str, str], document: bytes, compression: Compression
) -> blocks.MemberName | None:
    """The block behind which to begin; None: from the start. :raise Failure: that would not fit the beginning."""
    if AFTER not in query:
        return None
    after = blocks.parse(query[AFTER])
    if after is None or compression != "none":
        raise invalid_value(AFTER, query[AFTER])
    if not context.store.get(VM, vm).is_a_snapshot:
        raise not_allowed("Only the export of a snapshot can go on: what else is exported may have changed since")
    if ova.identity(ova.parse(document)) != query.get(IDENTITY):
        raise not_allowed("What is to be exported is not what the file was begun with")
    return after


@dataclass(frozen=True)
class _Work:
    """One export: what is written, from where, and how."""

    context: Context
    exported: Exported
    pieces: _Pieces
    memory: Sequence[str]
    compression: Compression
    after: blocks.MemberName | None

    def members(self, stack: ExitStack) -> list[DiskMember]:
        """The disks, opened; the stack closes them. :raise StorageError: one cannot be read."""
        found = []
        for ref, vdi in self.pieces:
            files = self.context.files(vdi.SR)
            reader = ImageReader([files.image_path(image) for image in files.chain(vdi.location)])
            stack.callback(reader.close)
            found.append(DiskMember(self.exported.id_of[ref], vdi.virtual_size, reader))
        for image in self.memory:
            content = FileContent(image_path(self.context, self.context.store.get(VDI, image)))
            stack.callback(content.close)
            found.append(DiskMember(self.exported.id_of[image], content.size, content))
        return found


class FileContent:
    """A plain file as a disk's content."""

    def __init__(self, path: Path) -> None:
        """:raise StorageError: missing, io."""
        self._file = open_regular(path)
        self.size = os.fstat(self._file.fileno()).st_size

    def close(self) -> None:
        """Close the file."""
        self._file.close()

    def holding(self, block_size: int) -> Iterator[int]:
        """All its blocks: see `app.xva.writer.DiskContent`."""
        return iter(range(-(-self.size // block_size)))

    def read_into(self, offset: int, target: memoryview) -> None:
        """See `app.xva.writer.DiskContent`. :raise StorageError: io, corrupt."""
        target[:] = read_at(self._file, offset, len(target))


async def _stream(work: _Work, outlet: Outlet) -> None:
    task, loop = current(), asyncio.get_running_loop()
    with ExitStack() as opened:
        task.describe("Looking how much there is to export")
        members = await asyncio.to_thread(work.members, opened)
        total = await asyncio.to_thread(written_size, work.exported.ova, members, work.after)
        task.describe("")
        outlet.begin(CONTENT_TYPE, FILE_NAME, total if work.compression == "none" else None)

        def report(done: int) -> None:
            loop.call_soon_threadsafe(task.progress, 0.99 * done / total)

        at_once = ZSTD_BLOCKS_AT_ONCE if work.compression == "zstd" else BLOCKS_AT_ONCE
        chunks = counted(archive(work.exported.ova, members, after=work.after, at_once=at_once), report)
        await outlet.pour(compressed(chunks, work.compression))
    _note(work.context, task, {f"{SUMMARY}{member.id}": member.summary.text() for member in members})


def counted(chunks: Iterable[Chunk], report: Callable[[int], None]) -> Iterator[Chunk]:
    """The chunks, with their sum told now and then."""
    done, told = 0, 0.0
    for chunk in chunks:
        yield chunk
        done += len(chunk)
        now = time.monotonic()
        if now - told >= REPORT_SECONDS:
            told = now
            report(done)


def _note(context: Context, task: TaskHandle, values: Mapping[str, str]) -> None:
    known = context.store.find(Task, task.ref)
    if known is not None:
        context.store.publish(Task, task.ref, other_config={**known.other_config, **values})
