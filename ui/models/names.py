"""Names for what is made: taken ones get a number."""

from __future__ import annotations

from collections.abc import Collection

from app.api import VM
from app.client import ObjectCache
from ui.models.states import is_machine, is_own_template


def vm_names(cache: ObjectCache) -> set[str]:
    """The names of all VMs and own templates, in small letters: two that differ in capitals only are one to people."""
    return {vm.name_label.casefold() for vm in cache.all(VM).values() if is_machine(vm) or is_own_template(vm)}


def unique_name(base: str, taken: Collection[str]) -> str:
    """`base`, or with a number behind it if that is taken (`taken` in small letters)."""
    name, number = base, 1
    while name.casefold() in taken:
        number += 1
        name = f"{base} ({number})"
    return name
