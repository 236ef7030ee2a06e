"""The file: damaged ones are left alone, older ones are kept before they are changed, newer ones are refused."""

from __future__ import annotations

import hashlib
import sqlite3
from contextlib import nullcontext
from pathlib import Path
from typing import Any

import pytest

from app.api import VM, Host
from app.store import Store, StoreDamaged
from app.store.database import SCHEMA, _syncing


@pytest.fixture
def path(tmp_path: Path) -> Path:
    """A database with 300 VMs in it."""
    path = tmp_path / "objects.db"
    store = Store(path)
    with store.transaction() as tx:
        for number in range(300):
            tx.create(VM(name_label=f"vm {number}"))
        tx.create(Host(name_label="host"))
    store.close()
    return path


def digest(path: Path) -> str:
    return hashlib.sha256(path.read_bytes()).hexdigest()


def sql(path: Path, *statements: str) -> list[tuple[object, ...]]:
    with sqlite3.connect(path) as connection:
        found: list[tuple[object, ...]] = []
        for statement in statements:
            found = connection.execute(statement).fetchall()
    connection.close()
    return found


@pytest.mark.parametrize("damage", ["text", "start overwritten", "middle overwritten", "cut short"])
def test_a_damaged_file_is_named_and_left_alone(path: Path, damage: str) -> None:
    data = bytearray(path.read_bytes())
    if damage == "text":
        data = bytearray(b"hello, world\n" * 400)
    elif damage == "start overwritten":
        data[:100] = bytes(range(100))
    elif damage == "middle overwritten":
        page = 4096
        data[8 * page : -2 * page] = b"\xa5" * (len(data) - 10 * page)
    else:
        data = data[: len(data) // 2]
    path.write_bytes(data)
    before = digest(path)
    with pytest.raises(StoreDamaged) as caught:
        Store(path)
    assert str(path) in str(caught.value)
    assert digest(path) == before


@pytest.mark.parametrize(
    "statement",
    [
        "UPDATE VM SET power_state = 'Exploded' WHERE name_label = 'vm 7'",
        "UPDATE VM SET tags = 'not json' WHERE name_label = 'vm 7'",
        "UPDATE VM SET other_config = '[1]' WHERE name_label = 'vm 7'",
        "UPDATE VM SET snapshot_time = 'yesterday' WHERE name_label = 'vm 7'",
        "UPDATE VM SET memory_target = 'much' WHERE name_label = 'vm 7'",
    ],
)
def test_a_row_that_makes_no_sense_is_named(path: Path, statement: str) -> None:
    sql(path, statement)
    (ref,) = sql(path, "SELECT ref FROM VM WHERE name_label = 'vm 7'")[0]
    before = digest(path)
    with pytest.raises(StoreDamaged) as caught:
        Store(path)
    assert str(path) in str(caught.value)
    assert str(ref) in str(caught.value)
    assert digest(path) == before


def test_a_newer_schema_is_refused(path: Path) -> None:
    sql(path, f"UPDATE _facts SET value = '{SCHEMA + 1}' WHERE name = 'schema'")
    before = digest(path)
    with pytest.raises(StoreDamaged, match="newer version"):
        Store(path)
    assert digest(path) == before
    assert [p.name for p in path.parent.iterdir() if "backup" in p.name] == []


def test_an_older_file_gains_what_is_new_after_a_backup(path: Path, tmp_path: Path) -> None:
    sql(path, "ALTER TABLE VM DROP COLUMN user_version", "DROP TABLE VMSS")
    old_columns = {row[1] for row in sql(path, "PRAGMA table_info(VM)")}
    backups = tmp_path / "backups"
    store = Store(path, backups)
    vms = store.all(VM)
    assert len(vms) == 300
    assert {vm.user_version for vm in vms.values()} == {1}
    with store.transaction() as tx:
        tx.update(VM, next(iter(vms)), user_version=5)
    store.close()
    assert {row[1] for row in sql(path, "PRAGMA table_info(VM)")} == old_columns | {"user_version"}
    assert sql(path, "SELECT count(*) FROM VMSS") == [(0,)]
    (backup,) = backups.iterdir()
    assert backup.stat().st_mode & 0o077 == 0
    assert {row[1] for row in sql(backup, "PRAGMA table_info(VM)")} == old_columns
    assert sql(backup, "SELECT count(*) FROM VM") == [(300,)]
    assert sql(backup, "PRAGMA integrity_check") == [("ok",)]
    again = Store(path, backups)
    assert sorted(vm.user_version for vm in again.all(VM).values())[-2:] == [1, 5]
    again.close()
    assert len(list(backups.iterdir())) == 1


def test_two_upgrades_at_once_keep_two_backups(path: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("app.store.database.time.strftime", lambda *_: "now")
    for column in ("user_version", "version"):
        sql(path, f"ALTER TABLE VM DROP COLUMN {column}")
        Store(path, tmp_path / "backups").close()
    assert len(list((tmp_path / "backups").iterdir())) == 2


def test_a_backup_that_cannot_be_made_stops_the_upgrade(path: Path, tmp_path: Path) -> None:
    sql(path, "ALTER TABLE VM DROP COLUMN user_version")
    before = digest(path)
    backups = tmp_path / "backups"
    backups.write_text("a file in the way")
    with pytest.raises((StoreDamaged, OSError)):
        Store(path, backups)
    assert digest(path) == before


def test_a_new_file_needs_no_backup(path: Path, tmp_path: Path) -> None:
    assert not (tmp_path / "backups").exists()
    Store(path, tmp_path / "backups").close()
    assert not (tmp_path / "backups").exists()


def test_a_columns_more_do_no_harm(path: Path) -> None:
    sql(path, "ALTER TABLE VM ADD COLUMN of_a_later_version TEXT")
    store = Store(path)
    assert len(store.all(VM)) == 300
    store.close()


@pytest.mark.parametrize("fails", [False, True])
def test_what_is_not_synced_is_there_and_the_next_change_is_synced(path: Path, fails: bool) -> None:
    store = Store(path)
    driver: Any = store._database._engine.raw_connection().driver_connection
    said: list[str] = []
    driver.set_trace_callback(said.append)
    with pytest.raises(ZeroDivisionError) if fails else nullcontext(), store.transaction(synced=False) as tx:
        tx.create(Host(name_label="second"))
        if fails:
            raise ZeroDivisionError
    with store.transaction() as tx:
        tx.create(Host(name_label="third"))
    levels = [statement for statement in said if statement.startswith(("PRAGMA", "COMMIT"))]
    relaxed = ["PRAGMA synchronous=NORMAL", "COMMIT", "PRAGMA synchronous=FULL"]
    assert levels == [*([] if fails else relaxed), "COMMIT"]
    assert driver.execute("PRAGMA synchronous").fetchone() == (2,)
    store.close()
    names = {name for (name,) in sql(path, "SELECT name_label FROM host")}
    assert names == {"host", "third"} | (set() if fails else {"second"})


def test_a_refused_change_that_is_not_synced_leaves_the_next_synced(path: Path) -> None:
    store = Store(path)
    with (
        pytest.raises(OSError, match="refused"),
        store._database._engine.connect() as connection,
        _syncing(connection, synced=False),
        connection.begin(),
    ):
        raise OSError("refused")
    driver: Any = store._database._engine.raw_connection().driver_connection
    assert driver.execute("PRAGMA synchronous").fetchone() == (2,)
    store.close()
