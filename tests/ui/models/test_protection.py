"""Which schedule protects a VM, assigned or by its tags; the engine decides the same way."""

from __future__ import annotations

from app.api import VM, VMSS
from tests.support.fake_session import FakeEngine
from ui.models.protection import members, protector, split_tags, tagged, tags_of


def test_tags_choose_what_is_free_and_an_assignment_comes_first() -> None:
    engine = FakeEngine()
    other = engine.put(VMSS(name_label="Other"))
    by_tag = engine.put(VMSS(name_label="Tagged", schedule={"stillframe.tags": "prod, qa,prod"}))
    prod = frozenset({"prod", "x"})
    free = engine.put(VM(name_label="free", tags=prod))
    engine.put(VM(name_label="assigned", tags=prod, snapshot_schedule=other))
    engine.put(VM(name_label="snapshot", tags=prod, is_a_snapshot=True, is_a_template=True))
    engine.put(VM(name_label="template", tags=prod, is_a_template=True))
    plain = engine.put(VM(name_label="plain"))
    cache = engine.cache
    record = cache.get(VMSS, by_tag)
    assert record is not None and tags_of(record) == ("prod", "qa")
    assert tagged(cache, ("qa", "prod")) == [free] and tagged(cache, ()) == []
    assert members(cache, record) == {free}
    found = {vm.name_label: protector(cache, vm) for vm in cache.all(VM).values()}
    assert found == {"free": by_tag, "assigned": other, "snapshot": None, "template": None, "plain": None}
    assert plain and split_tags(" , ") == ()
