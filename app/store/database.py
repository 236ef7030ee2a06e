"""The SQLite file behind the store: opening, upgrading after a backup, loading and writing."""

from __future__ import annotations

import os
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from functools import cache
from pathlib import Path
from typing import Any

from sqlalchemy import (
    Column,
    Connection,
    Engine,
    Insert,
    MetaData,
    Table,
    Text,
    create_engine,
    delete,
    event,
    insert,
    select,
    text,
)
from sqlalchemy.exc import DatabaseError
from sqlalchemy.pool import StaticPool

from app import crash_points
from app.api.failure import Failure, internal_error, storage_failure
from app.api.types import Record, classes
from app.store.reserve import Reserve
from app.store.tables import from_row, make_tables, to_row

SCHEMA = 1
"""Raised when a change is more than added tables and columns; a newer file is refused."""


class StoreDamaged(Exception):
    """The database cannot be used as it is; the text says why and names the file."""


class Database:
    """All stored objects in one SQLite file (write-ahead log, full synchronisation), or in memory without a path."""

    def __init__(self, path: Path | None, backups: Path | None = None) -> None:
        """:param backups: the folder for copies made before an upgrade; by default beside the file.

        :raise StoreDamaged: the file cannot be used; its content was not changed.
        """
        self._path = path
        self._backups = backups or (path.parent if path is not None else None)
        self.reserve = Reserve(path.with_name(f"{path.name}.reserve") if path is not None else None)
        self._metadata, self._tables, self._facts, self._inserts = _schema()
        self._engine = _connect(path)
        try:
            self._upgrade()
        except DatabaseError as error:
            self._engine.dispose()
            raise StoreDamaged(f"{path} is not a usable database: {error.orig}") from error
        except BaseException:
            self._engine.dispose()
            raise
        self.reserve.restore()

    def close(self) -> None:
        """Close the file. Everything committed is already on disk."""
        self._engine.dispose()

    def load(self) -> Iterator[tuple[str, str, Record]]:
        """All stored objects as (class, ref, record).

        :raise StoreDamaged: the file cannot be read, or a row does not fit its declaration.
        """
        try:
            yield from self._load()
        except DatabaseError as error:
            raise StoreDamaged(f"{self._path} is damaged: {error.orig}") from error

    def _load(self) -> Iterator[tuple[str, str, Record]]:
        declared = classes()
        with self._engine.connect() as connection:
            for name, table in self._tables.items():
                for row in connection.execute(select(table)).mappings():
                    try:
                        yield name, row["ref"], from_row(declared[name], dict(row))
                    except (ValueError, TypeError) as error:
                        raise StoreDamaged(f"{self._path}: {name} {row['ref']}: {error}") from error

    def write(self, changes: Sequence[tuple[str, str, Record | None]], *, synced: bool = True) -> None:
        """Write the changes in one SQL transaction; None deletes. Classes that are not stored are passed over.

        On a full disk the reserve is given up once, so that what has happened can be recorded.

        :param synced: False: not on the disk before the next that is. A kill does no harm, a power cut may undo it.
        :raise Failure: SR_BACKEND_FAILURE_44, or INTERNAL_ERROR with SQLite's words; nothing was written then.
        """
        rows: dict[str, list[dict[str, Any]]] = {}
        gone: dict[str, list[str]] = {}
        for name, ref, record in changes:
            if name not in self._tables:
                continue
            if record is None:
                gone.setdefault(name, []).append(ref)
            else:
                rows.setdefault(name, []).append(to_row(classes()[name], ref, record))
        if not rows and not gone:
            return
        try:
            self._execute(rows, gone, synced)
        except DatabaseError as error:
            if not _named(error, "SQLITE_FULL", "SQLITE_IOERR") or not self.reserve.release():
                raise self._failure(error) from error
            try:
                self._execute(rows, gone, synced)
            except DatabaseError as again:
                raise self._failure(again) from again
        except OSError as error:  # raised by tests alone, at the crash point below
            raise storage_failure(44, "There is insufficient space", str(error)) from error

    def _failure(self, error: DatabaseError) -> Failure:
        if _named(error, "SQLITE_FULL"):
            return storage_failure(44, "There is insufficient space", f"{self._path} cannot grow: {error.orig}")
        return internal_error(f"The database {self._path} could not be written: {error.orig}")

    def _execute(self, rows: Mapping[str, list[dict[str, Any]]], gone: Mapping[str, list[str]], synced: bool) -> None:
        with self._engine.connect() as connection, _syncing(connection, synced), connection.begin():
            for name, refs in gone.items():
                table = self._tables[name]
                connection.execute(delete(table).where(table.c.ref.in_(refs)))
            for name, values in rows.items():
                connection.execute(self._inserts[name], values)
            crash_points.reach("store.write")
        crash_points.reach("store.written")

    def _upgrade(self) -> None:
        with self._engine.connect() as connection:
            columns = _columns(connection)
            stored = self._fact(connection) if self._facts.name in columns else None
            connection.rollback()
        if stored is not None and int(stored) > SCHEMA:
            raise StoreDamaged(
                f"{self._path} was written by a newer version (schema {stored}, this one knows {SCHEMA})"
            )
        if not columns:
            self._make()
        elif any(not {c.name for c in t.columns} <= columns.get(t.name, set()) for t in self._metadata.tables.values()):
            if self._path is not None:
                self._back_up()
            self._add()

    def _fact(self, connection: Any) -> str | None:
        row = connection.execute(select(self._facts.c.value).where(self._facts.c.name == "schema")).first()
        return None if row is None else str(row[0])

    def _make(self) -> None:
        with self._engine.begin() as connection:
            self._metadata.create_all(connection, checkfirst=False)
            self._note_schema(connection)

    def _note_schema(self, connection: Any) -> None:
        connection.execute(insert(self._facts).prefix_with("OR REPLACE"), [{"name": "schema", "value": str(SCHEMA)}])

    def _back_up(self) -> None:
        """Keep a copy, on the disk before the original changes. SQLite itself does not sync what VACUUM INTO writes."""
        assert self._path is not None and self._backups is not None
        self._backups.mkdir(mode=0o700, exist_ok=True)
        name = f"{self._path.name}.{time.strftime('%Y%m%dT%H%M%SZ', time.gmtime())}"
        copy, number = self._backups / f"{name}.backup", 1
        while copy.exists():
            copy, number = self._backups / f"{name}-{number}.backup", number + 1
        with self._engine.connect().execution_options(isolation_level="AUTOCOMMIT") as connection:
            connection.execute(text("VACUUM INTO :copy"), {"copy": str(copy)})
        copy.chmod(0o600)
        for path in (copy, self._backups):
            _sync(path)

    def _add(self) -> None:
        """Add the tables and columns that are missing."""
        # Only here: loading Alembic takes longer than opening the engine, and upgrades are rare.
        from alembic.autogenerate import compare_metadata
        from alembic.migration import MigrationContext
        from alembic.operations import Operations

        with self._engine.begin() as connection:
            context = MigrationContext.configure(connection, opts={"compare_type": False})
            operations = Operations(context)
            for addition in compare_metadata(context, self._metadata):
                if addition[0] == "add_table":
                    addition[1].create(connection)
                elif addition[0] == "add_column":
                    _, _, table_name, column = addition
                    operations.add_column(table_name, Column(column.name, column.type, nullable=True))
            self._note_schema(connection)


