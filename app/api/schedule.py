"""VMSS: a snapshot schedule."""

from __future__ import annotations

from datetime import datetime
from typing import TYPE_CHECKING, Annotated

from app.api.enums import VMSSFrequency, VMSSType
from app.api.types import EPOCH, NO_REFS, Record, Ref, StringMap, rc, reverse, ro, rw, xen_class

if TYPE_CHECKING:
    from app.api.vm import VM


@xen_class("VMSS")
class VMSS(Record, frozen=True, kw_only=True):
    """A snapshot schedule of the pool."""

    name_label: Annotated[str, rw("name")] = ""
    name_description: Annotated[str, rw("description")] = ""
    enabled: Annotated[bool, rc("it runs")] = True
    type: Annotated[VMSSType, rc("what it takes")] = VMSSType.snapshot
    retained_snapshots: Annotated[int, rc("how many to keep of each VM, 1 to 10")] = 7
    frequency: Annotated[VMSSFrequency, rc("how often")] = VMSSFrequency.daily
    schedule: Annotated[StringMap, rc("`min`, `hour`, `days` as the frequency needs")] = {}
    last_run_time: Annotated[datetime, ro("last run, UTC")] = EPOCH
    VMs: Annotated[frozenset[Ref["VM"]], reverse("VM.snapshot_schedule", "the VMs it protects")] = NO_REFS
