"""Snapshots whose VM is gone: which they are, and what the VM was called."""

from __future__ import annotations

import json

from app.api import VM, Ref
from app.client import ObjectCache


def is_orphan(cache: ObjectCache, vm: VM) -> bool:
    """Whether it is a snapshot of a VM that no longer exists."""
    return vm.is_a_snapshot and cache.get(VM, vm.snapshot_of) is None


def orphans(cache: ObjectCache) -> dict[Ref[VM], VM]:
    """All snapshots whose VM is gone."""
    every = cache.all(VM)
    return {ref: vm for ref, vm in every.items() if vm.is_a_snapshot and vm.snapshot_of not in every}


def name_of_gone(snapshot: VM) -> str:
    """What the VM of a snapshot was called; "" where nobody noted it (XenServer notes it in a form of its own)."""
    return _noted(snapshot, "name_label")


def uuid_of_gone(snapshot: VM) -> str:
    """The uuid of the VM of a snapshot, which it gets again when it is made again; "" where nobody noted it."""
    return _noted(snapshot, "uuid")


def _noted(snapshot: VM, field: str) -> str:
    try:
        kept = json.loads(snapshot.snapshot_metadata)
    except ValueError:
        return ""
    found = kept.get(field, "") if isinstance(kept, dict) else ""
    return found if isinstance(found, str) else ""
