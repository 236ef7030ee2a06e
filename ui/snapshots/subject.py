"""The VM that a Snapshots tab is about: its snapshots, their tree, and all that graph, list and details say of them.

It takes in every change of the cache and tells as little as it can: `rebuilt` when the tree is another one, `refreshed`
when the same tree has other words.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from datetime import UTC, datetime, timedelta

from PySide6.QtCore import QObject, Signal

from app.api import VM, VMSS, Task, TaskOperation, VMOperation
from app.client import Delta, ObjectCache
from ui.models.chain import ChainFacts, Chains
from ui.snapshots import words
from ui.snapshots.card import CardContent
from ui.snapshots.now_item import NowContent
from ui.snapshots.tree import BASE, Tree, build

#: what the pill tells first when several operations run
_FIRST = (VMOperation.reverting, VMOperation.revert, VMOperation.checkpoint, VMOperation.snapshot)
#: ages in words are followed by the minute for so long
_YOUNG = timedelta(hours=25)


class Subject(QObject):
    """One VM at a time; "" for none."""

    #: the VM is another one, or its tree is
    rebuilt = Signal()
    #: records, sizes or progress changed, not the tree
    refreshed = Signal()

    def __init__(self, cache: ObjectCache, parent: QObject | None = None) -> None:
        super().__init__(parent)
        self._cache = cache
        self._chains = Chains(cache)
        self._show_scheduled = True
        self.ref = ""
        self.vm: VM | None = None
        self.snapshots: dict[str, VM] = {}
        self.facts: dict[str, ChainFacts] = {}
        self.now_facts = ChainFacts()
        self.tree: Tree = build("", {})
        self.cards: dict[str, CardContent] = {}
        self.now = NowContent()

    def show(self, vm_ref: str) -> None:
        """Be about another VM."""
        self.ref = vm_ref
        self.reload()

    def reload(self) -> None:
        """Changes were missed: read everything anew, the disks too."""
        self._chains = Chains(self._cache)
        self.rebuild()

    @property
    def show_scheduled(self) -> bool:
        """Whether snapshots made by schedules are in the tree."""
        return self._show_scheduled

    @show_scheduled.setter
    def show_scheduled(self, shown: bool) -> None:
        if shown != self._show_scheduled:
            self._show_scheduled = shown
            self.rebuild()

    @property
    def hidden(self) -> frozenset[str]:
        """The snapshots that are not in the tree."""
        if self._show_scheduled:
            return frozenset()
        return frozenset(ref for ref, record in self.snapshots.items() if words.is_scheduled(record))

    @property
    def shown(self) -> tuple[str, ...]:
        """The snapshots in the tree, in its order."""
        return self.tree.snapshots

    def rebuild(self) -> None:
        """Read everything anew from the cache."""
        self.vm = self._cache.get(VM, self.ref) if self.ref else None
        self.snapshots = self._present()
        self.tree = build(str(self.vm.parent) if self.vm is not None else BASE, self.snapshots, self.hidden)
        self._measure()
        self.cards = {ref: self._kept_or_new(ref) for ref in self.shown}
        self.now = self._now()
        self.rebuilt.emit()

    def update(self, delta: Delta) -> None:
        """Take in what changed."""
        disks = self._chains.update(delta)
        touched = self._touched(delta)
        if self._is_another_tree(touched):
            self.rebuild()
            return
        self.vm = self._cache.get(VM, self.ref) if self.ref else None
        now = self._now()
        tasks = [ref for ref in self._busy() if self._is_followed(ref, delta)]
        if not (touched or disks or tasks or now != self.now or delta.touches(VMSS)):
            return
        for ref in touched:
            record = self._cache.get(VM, ref)
            if ref in self.snapshots and record is not None:
                self.snapshots[ref] = record
        if disks:
            self._measure()
        self.now = now
        for ref in {*touched, *tasks} & set(self.cards):
            self.cards[ref] = self._card(ref)
        self.refreshed.emit()

    def tick(self) -> None:
        """A minute has passed: say the ages of young snapshots anew."""
        young = datetime.now(UTC) - _YOUNG
        fresh = {ref: self._card(ref) for ref in self.cards if self.snapshots[ref].snapshot_time > young}
        if fresh:
            self.cards.update(fresh)
            self.refreshed.emit()

    def matching(self, wanted: str) -> frozenset[str] | None:
        """The snapshots shown that match the words; None without words."""
        if not wanted.strip():
            return None
        return frozenset(ref for ref in self.shown if words.matches(self.snapshots[ref], wanted))

    # ---- what changed -----------------------------------------------------------------------------------------

    def _present(self) -> dict[str, VM]:
        if self.vm is None:
            return {}
        found = ((str(ref), self._cache.get(VM, ref)) for ref in self.vm.snapshots)
        return {ref: record for ref, record in found if record is not None and record.is_a_snapshot}

    def _touched(self, delta: Delta) -> set[str]:
        """The VM and those of its snapshots that came, changed or went."""
        touched = set()
        for cls, ref in delta.added | delta.changed | delta.removed:
            if cls == "VM" and self.ref:
                record = self._cache.get(VM, ref)
                if ref == self.ref or ref in self.snapshots or (record is not None and record.snapshot_of == self.ref):
                    touched.add(ref)
        return touched

    def _is_another_tree(self, touched: Iterable[str]) -> bool:
        vm = self._cache.get(VM, self.ref) if self.ref else None
        if (vm is None) != (self.vm is None):
            return True
        if vm is None or self.vm is None or not touched:
            return False
        if vm.parent != self.vm.parent or vm.snapshots != self.vm.snapshots:
            return True
        return any(self._stands_elsewhere(ref) for ref in touched if ref != self.ref)

    def _stands_elsewhere(self, ref: str) -> bool:
        before, after = self.snapshots.get(ref), self._cache.get(VM, ref)
        if before is None or after is None:
            return before is not after
        keys = [(r.parent, r.snapshot_time, words.is_scheduled(r), r.is_a_snapshot) for r in (before, after)]
        return keys[0] != keys[1]

    def _busy(self) -> list[str]:
        return [ref for ref, record in self.snapshots.items() if record.current_operations]

    def _is_followed(self, ref: str, delta: Delta) -> bool:
        return any(("task", task) in delta.changed for task in self.snapshots[ref].current_operations)

    # ---- what is said -----------------------------------------------------------------------------------------

    def _measure(self) -> None:
        self.facts = {ref: self._chains.of(record) for ref, record in self.snapshots.items()}
        self.now_facts = self._chains.of(self.vm) if self.vm is not None else ChainFacts()

    def _card(self, ref: str) -> CardContent:
        record = self.snapshots[ref]
        return CardContent(
            record, on_path=self.tree.nodes[ref].on_path, busy=self._doing(record.current_operations).said
        )

    def _kept_or_new(self, ref: str) -> CardContent:
        """The card there is, if it still says what is true."""
        card, record = self.cards.get(ref), self.snapshots[ref]
        if card is None or card.record is not record or card.on_path != self.tree.nodes[ref].on_path:
            return self._card(ref)
        return self._card(ref) if record.current_operations else card

    def _now(self) -> NowContent:
        if self.vm is None:
            return NowContent()
        busy = self._doing(self.vm.current_operations)
        return NowContent(self.vm.power_state, busy.doing, busy.progress, busy.cause, busy.cancellable)

    def _doing(self, operations: Mapping[str, VMOperation]) -> NowContent:
        """The most telling of the operations under way, with its task's progress and words."""
        if not operations:
            return NowContent()
        rank = {operation: place for place, operation in enumerate(_FIRST)}
        task, operation = min(operations.items(), key=lambda pair: (rank.get(pair[1], len(rank)), pair[0]))
        record = self._cache.get(Task, task)
        progress = record.progress if record is not None else None
        cause = record.name_description if record is not None else ""
        stoppable = record is not None and TaskOperation.cancel in record.allowed_operations
        return NowContent(
            doing=words.doing(operation), progress=progress, cause=cause, cancellable=task if stoppable else ""
        )
