"""The journal keeps what was recorded, in order, whatever happens in between."""

from __future__ import annotations

import stat
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from app.storage.errors import StorageError
from app.storage.journal import Journal

json_values = st.recursive(
    st.none() | st.booleans() | st.integers(-(1 << 70), 1 << 70) | st.floats(allow_nan=False, allow_infinity=False)
    | st.text(),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(), inner, max_size=3),
    max_leaves=10,
)  # fmt: skip


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    return tmp_path / "journal"


def _names(folder: Path) -> list[str]:
    return sorted(path.name for path in folder.iterdir())


def test_an_entry_lives_from_begin_to_end(folder: Path) -> None:
    journal = Journal(folder)
    entry = journal.begin("vm_snapshot", vm="OpaqueRef:1", images=["a", "b"])
    assert [(e.op, e.id, e.phase, e.facts) for e in Journal(folder).pending()] == [
        ("vm_snapshot", entry.id, "begin", {"vm": "OpaqueRef:1", "images": ["a", "b"]})
    ]
    entry.record("overlays", images=["c"], depth=2)
    expected = {"vm": "OpaqueRef:1", "images": ["c"], "depth": 2}
    assert (entry.phase, entry.facts) == ("overlays", expected)
    assert [(e.phase, e.facts) for e in Journal(folder).pending()] == [("overlays", expected)]
    entry.end()
    assert Journal(folder).pending() == []
    assert _names(folder) == []
    entry.end()


def test_pending_entries_can_go_on(folder: Path) -> None:
    Journal(folder).begin("vm_revert", vm="1")
    (entry,) = Journal(folder).pending()
    entry.record("started", pid=5)
    (entry,) = Journal(folder).pending()
    assert (entry.phase, entry.facts) == ("started", {"vm": "1", "pid": 5})


def test_entries_are_told_in_the_order_of_their_begin(folder: Path) -> None:
    first = [Journal(folder).begin("b_op", n=n).id for n in range(6)]
    journal = Journal(folder)
    second = [journal.begin("a_op", n=n).id for n in range(6)]
    assert [entry.id for entry in Journal(folder).pending()] == first + second


def test_is_private(folder: Path) -> None:
    Journal(folder).begin("vm_snapshot")
    assert stat.S_IMODE(folder.stat().st_mode) == 0o700
    assert {stat.S_IMODE(path.stat().st_mode) for path in folder.iterdir()} == {0o600}


@pytest.mark.parametrize(
    "content", [b"", b"{", b"[]", b"\xff\xfe", b"[" * 100_000, b'{"format": 2}', b'{"format": 1, "op": "other"}']
)
def test_a_torn_entry_is_set_aside_and_the_others_are_told(
    folder: Path, content: bytes, caplog: pytest.LogCaptureFixture
) -> None:
    journal = Journal(folder)
    torn = journal.begin("vm_snapshot")
    kept = journal.begin("vm_snapshot")
    (path,) = (path for path in folder.iterdir() if torn.id in path.name)
    path.write_bytes(content)

    again = Journal(folder)
    assert [entry.id for entry in again.pending()] == [kept.id]
    assert [bad.name for bad in again.bad] == [path.name + ".bad"]
    assert again.bad[0].read_bytes() == content
    assert path.name in caplog.text
    assert [entry.id for entry in again.pending()] == [kept.id]
    assert len(again.bad) == 1


def test_a_strange_file_is_set_aside(folder: Path) -> None:
    journal = Journal(folder)
    (folder / "notes.json").write_text("{}")
    (folder / "0000000009-folder-x.json").mkdir()
    assert journal.pending() == []
    assert sorted(path.name for path in journal.bad) == ["0000000009-folder-x.json.bad", "notes.json.bad"]


def test_half_written_temporary_files_are_no_entries(folder: Path) -> None:
    journal = Journal(folder)
    entry = journal.begin("vm_snapshot")
    (folder / f".0000000002-vm_snapshot-{entry.id}.json.part").write_bytes(b'{"form')
    assert [e.id for e in journal.pending()] == [entry.id]
    assert journal.bad == ()


@pytest.mark.parametrize("point", ["storage.journal_write", "storage.journal_written"])
def test_a_begin_that_fails_leaves_nothing(monkeypatch: pytest.MonkeyPatch, folder: Path, point: str) -> None:
    journal = Journal(folder)
    monkeypatch.setenv("STILLFRAME_FAIL_AT", f"{point}:enospc")
    with pytest.raises(StorageError) as caught:
        journal.begin("vm_snapshot")
    assert caught.value.cause == "no_space"
    assert _names(folder) == []


def test_a_record_that_fails_changes_nothing(monkeypatch: pytest.MonkeyPatch, folder: Path) -> None:
    entry = Journal(folder).begin("vm_snapshot", disks=1)
    monkeypatch.setenv("STILLFRAME_FAIL_AT", "storage.journal_write:enospc")
    with pytest.raises(StorageError):
        entry.record("overlays", disks=2)
    assert (entry.phase, entry.facts) == ("begin", {"disks": 1})
    assert [(e.phase, e.facts) for e in Journal(folder).pending()] == [("begin", {"disks": 1})]


@pytest.mark.parametrize("op", ["", "VM.snapshot", "a/b", "a b", "../x", "x" * 101])
def test_an_operation_has_a_plain_name(folder: Path, op: str) -> None:
    with pytest.raises(ValueError, match="not a journal operation"):
        Journal(folder).begin(op)


@settings(suppress_health_check=[HealthCheck.function_scoped_fixture], deadline=None, max_examples=40)
@given(facts=st.dictionaries(st.text(), json_values, max_size=4))
def test_facts_come_back_as_they_were(folder: Path, facts: dict[str, None]) -> None:
    entry = Journal(folder).begin("any", **facts)
    (found,) = Journal(folder).pending()
    assert found.facts == facts
    entry.end()
