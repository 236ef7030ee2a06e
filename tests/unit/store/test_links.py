"""Reverse links: whatever happens to the forward fields, each set on the other end lists exactly what points there."""

from __future__ import annotations

import tempfile
from pathlib import Path
from typing import Any

import msgspec
from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, rule

from app.api import NULL, Ref, classes
from app.api.types import Record
from app.store import Store
from app.store.links import links_from, links_to

LINKS = [(name, link) for name in classes() for link in links_from(name)]
INVOLVED = sorted({link.source for _, link in LINKS} | {link.target for _, link in LINKS})


def recomputed(store: Store) -> dict[str, dict[str, dict[str, frozenset[str]]]]:
    """What every reverse set should hold, from the forward fields alone."""
    found: dict[str, dict[str, dict[str, frozenset[str]]]] = {}
    for name in INVOLVED:
        for ref in store.of_class(name):
            sets = {}
            for link in links_to(name):
                sources = store.of_class(link.source)
                sets[link.backward] = frozenset(s for s, r in sources.items() if getattr(r, link.forward) == ref)
            found.setdefault(name, {})[ref] = sets
    return found


def kept(store: Store) -> dict[str, dict[str, dict[str, frozenset[str]]]]:
    """What every reverse set does hold."""
    return {
        name: {
            ref: {link.backward: getattr(record, link.backward) for link in links_to(name)}
            for ref, record in store.of_class(name).items()
        }
        for name in INVOLVED
        if store.of_class(name)
    }


class Links(RuleBasedStateMachine):
    """Random transactions over every class that has a link."""

    def __init__(self) -> None:
        super().__init__()
        self._folder = tempfile.TemporaryDirectory()
        self._path = Path(self._folder.name) / "objects.db"
        self.store = Store(self._path)

    def _target(self, data: st.DataObject, cls: str) -> Ref[Any]:
        return data.draw(st.sampled_from([NULL, *sorted(self.store.of_class(cls))]))

    @rule(data=st.data(), name=st.sampled_from(INVOLVED))
    def create(self, data: st.DataObject, name: str) -> None:
        fields = {link.forward: self._target(data, link.target) for link in links_from(name)}
        with self.store.transaction() as tx:
            tx.create(classes()[name].record(**fields))

    @rule(data=st.data(), several=st.integers(1, 3), fails=st.booleans())
    def update(self, data: st.DataObject, several: int, fails: bool) -> None:
        before = kept(self.store)
        try:
            with self.store.transaction() as tx:
                for _ in range(several):
                    name, link = data.draw(st.sampled_from(LINKS))
                    objects = sorted(self.store.of_class(name))
                    if objects:
                        ref = data.draw(st.sampled_from(objects))
                        tx.update(classes()[name].record, ref, **{link.forward: self._target(data, link.target)})
                if fails:
                    raise ZeroDivisionError
        except ZeroDivisionError:
            assert kept(self.store) == before

    @rule(data=st.data(), name=st.sampled_from(INVOLVED))
    def delete(self, data: st.DataObject, name: str) -> None:
        objects = sorted(self.store.of_class(name))
        if objects:
            with self.store.transaction() as tx:
                tx.delete(classes()[name].record, data.draw(st.sampled_from(objects)))

    def teardown(self) -> None:
        """What is read from the file is what was in memory."""
        before = {name: _stored(self.store.of_class(name)) for name in classes() if classes()[name].persistent}
        self.store.close()
        self.store = Store(self._path)
        assert {name: _stored(self.store.of_class(name)) for name in before} == before
        self.store.close()
        self._folder.cleanup()

    @invariant()
    def sets_list_what_points_there(self) -> None:
        assert kept(self.store) == recomputed(self.store)


def _stored(objects: Any) -> dict[str, Record]:
    # Links from classes that are not stored do not come back, of course.
    gone = {link.backward for _, link in LINKS if not classes()[link.source].persistent}
    return {
        ref: msgspec.structs.replace(r, **{n: frozenset() for n in gone if hasattr(r, n)}) for ref, r in objects.items()
    }


TestLinks = Links.TestCase
TestLinks.settings = settings(max_examples=8, stateful_step_count=20, deadline=None)


def test_every_reverse_field_names_a_forward_reference() -> None:
    for name, declared in classes().items():
        for field in declared.fields:
            if field.spec.reverse_of:
                source, forward = field.spec.reverse_of.split(".")
                other = classes()[source].by_name[forward]
                assert (other.value.scalar, other.container) == ("ref", ""), field.spec.reverse_of
                assert other.value.target == declared.record.__name__, (name, field.name)
                assert (field.container, field.value.target) == ("set", classes()[source].record.__name__)
