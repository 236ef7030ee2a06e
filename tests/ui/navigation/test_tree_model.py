"""The tree's rows: who stands where, and that any deltas lead to what a new tree would show."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from PySide6.QtCore import QModelIndex, Qt
from PySide6.QtTest import QAbstractItemModelTester
from PySide6.QtWidgets import QApplication
from pytestqt.qtbot import QtBot

from app.api import PBD, SR, VBD, VDI, VM, Event, EventBatch, EventOperation, Host, HostMetrics, Pool, Record, Ref
from app.api.enums import VMOperation, VMPowerState
from app.client import ObjectCache
from tests.support.fake_session import FakeEngine
from tests.ui.main_window import pools
from ui.navigation.placement import ORPHANS, Key
from ui.navigation.tree_model import SECONDARY_ROLE, PoolTreeModel

FATAL = QAbstractItemModelTester.FailureReportingMode.Fatal


def following(engine: FakeEngine) -> PoolTreeModel:
    model = PoolTreeModel(engine.cache)
    engine.cache.listen(model.apply)
    return model


def lines(model: PoolTreeModel) -> list[str]:
    """The tree as text, read through the model's indexes."""

    def below(parent: QModelIndex, depth: int) -> list[str]:
        found: list[str] = []
        for row in range(model.rowCount(parent)):
            index = model.index(row, 0, parent)
            assert model.parent(index) == parent
            found += ["  " * depth + str(index.data()), *below(index, depth + 1)]
        return found

    return below(QModelIndex(), 0)


def test_everything_stands_in_its_place(qapp: QApplication, engine: FakeEngine) -> None:
    pools.small_pool(engine)
    assert lines(following(engine)) == [
        "Local pool",
        "  workstation",
        "    billing-db",
        "    build-agent",
        "    test-win11",
        "    web-01",
        "    ISO library",
        "    Local storage",
        "  Debian 13 base",
    ]


def test_snapshots_without_a_vm_have_one_row_at_the_end(qapp: QApplication, engine: FakeEngine) -> None:
    pools.small_pool(engine)
    model = following(engine)
    QAbstractItemModelTester(model, FATAL)
    assert not model.index_of(ORPHANS).isValid()
    engine.remove(VM, pools.DB)
    assert lines(model)[-2:] == ["  Debian 13 base", "  Orphaned snapshots"]
    index = model.index_of(ORPHANS)
    assert index.data(SECONDARY_ROLE) == "1"
    assert not model.flags(index) & Qt.ItemFlag.ItemIsEditable
    engine.put(VM(name_label="another", is_a_template=True, is_a_snapshot=True))
    assert index.data(SECONDARY_ROLE) == "2"
    engine.put(pools.machine("billing-db again"), pools.DB)
    assert model.index_of(ORPHANS).data(SECONDARY_ROLE) == "1"


def test_built_in_templates_come_last_and_only_on_request(qapp: QApplication, engine: FakeEngine) -> None:
    pools.small_pool(engine)
    model = following(engine)
    model.set_default_templates(True)
    assert lines(model)[-3:] == ["  Debian 13 base", "  Other install media", "  Sample guest"]
    index = model.index_of(next(k for _, k in model.outline() if model.index_of(k).data() == "Sample guest"))
    assert not model.flags(index) & Qt.ItemFlag.ItemIsEditable
    model.set_default_templates(False)
    assert lines(model)[-1] == "  Debian 13 base"


def test_quiet_words_and_icons_tell_more(qapp: QApplication, engine: FakeEngine) -> None:
    pools.small_pool(engine)
    model = following(engine)
    assert model.index_of(("host", pools.HOST)).data(SECONDARY_ROLE) == "tcg"
    assert model.index_of(("SR", pools.SR_DISKS)).data(SECONDARY_ROLE) == "412\u00a0GiB free"
    row = model.row(("VM", pools.WEB))
    assert row is not None
    assert (row.icon, row.what) == ("vm-running", "VM, running")
    engine.change(VM, pools.WEB, current_operations={"OpaqueRef:task": VMOperation.snapshot})
    row = model.row(("VM", pools.WEB))
    assert row is not None
    assert (row.icon, row.what) == ("vm-busy", "VM, running, busy")
    assert model.index_of(("VM", pools.WEB)).data(Qt.ItemDataRole.AccessibleTextRole) == "web-01, VM, running, busy"


