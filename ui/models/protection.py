"""Which schedule protects a VM: the one it is assigned to, else one that its tags choose."""

from __future__ import annotations

from collections.abc import Collection
from typing import Final

from app.api import VM, VMSS, Ref, is_null
from app.client import ObjectCache
from ui.models.looking import Looking

TAGS: Final = "stillframe.tags"
"""In a schedule's map: VMs with one of these tags that are assigned to no schedule are protected too."""


def split_tags(text: str) -> tuple[str, ...]:
    """The tags in a list with commas between, each once, in order."""
    return tuple(dict.fromkeys(filter(None, (tag.strip() for tag in text.split(",")))))


def tags_of(vmss: VMSS) -> tuple[str, ...]:
    """The tags by which a schedule chooses VMs."""
    return split_tags(vmss.schedule.get(TAGS, ""))


def tagged(cache: ObjectCache | Looking, tags: Collection[str]) -> list[Ref[VM]]:
    """The VMs with one of the tags that are assigned to no schedule, by name."""
    wanted = frozenset(tags)
    if not wanted:
        return []
    found = {ref: vm for ref, vm in cache.all(VM).items() if wanted & vm.tags and _is_free(vm)}
    return sorted(found, key=lambda ref: (found[ref].name_label, ref))


def members(cache: ObjectCache | Looking, vmss: VMSS) -> frozenset[Ref[VM]]:
    """The VMs that a schedule protects, turned on or not."""
    return vmss.VMs | frozenset(tagged(cache, tags_of(vmss)))


def protector(cache: ObjectCache | Looking, vm: VM) -> Ref[VMSS] | None:
    """The schedule of a VM; None for one without, and for templates and snapshots."""
    if not is_null(vm.snapshot_schedule):
        return vm.snapshot_schedule
    if not vm.tags or not _is_free(vm):
        return None
    return next((ref for ref, vmss in cache.all(VMSS).items() if vm.tags.intersection(tags_of(vmss))), None)


def _is_free(vm: VM) -> bool:
    return is_null(vm.snapshot_schedule) and not (vm.is_a_template or vm.is_a_snapshot or vm.is_control_domain)
