"""What the records and the files say about merges that are due; see `app.ops.coalesce`."""

from __future__ import annotations

import asyncio
from collections.abc import Collection, Mapping
from typing import Final

from app.api import NULL, VBD, VDI, VM, VMPowerState
from app.api.types import is_null
from app.ops.coalesce import Disk, Holder, Merge, concerns, plan
from app.ops.context import Context
from app.ops.translate import failures

_WITH_GUEST: Final = (VMPowerState.Running, VMPowerState.Paused)


async def survey(context: Context, sr: str) -> list[Merge]:
    """The merges that are due in a repository. :raise Failure: it cannot be read, or holds no images."""
    files = context.files(sr)
    if not _hidden(context, sr):
        return []
    with failures():
        children = await asyncio.to_thread(files.children_map)
    return plan(sr, children, _disks(context, sr, children), context.merging.read_in(sr))


def _hidden(context: Context, sr: str) -> list[str]:
    return [vdi.location for vdi in context.store.all(VDI).values() if not vdi.managed and sr == vdi.SR]


def _disks(context: Context, sr: str, children: Mapping[str, Collection[str]]) -> list[Disk]:
    """The disks that merges have to do with: of many thousands these are few."""
    concerned = concerns(children, _hidden(context, sr))
    return [
        Disk(ref, vdi.location, not vdi.managed, vdi.physical_utilisation, tuple(_holders(context, vdi)))
        for ref, vdi in context.store.all(VDI).items()
        if sr == vdi.SR and vdi.location in concerned
    ]


def _holders(context: Context, vdi: VDI) -> list[Holder]:
    found = []
    for ref in vdi.VBDs:
        vbd = context.store.find(VBD, ref)
        vm = None if vbd is None else context.store.find(VM, vbd.VM)
        if vbd is None or vm is None:
            continue
        with_guest = vm.power_state in _WITH_GUEST or context.driver.state(vm.uuid) != "absent"
        alive = with_guest and not vm.is_a_snapshot
        opened = (vm.uuid, f"disk{vbd.userdevice}") if alive else ("", "")
        found.append(Holder(vm.snapshot_of if vm.is_a_snapshot else vbd.VM, *opened))
    return found


def vm_of(context: Context, vms: frozenset[str]) -> str:
    """The VM that a merge is shown for, of those whose disks it touches; or the null reference."""
    known = [vm for vm in sorted(vms) if not is_null(vm) and context.store.find(VM, vm) is not None]
    return known[0] if known else NULL
