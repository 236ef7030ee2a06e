"""Transactions: all or nothing, in memory, on disk and in the feed; and what is read back is what was written."""

from __future__ import annotations

import sqlite3
from collections.abc import Iterator
from contextlib import closing
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest

from app.api import NULL, SR, VBD, VDI, VM, Failure, Ref, Task, VMOperation, classes
from app.api.enums import VBDType
from app.store import Store
from app.store.database import Database
from app.store.reserve import SIZE


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "objects.db"


@pytest.fixture
def store(path: Path) -> Iterator[Store]:
    store = Store(path)
    yield store
    store.close()


def everything(store: Store) -> dict[str, dict[str, Any]]:
    return {name: dict(store.of_class(name)) for name in classes()}


def test_what_a_block_raises_undoes_it_all(store: Store) -> None:
    with store.transaction() as tx:
        vm = tx.create(VM(name_label="kept"))
    before, token = everything(store), store.feed.token()
    with pytest.raises(KeyError), store.transaction() as tx:
        tx.update(VM, vm, name_label="changed")
        tx.create(VM(name_label="new"))
        tx.create(VBD(VM=vm))
        raise KeyError("no")
    assert everything(store) == before
    assert store.feed.since(token) == []
    with store.transaction() as tx:
        tx.update(VM, vm, name_label="again")
    assert store.get(VM, vm).name_label == "again"


def test_a_failing_write_undoes_it_all(store: Store, path: Path) -> None:
    with store.transaction() as tx:
        vm = tx.create(VM(name_label="kept"))
    before, token = everything(store), store.feed.token()
    other = sqlite3.connect(path)
    # A rule of our own in the file: SQL itself refuses the second of two changes.
    other.execute("CREATE TRIGGER refuse BEFORE INSERT ON VBD BEGIN SELECT RAISE(ABORT, 'refused by a test'); END")
    other.commit()
    heard: list[None] = []
    store.on_change(lambda: heard.append(None))
    with pytest.raises(Failure, match="refused by a test") as caught, store.transaction() as tx:
        tx.update(VM, vm, name_label="changed")
        tx.create(VBD(VM=vm))
    assert caught.value.code == "INTERNAL_ERROR"
    assert everything(store) == before
    assert store.feed.since(token) == []
    assert heard == []
    assert store.by_uuid(VM, before["VM"][vm].uuid) == vm
    assert other.execute("SELECT name_label FROM VM").fetchall() == [("kept",)]
    other.execute("DROP TRIGGER refuse")
    other.commit()
    other.close()
    with store.transaction() as tx:
        tx.create(VBD(VM=vm))
    assert len(store.get(VM, vm).VBDs) == 1


def test_a_full_file_is_no_space(store: Store, path: Path) -> None:
    with store.transaction() as tx:
        vm = tx.create(VM(name_label="kept"))
    _limit_pages(store, path)
    before = everything(store)
    assert store.reserve.release()
    with pytest.raises(Failure) as caught, store.transaction() as tx:
        tx.update(VM, vm, name_description="x" * 4_000_000)
    assert caught.value.code == "SR_BACKEND_FAILURE_44"
    assert str(path) in caught.value.params[2]
    assert everything(store) == before


def test_the_reserve_is_given_up_for_a_write_and_comes_back(store: Store, path: Path) -> None:
    reserve = path.with_name(f"{path.name}.reserve")
    assert reserve.stat().st_size == SIZE
    assert reserve.stat().st_mode & 0o077 == 0
    assert reserve.stat().st_blocks * 512 >= SIZE
    with store.transaction() as tx:
        vm = tx.create(VM())
    _limit_pages(store, path)
    with pytest.raises(Failure), store.transaction() as tx:
        tx.update(VM, vm, name_description="x" * 4_000_000)
    assert not reserve.exists()
    assert not store.reserve.release()
    store.reserve.restore()
    assert reserve.exists()


def _limit_pages(store: Store, path: Path) -> None:
    """Make SQLite believe that the file cannot grow."""
    with closing(sqlite3.connect(path)) as other:
        pages = other.execute("PRAGMA page_count").fetchone()[0]
    with store._database._engine.connect() as connection:
        connection.exec_driver_sql(f"PRAGMA max_page_count={pages + 1}")


def test_a_transaction_inside_another_is_a_mistake(store: Store) -> None:
    with store.transaction() as tx, pytest.raises(RuntimeError), store.transaction():
        tx.create(VM())


def test_reads_inside_see_the_changes(store: Store) -> None:
    with store.transaction() as tx:
        vm = tx.create(VM(name_label="one"))
        assert tx.get(VM, vm).name_label == "one"
        vbd = tx.create(VBD(VM=vm))
        assert tx.get(VM, vm).VBDs == {vbd}
        tx.delete(VBD, vbd)
        assert tx.get(VM, vm).VBDs == frozenset()
        with pytest.raises(Failure) as caught:
            tx.get(VBD, vbd)
        assert caught.value.description() == ["HANDLE_INVALID", "VBD", vbd]
        assert store.find(VM, vm) is None
    assert store.get(VM, vm).name_label == "one"
    assert store.all(VBD) == {}