def test_a_snapshot_never_stands_in_the_tree(qapp: QApplication, engine: FakeEngine) -> None:
    pools.small_pool(engine)
    model = following(engine)
    before = lines(model)
    engine.put(VM(name_label="another", is_a_snapshot=True, is_a_template=True, snapshot_of=Ref(pools.WEB)))
    assert lines(model) == before


def two_hosts(engine: FakeEngine) -> None:
    pools.small_pool(engine)
    engine.put(HostMetrics(), "OpaqueRef:metrics2")
    engine.put(Host(name_label="Second", metrics=Ref("OpaqueRef:metrics2")), "OpaqueRef:host2")


def test_with_two_hosts_a_vm_stands_where_it_runs_or_its_disk_lives(qapp: QApplication, engine: FakeEngine) -> None:
    two_hosts(engine)
    engine.put(pools.machine("nowhere"), "OpaqueRef:nowhere")
    engine.put(pools.machine("likes it", affinity=Ref("OpaqueRef:host2")), "OpaqueRef:likes")
    model = following(engine)
    expected = """Local pool
  workstation
    billing-db
    build-agent
    test-win11
    web-01
    ISO library
    Local storage
  Second
    likes it
  nowhere
  Debian 13 base"""
    assert "\n".join(lines(model)) == expected


def test_a_vm_that_starts_elsewhere_moves_without_a_reset(qtbot: QtBot, engine: FakeEngine) -> None:
    two_hosts(engine)
    model = following(engine)
    tester = QAbstractItemModelTester(model, FATAL)
    with qtbot.assertNotEmitted(model.modelReset), qtbot.waitSignal(model.rowsMoved):
        engine.change(VM, pools.WIN, power_state=VMPowerState.Running, resident_on=Ref("OpaqueRef:host2"))
    assert model.index_of(("VM", pools.WIN)).parent() == model.index_of(("host", "OpaqueRef:host2"))
    del tester


def test_a_host_that_does_not_answer_says_so_and_stands_last(qapp: QApplication, engine: FakeEngine) -> None:
    two_hosts(engine)
    engine.put(Host(name_label="Zoë", metrics=Ref("OpaqueRef:none")), "OpaqueRef:host3")
    model = following(engine)
    engine.change(HostMetrics, "OpaqueRef:metrics2", live=False)
    hosts = [line.strip() for line in lines(model) if line.strip() in ("workstation", "Second", "Zoë")]
    assert hosts == ["workstation", "Zoë", "Second"]
    row = model.row(("host", "OpaqueRef:host2"))
    assert row is not None
    assert row.icon == "host-disconnected"


def test_storage_that_is_shared_stands_under_the_pool(qapp: QApplication, engine: FakeEngine) -> None:
    pools.small_pool(engine)
    model = following(engine)
    engine.change(SR, pools.SR_DISKS, shared=True)
    assert "  Local storage" in lines(model)
    pbd = next(ref for ref, record in engine.cache.all(PBD).items() if record.SR == pools.SR_DISKS)
    engine.change(PBD, pbd, currently_attached=False)
    row = model.row(("SR", pools.SR_DISKS))
    assert row is not None
    assert (row.icon, row.what) == ("sr-broken", "Storage, not connected")


# ---- changes cost what they change ----------------------------------------------------------------------------


def test_among_thousands_one_changed_vm_is_one_changed_row(qtbot: QtBot, engine: FakeEngine) -> None:
    pools.large_pool(engine, 3000)
    model = following(engine)
    rows: list[int] = []
    model.dataChanged.connect(lambda first, last: rows.append(last.row() - first.row() + 1))
    with (
        qtbot.assertNotEmitted(model.modelReset),
        qtbot.assertNotEmitted(model.rowsMoved),
        qtbot.assertNotEmitted(model.rowsInserted),
    ):
        engine.change(VM, "OpaqueRef:vm1500", power_state=VMPowerState.Paused)
    assert rows == [1]