@cache
def _schema() -> tuple[MetaData, Mapping[str, Table], Table, Mapping[str, Insert]]:
    """All tables, those of the vocabulary by class name, the one of facts, and the inserts: built once a process.

    SQLAlchemy compiles a statement object's SQL once for each file, and a VM has ninety columns.
    """
    metadata = MetaData()
    tables = make_tables(metadata)
    facts = Table("_facts", metadata, Column("name", Text, primary_key=True), Column("value", Text))
    return metadata, tables, facts, {name: insert(table).prefix_with("OR REPLACE") for name, table in tables.items()}


def _columns(connection: Connection) -> dict[str, set[str]]:
    """The columns of every table in the file. Asked in one query: comparing by Alembic takes a quarter of a second."""
    query = "SELECT m.name, c.name FROM sqlite_master AS m, pragma_table_info(m.name) AS c WHERE m.type = 'table'"
    found: dict[str, set[str]] = {}
    for table, column in connection.execute(text(query)):
        found.setdefault(table, set()).add(column)
    return found


def _named(error: DatabaseError, *names: str) -> bool:
    # On a full disk SQLite speaks of an input/output error where it maps the index of its log.
    return str(getattr(error.orig, "sqlite_errorname", "")).startswith(names)


def _sync(path: Path) -> None:
    if os.name == "nt":
        return
    descriptor = os.open(path, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


@contextmanager
def _syncing(connection: Connection, synced: bool) -> Iterator[None]:
    """With SQLite's level NORMAL the log is written but synced by a later commit, or before it goes into the file.

    Source: https://www.sqlite.org/pragma.html#pragma_synchronous. It can be changed between transactions only.
    """
    if synced:
        yield
        return
    driver: Any = connection.connection.driver_connection
    driver.execute("PRAGMA synchronous=NORMAL")
    try:
        yield
    finally:
        driver.execute("PRAGMA synchronous=FULL")


def _connect(path: Path | None) -> Engine:
    if path is None:
        return create_engine("sqlite://", poolclass=StaticPool, connect_args={"check_same_thread": False})
    if not path.exists():
        path.touch(mode=0o600)
    # StaticPool: the store writes from one thread at a time, and one connection keeps its prepared statements.
    engine = create_engine(f"sqlite:///{path}", poolclass=StaticPool, connect_args={"check_same_thread": False})
    event.listen(engine, "connect", _prepare)
    return engine


def _prepare(connection: Any, _record: object) -> None:
    settings: Mapping[str, str] = {"journal_mode": "WAL", "synchronous": "FULL", "busy_timeout": "5000"}
    cursor = connection.cursor()
    for name, value in settings.items():
        cursor.execute(f"PRAGMA {name}={value}")
    cursor.close()