def test_what_was_made_and_removed_in_one_leaves_no_trace(store: Store) -> None:
    token = store.feed.token()
    with store.transaction() as tx:
        tx.delete(VM, tx.create(VM()))
    assert store.feed.since(token) == []
    assert store.all(VM) == {}


def test_unknown_objects(store: Store) -> None:
    with pytest.raises(Failure) as caught:
        store.get(VM, "OpaqueRef:nothing")
    assert caught.value.description() == ["HANDLE_INVALID", "VM", "OpaqueRef:nothing"]
    with pytest.raises(Failure) as caught:
        store.by_uuid(SR, "nothing")
    assert caught.value.description() == ["UUID_INVALID", "SR", "nothing"]
    with pytest.raises(Failure), store.transaction() as tx:
        tx.update(VM, "OpaqueRef:nothing", name_label="x")
    with store.transaction() as tx:
        tx.delete(VM, "OpaqueRef:nothing")
    store.publish(VM, "OpaqueRef:nothing", name_label="x")
    assert store.all(VM) == {}


def test_a_uuid_that_goes_is_unknown(store: Store) -> None:
    with store.transaction() as tx:
        vm = tx.create(VM())
    uuid = store.get(VM, vm).uuid
    assert len(uuid) == 36
    assert store.by_uuid(VM, uuid) == vm
    with store.transaction() as tx:
        tx.delete(VM, vm)
    with pytest.raises(Failure):
        store.by_uuid(VM, uuid)


def test_all_kinds_of_values_come_back(store: Store, path: Path) -> None:
    with store.transaction() as tx:
        vm = tx.create(
            VM(
                name_label="name “quoted” \N{GRINNING FACE}\x00'; DROP TABLE VM;--",
                tags=frozenset({"b", "a", ""}),
                other_config={"k": "v", "": "", "\n": "\\"},
                memory_static_max=2**63 - 1,
                order=-(2**63),
                HVM_shadow_multiplier=0.1,
                is_a_template=True,
                snapshot_time=datetime(2026, 2, 28, 23, 59, 59, 123456, tzinfo=UTC),
                blobs={"picture": Ref("OpaqueRef:blob")},
            )
        )
        sr = tx.create(SR())
        vdi = tx.create(VDI(SR=sr, virtual_size=1 << 50))
        tx.create(VBD(VM=vm, VDI=vdi, type=VBDType.CD))
    before = {name: objects for name, objects in everything(store).items() if classes()[name].persistent}
    store.close()
    again = Store(path)
    assert {name: everything(again)[name] for name in before} == before
    assert again.by_uuid(VM, before["VM"][vm].uuid) == vm
    again.close()


def test_published_fields_and_passing_classes_are_not_stored(store: Store, path: Path) -> None:
    with store.transaction() as tx:
        vm = tx.create(VM())
        task = tx.create(Task(name_label="work"))
    token = store.feed.token()
    store.publish(VM, vm, allowed_operations=frozenset({VMOperation.start}))
    assert [(c.cls, c.ref) for c in store.feed.since(token)] == [("VM", vm)]
    store.publish(VM, vm, allowed_operations=frozenset({VMOperation.start}))
    assert len(store.feed.since(token)) == 1
    assert store.get(Task, task).name_label == "work"
    store.close()
    again = Store(path)
    assert again.get(VM, vm).allowed_operations == frozenset()
    assert again.all(Task) == {}
    again.close()


def test_a_null_link_links_nothing(store: Store) -> None:
    with store.transaction() as tx:
        tx.create(VBD(VM=NULL))
        tx.create(VBD(VM=Ref("")))
        tx.create(VBD(VM=Ref("OpaqueRef:gone")))
    assert len(store.all(VBD)) == 3


def test_the_file_is_private(store: Store, path: Path) -> None:
    with store.transaction() as tx:
        tx.create(VM())
    for found in path.parent.iterdir():
        assert found.stat().st_mode & 0o077 == 0, found


def test_a_store_in_memory_needs_no_file(tmp_path: Path) -> None:
    store = Store()
    with store.transaction() as tx:
        vm = tx.create(VM(name_label="here"))
    assert store.get(VM, vm).name_label == "here"
    assert not store.reserve.release()
    store.close()
    assert list(tmp_path.iterdir()) == []


def test_what_cannot_be_stored_is_a_mistake_that_changes_nothing(store: Store) -> None:
    before = everything(store)
    with pytest.raises(Exception), store.transaction() as tx:  # noqa: B017
        tx.create(VM(order=2**64))
    assert everything(store) == before
    assert isinstance(store._database, Database)