def test_a_new_vm_is_one_new_row(qtbot: QtBot, engine: FakeEngine) -> None:
    pools.small_pool(engine)
    model = following(engine)
    with qtbot.assertNotEmitted(model.modelReset), qtbot.waitSignal(model.rowsInserted) as inserted:
        engine.put(pools.machine("cache-02"))
    assert inserted.args is not None
    assert inserted.args[1:] == [2, 2]
    assert lines(model)[4] == "    cache-02"


def test_many_new_neighbours_come_in_one_run_and_strangers_in_one_reset(qtbot: QtBot, engine: FakeEngine) -> None:
    pools.small_pool(engine)
    model = following(engine)
    with qtbot.assertNotEmitted(model.modelReset), qtbot.waitSignal(model.rowsInserted) as inserted:
        pools.put_all(engine, ((f"OpaqueRef:m{n}", pools.machine(f"m-{n}")) for n in range(40)))
    assert inserted.args is not None
    assert inserted.args[2] - inserted.args[1] == 39
    with qtbot.waitSignal(model.modelReset):
        pools.put_all(engine, ((f"OpaqueRef:s{n}", pools.machine(f"m-{2 * n}x")) for n in range(20)))


def test_what_does_not_stand_in_the_tree_changes_nothing(qtbot: QtBot, engine: FakeEngine) -> None:
    pools.small_pool(engine)
    model = following(engine)
    with qtbot.assertNotEmitted(model.dataChanged), qtbot.assertNotEmitted(model.modelReset):
        engine.change(VM, pools.WEB, memory_target=7)
        engine.change(HostMetrics, "OpaqueRef:metrics", memory_free=1)


# ---- search ---------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("words", "found"),
    [
        ("web", ["Local pool", "workstation", "web-01"]),
        ("WEB ledger", ["Local pool", "workstation", "billing-db", "web-01"]),
        ("keys", ["Local pool", "Debian 13 base"]),
        ("nothing-like-it", []),
    ],
)
def test_a_search_shows_what_has_a_word_and_what_it_stands_under(
    qapp: QApplication, engine: FakeEngine, words: str, found: list[str]
) -> None:
    pools.small_pool(engine)
    model = following(engine)
    model.set_filter(words)
    assert [line.strip() for line in lines(model)] == found


def test_a_search_follows_changes(qtbot: QtBot, engine: FakeEngine) -> None:
    pools.small_pool(engine)
    model = following(engine)
    tester = QAbstractItemModelTester(model, FATAL)
    model.set_filter("web")
    engine.put(pools.machine("web-02"))
    engine.change(VM, pools.DB, name_label="db-of-web")
    engine.change(VM, pools.WIN, name_label="still hidden")
    with qtbot.assertNotEmitted(model.modelReset):
        engine.change(VM, pools.WEB, power_state=VMPowerState.Paused)
    assert [line.strip() for line in lines(model)][2:] == ["db-of-web", "web-01", "web-02"]
    engine.remove(VM, pools.WEB)
    model.set_filter("")
    assert "    still hidden" in lines(model)
    del tester


# ---- any deltas -----------------------------------------------------------------------------------------------

HOSTS = [f"OpaqueRef:h{n}" for n in range(3)]
SRS = [f"OpaqueRef:s{n}" for n in range(3)]
VMS = [f"OpaqueRef:v{n}" for n in range(14)]
PBDS = ["OpaqueRef:d0", "OpaqueRef:d1"]
NAMES = st.sampled_from(["a", "b 2", "b 10", "B", "c", "web"])


def some(refs: list[str]) -> st.SearchStrategy[Ref[Any]]:
    return st.sampled_from([Ref(ref) for ref in (*refs, "OpaqueRef:NULL")])


def several(refs: list[str]) -> st.SearchStrategy[frozenset[Ref[Any]]]:
    return st.frozensets(some(refs))


