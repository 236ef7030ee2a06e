"""Several VMs, templates or snapshots that leave together: what each has to carry, and why one stays behind."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from app.api import VDI
from app.client import ObjectCache, exchange
from app.client.exchange import PART_SUFFIX
from ui.base.sizes_and_dates import count
from ui.exchange.file_names import is_there, why_no_name
from ui.exchange.subject import Subject, is_exportable_by_snapshot, subject_of, why_not_at_all
from ui.models.chain import Chains, disks_of
from ui.models.states import STATE_WORDS

SUFFIX: Final = ".xva"
_PLURALS: Final = {"VM": "VMs", "template": "templates", "snapshot": "snapshots"}


@dataclass(frozen=True, slots=True)
class Item:
    """One of them. Bytes; `data` is about what its disks add to an uncompressed file.

    :ivar runs: it has to stand still first: a snapshot is taken, and leaves in its place.
    :ivar reason: why it cannot be exported now, "" where it can.
    """

    subject: Subject
    disks: int = 0
    data: int = 0
    memory: int = 0
    runs: bool = False
    reason: str = ""

    @property
    def snapshots(self) -> int:
        """How many snapshots it has."""
        return len(self.subject.record.snapshots)

    @property
    def proposal(self) -> str:
        """What its file may be called. Snapshots of many VMs have the same name: theirs begins with the VM's."""
        owner, name = self.subject.owner, self.subject.name
        return exchange.proposed_name(f"{owner} {name}" if owner and not name.startswith(owner) else name)


def items_of(cache: ObjectCache, chains: Chains, refs: Iterable[str]) -> dict[str, Item]:
    """What is chosen, by reference, in that order; what is gone is left out."""
    found = ((ref, subject_of(cache, ref)) for ref in refs)
    return {ref: _item(cache, chains, subject) for ref, subject in found if subject is not None}


def _item(cache: ObjectCache, chains: Chains, subject: Subject) -> Item:
    record = subject.record
    facts = [(max(0, disk.virtual_size), chains.of_disk(disk)) for disk in disks_of(cache, record)]
    data = sum(min(size, held.own + held.shared) for size, held in facts)
    memory = cache.get(VDI, record.suspend_VDI)
    kept = 0 if memory is None else max(0, memory.physical_utilisation)
    runs = is_exportable_by_snapshot(record)
    return Item(subject, len(facts), data, kept, runs, why_not_at_all(record))


def called(items: Collection[Item]) -> str:
    """What they are, and how many: ``3 VMs``, ``1 template``, ``5 VMs and templates``."""
    kinds = list(dict.fromkeys(item.subject.kind for item in items))
    if len(kinds) == 1:
        return count(len(items), kinds[0])
    return f"{len(items)} {' and '.join(_PLURALS[kind] for kind in kinds)}"


def state_words(item: Item, *, snapshot_first: bool) -> str:
    """What becomes of it."""
    if item.reason:
        return f"Left out. {item.reason}"
    if item.runs and not snapshot_first:
        return f"Left out. It is {STATE_WORDS[item.subject.record.power_state]}."
    return "As a snapshot, taken first" if item.runs else "As it stands"


# ---- names of files -------------------------------------------------------------------------------------------


class Looked:
    """A folder as it was when it was looked at: it is asked about each name once, for it may be far away."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self._known: dict[str, bool] = {}

    def has(self, name: str) -> bool:
        """Whether there is such a file; no name is too long to be asked about."""
        if name not in self._known:
            self._known[name] = is_there(self.folder / name)
        return self._known[name]


def proposals(looked: Looked, wanted: Sequence[tuple[str, str]]) -> dict[str, str]:
    """A name for each (key, name), with a number where there is such a file, or where one before has the name."""
    used: set[str] = set()
    found = {}
    for key, name in wanted:
        made, number = name, 1
        while made.casefold() in used or looked.has(made):
            number += 1
            path = Path(name)
            made = f"{path.stem} ({number}){path.suffix}"
        used.add(made.casefold())
        found[key] = made
    return found


def problems(looked: Looked, names: Sequence[tuple[str, str, str]]) -> dict[str, str]:
    """Why a file cannot be called so, by key, "" where it can; for each (key, what it is of, the file's name).

    Names that differ in capitals only are the same: on many drives they are.
    """
    having: dict[str, list[tuple[str, str]]] = {}
    for key, of, name in names:
        having.setdefault(name.casefold(), []).append((key, of))
    found = {}
    for key, _, name in names:
        same = next((of for other, of in having[name.casefold()] if other != key), None)
        found[key] = why_no_name(name, SUFFIX) or _why_taken(looked, name, same)
    return found


def _why_taken(looked: Looked, name: str, same_as: str | None) -> str:
    if same_as is not None:
        return f"“{same_as}” has this file name too."
    return "There is such a file already." if looked.has(name) else ""


def interrupted(looked: Looked, name: str, *, compressed: bool) -> str:
    """What becomes of what an interrupted export has left under this name; "" where it left nothing."""
    if not looked.has(f"{name}{PART_SUFFIX}"):
        return ""
    return "An interrupted export of this name is there. " + _ONWARD[compressed]


def interrupted_words(begun: int, *, compressed: bool) -> str:
    """The same of so many of the files."""
    are = "file is of an interrupted export" if begun == 1 else "files are of interrupted exports"
    return f"{begun} {are}. {_ONWARD[compressed]}"


_ONWARD: Final = {
    True: "What is compressed cannot go on: it begins anew.",
    False: "It goes on where it stopped, if it is of the same state.",
}
