"""A VM's fields kept with its snapshot, and what a revert writes back."""

from __future__ import annotations

from typing import Any, Final

import msgspec

from app.api import VM
from app.api.types import class_of

KEPT_ON_REVERT: Final = frozenset(
    {
        "uuid", "suspend_VDI", "power_state", "parent", "allowed_operations", "current_operations", "metrics",
        "guest_metrics", "resident_on", "scheduled_to_be_resident_on", "domid", "domarch", "protection_policy",
        "snapshot_schedule", "snapshots", "children", "tags", "affinity", "groups", "consoles", "VBDs", "VIFs", "VGPUs",
        "VUSBs", "VTPMs", "attached_PCIs", "is_snapshot_from_vmpp", "is_a_snapshot", "is_a_template",
        "is_default_template", "is_vmss_snapshot", "snapshot_of", "snapshot_time", "snapshot_info", "snapshot_metadata",
        "transportable_snapshot_id", "blobs", "is_control_domain", "generation_id",
    }
)  # fmt: skip
"""What a revert leaves as it is; everything else goes back. XenAPI's list, and what identifies the VM."""


def pack(vm: VM) -> str:
    """The VM's record as text. XenServer writes an S-expression; ours is JSON, and both are opaque to clients."""
    return msgspec.json.encode(vm).decode()


def fields_to_restore(text: str) -> dict[str, Any]:
    """The fields that a revert writes back, from `pack`'s text; empty if the text is not ours (an import)."""
    try:
        record = msgspec.json.decode(text, type=VM)
    except msgspec.DecodeError:
        return {}
    names = (f.name for f in class_of(VM).fields)
    return {name: getattr(record, name) for name in names if name not in KEPT_ON_REVERT}