def machines(vbds: st.SearchStrategy[frozenset[Ref[Any]]]) -> st.SearchStrategy[Record]:
    return st.builds(
        VM,
        name_label=NAMES,
        power_state=st.sampled_from(VMPowerState),
        is_a_template=st.booleans(),
        is_default_template=st.booleans(),
        is_a_snapshot=st.booleans(),
        resident_on=some(HOSTS),
        affinity=some(HOSTS),
        VBDs=vbds,
    )


RECORDS: dict[str, st.SearchStrategy[Record]] = {
    **dict.fromkeys(["OpaqueRef:p"], st.builds(Pool, name_label=NAMES, master=some(HOSTS))),
    **dict.fromkeys(HOSTS, st.builds(Host, name_label=NAMES, metrics=some(["OpaqueRef:m"]), enabled=st.booleans())),
    "OpaqueRef:m": st.builds(HostMetrics, live=st.booleans()),
    **dict.fromkeys(SRS, st.builds(SR, name_label=NAMES, shared=st.booleans(), PBDs=several(PBDS))),
    **dict.fromkeys(PBDS, st.builds(PBD, host=some(HOSTS), SR=some(SRS), currently_attached=st.booleans())),
    **{vm: machines(several([f"OpaqueRef:b{n}"] if n < 2 else [])) for n, vm in enumerate(VMS)},
    **{f"OpaqueRef:b{n}": st.builds(VBD, VM=st.just(Ref(VMS[n])), VDI=some(["OpaqueRef:i"])) for n in range(2)},
    "OpaqueRef:i": st.builds(VDI, SR=some(SRS)),
}  # fmt: skip


@st.composite
def events(draw: st.DrawFn) -> Event:
    ref = draw(st.sampled_from(list(RECORDS)))
    record = draw(RECORDS[ref])
    gone = draw(st.integers(0, 4)) == 0 and not isinstance(record, VDI)  # a disk outlives what holds it
    cls = "host_metrics" if isinstance(record, HostMetrics) else type(record).__name__
    return Event(
        id="1",
        timestamp="0",
        cls={"Pool": "pool", "Host": "host"}.get(cls, cls),
        operation=EventOperation.delete if gone else EventOperation.mod,
        ref=ref,
        snapshot=None if gone else record,
    )


@settings(max_examples=25, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(
    batches=st.lists(st.lists(events(), min_size=1, max_size=12), max_size=8),
    words=st.sampled_from(["", "", "b", "web a"]),
)
def test_any_deltas_lead_to_what_a_new_tree_would_show(
    qapp: QApplication, batches: list[list[Event]], words: str
) -> None:
    cache = ObjectCache()
    model = PoolTreeModel(cache)
    tester = QAbstractItemModelTester(model, FATAL)
    model.set_filter(words)
    stop = cache.listen(model.apply)
    first = Event(id="0", timestamp="0", cls="VDI", operation=EventOperation.add, ref="OpaqueRef:i", snapshot=VDI())
    for batch in [[first], *batches]:
        cache.apply(EventBatch(events=tuple(batch), valid_ref_counts={}, token="1,0"))
        fresh = PoolTreeModel(cache)
        fresh.set_filter(words)
        assert model.outline() == fresh.outline()
        assert lines(model) == lines(fresh)
        assert [model.row(key) for _, key in model.outline()] == [fresh.row(key) for _, key in fresh.outline()]
    stop()
    del tester


def test_an_index_that_is_no_more_answers_nothing(qapp: QApplication, engine: FakeEngine) -> None:
    pools.small_pool(engine)
    model = following(engine)
    index = model.index_of(("VM", pools.WEB))
    gone: Key = ("VM", pools.WEB)
    engine.remove(VM, pools.WEB)
    assert model.key(index) is None
    assert model.rowCount(index) == 0
    assert not model.index(0, 0, index).isValid()
    assert not model.index_of(gone).isValid()
    assert model.flags(index) == Qt.ItemFlag.NoItemFlags
