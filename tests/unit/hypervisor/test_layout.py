"""Folders and records of guests."""

from __future__ import annotations

import dataclasses
import os
import stat
from pathlib import Path

import pytest

from app.hypervisor.driver import DriverError
from app.hypervisor.layout import SOCKET_PATH_LIMIT, GuestRecord, Layout

UUID = "12345678-1234-1234-1234-123456789abc"


def record_of(layout: Layout) -> GuestRecord:
    run = layout.prepare(UUID)
    return GuestRecord(
        uuid=UUID,
        name="naïve",
        argv=("qemu", "-x"),
        machine="pc-i440fx-7.2",
        cpu="max",
        accelerator="tcg",
        version="7.2.22",
        run=str(run.folder),
    )


def mode(path: Path) -> int:
    return stat.S_IMODE(path.stat().st_mode)


def test_record_survives(tmp_path: Path) -> None:
    layout = Layout(tmp_path)
    record = record_of(layout)
    layout.write(record)
    assert Layout(tmp_path).read(UUID) == record
    assert Layout(tmp_path).uuids() == [UUID]
    assert mode(layout.folder(UUID) / "vm.json") == 0o600
    noted = layout.set_process(record, 42, "then")
    assert layout.read(UUID) == noted == dataclasses.replace(record, pid=42, identity="then")


@pytest.mark.parametrize("content", ["", "{", "[]", "{}", '{"uuid": "x", "argv": 3}', '{"argv": [], "new": 1}'])
def test_unreadable_record_is_no_record(tmp_path: Path, content: str) -> None:
    layout = Layout(tmp_path)
    layout.prepare(UUID)
    (layout.folder(UUID) / "vm.json").write_text(content)
    assert layout.read(UUID) is None


def test_folders_are_private(tmp_path: Path) -> None:
    layout = Layout(tmp_path)
    run = layout.prepare(UUID)
    for folder in (tmp_path / "vm", layout.folder(UUID), run.folder, run.folder.parent):
        assert mode(folder) == 0o700


def test_old_sockets_are_removed(tmp_path: Path) -> None:
    layout = Layout(tmp_path)
    run = layout.prepare(UUID)
    run.engine.touch()
    assert layout.prepare(UUID) == run
    assert not run.engine.exists()
    layout.clean(run)
    assert not run.folder.exists()


def test_given_run_folder_is_used(tmp_path: Path) -> None:
    run = Layout(tmp_path / "data", tmp_path / "run").prepare(UUID)
    assert run.folder.parent == tmp_path / "run"


@pytest.mark.parametrize("length", range(60, 110, 5))
def test_socket_paths_are_never_too_long(tmp_path: Path, length: int) -> None:
    data = tmp_path / ("ä" * ((length - len(str(tmp_path))) // 2 + 1))
    layout = Layout(data)
    run = layout.prepare(UUID)
    for path in (run.engine, run.rescue, run.serial, run.agent, run.vnc):
        assert len(os.fsencode(path)) <= SOCKET_PATH_LIMIT
    assert mode(run.folder.parent) == 0o700
    layout.clean(run)
    assert not run.folder.exists()
    assert run.folder.parent == data / "run" or not run.folder.parent.exists()


def test_a_run_folder_someone_else_prepared_is_refused(tmp_path: Path) -> None:
    """Another user could put a link where our folder shall be."""
    elsewhere = tmp_path / "elsewhere"
    elsewhere.mkdir()
    run = Layout(tmp_path).prepare(UUID).folder
    run.rmdir()
    run.symlink_to(elsewhere)
    with pytest.raises(DriverError, match="is not a folder of this user"):
        Layout(tmp_path).prepare(UUID)


def test_open_run_folder_is_closed(tmp_path: Path) -> None:
    layout = Layout(tmp_path)
    run = layout.prepare(UUID)
    run.folder.chmod(0o755)
    layout.prepare(UUID)
    assert mode(run.folder) == 0o700


def test_last_words_are_those_of_the_latest_run(tmp_path: Path) -> None:
    layout = Layout(tmp_path)
    assert layout.last_words(UUID) == ""
    record = record_of(layout)
    layout.log(UUID).write_text("old\nnew\n")
    layout.write(dataclasses.replace(record, log_start=4))
    assert layout.last_words(UUID) == "new"


def test_last_words_are_the_end_of_a_long_log(tmp_path: Path) -> None:
    layout = Layout(tmp_path)
    layout.write(record_of(layout))
    layout.log(UUID).write_text("x" * 100_000 + "end")
    words = layout.last_words(UUID)
    assert words.endswith("xend")
    assert len(words) < 10_000


def test_forget_removes_everything_of_ours(tmp_path: Path) -> None:
    layout = Layout(tmp_path)
    layout.write(record_of(layout))
    layout.log(UUID).touch()
    layout.forget(UUID)
    assert not layout.folder(UUID).exists()
    layout.forget(UUID)
