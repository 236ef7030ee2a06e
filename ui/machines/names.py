"""Names for what is made: taken ones get a number."""

from __future__ import annotations

from collections.abc import Collection

from app.api import VM
from app.client import ObjectCache


def vm_names(cache: ObjectCache) -> set[str]:
    """The names of all VMs and templates, in small letters: two that differ in capitals only are one to most people."""
    return {vm.name_label.casefold() for vm in cache.all(VM).values() if not (vm.is_a_snapshot or vm.is_control_domain)}


def unique_name(base: str, taken: Collection[str]) -> str:
    """`base`, or with a number behind it if that is taken (`taken` in small letters)."""
    name, number = base, 1
    while name.casefold() in taken:
        number += 1
        name = f"{base} ({number})"
    return name
