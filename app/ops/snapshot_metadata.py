"""A VM's fields kept with its snapshot, and what a revert writes back."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Final

import msgspec

from app.api import VM
from app.api.types import class_of

FIGURES: Final = "stillframe."
"""How the keys in a snapshot's other_config begin that tell about this snapshot."""
IMAGE_KEY: Final = "stillframe.image"
"""In a default template's other_config: the built-in image that its first disk starts with."""
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


def fields_to_restore(snapshot: VM, vm: VM) -> dict[str, Any]:
    """The fields that a revert of `vm` to its snapshot writes back.

    Without a text of ours in snapshot_metadata (an import) they come from the snapshot's own record, all but its name.
    """
    kept = KEPT_ON_REVERT
    record = unpack(snapshot.snapshot_metadata)
    if record is None:
        record, kept = snapshot, KEPT_ON_REVERT | {"name_label"}
    fields = {f.name: getattr(record, f.name) for f in class_of(VM).fields if f.name not in kept}
    figures = {key: value for key, value in vm.other_config.items() if key.startswith(FIGURES)}
    return {**fields, "ha_always_run": False, "other_config": {**without_figures(record.other_config), **figures}}


def unpack(text: str) -> VM | None:
    """The record in `pack`'s text, or None if the text is not ours."""
    try:
        record = msgspec.json.decode(text, type=VM)
    except msgspec.DecodeError:
        return None
    return record if record.uuid else None


def without_figures(other_config: Mapping[str, str]) -> dict[str, str]:
    """What travels from a snapshot to a VM or another snapshot: what we noted about the snapshot itself does not."""
    return {key: value for key, value in other_config.items() if key == IMAGE_KEY or not key.startswith(FIGURES)}
