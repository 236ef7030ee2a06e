"""The data folder: what is made, with which permissions, and what is refused."""

from __future__ import annotations

import os
import stat
from pathlib import Path

import pytest

from app import config


def mode(path: Path) -> int:
    return stat.S_IMODE(path.stat().st_mode)


def test_every_folder_is_made_and_private(data_dir: Path) -> None:
    loaded = config.load(data_dir / "deep")
    made = [
        loaded.data_dir,
        loaded.run_dir,
        loaded.backup_dir,
        loaded.journal_dir,
        loaded.srs_dir,
        loaded.iso_dir,
        loaded.logs_dir,
        loaded.screenshots_dir,
    ]
    assert {str(path): oct(mode(path)) for path in made} == {str(path): "0o700" for path in made}


def test_files_are_named_and_not_made(data_dir: Path) -> None:
    loaded = config.load(data_dir)
    named = [loaded.database, loaded.settings_file, loaded.lock_file, loaded.engine_socket, loaded.sr_dir("an-sr")]
    assert len(set(named)) == len(named)
    assert not any(path.exists() for path in named)


def test_loading_twice_gives_the_same_and_keeps_files(data_dir: Path) -> None:
    first = config.load(data_dir)
    first.database.write_bytes(b"kept")
    assert config.load(data_dir) == first
    assert first.database.read_bytes() == b"kept"


def test_the_environment_names_the_folder(data_dir: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv(config.DATA_DIR_VARIABLE, str(data_dir / "named"))
    assert config.load().data_dir == data_dir / "named"
    assert config.load(data_dir / "argument").data_dir == data_dir / "argument", "an argument wins"


def test_the_default_is_the_users_own(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv(config.DATA_DIR_VARIABLE, raising=False)
    monkeypatch.setenv("XDG_DATA_HOME", str(tmp_path))
    assert config.default_data_dir() == tmp_path / "stillframe"


def test_a_relative_folder_stays_the_same_after_a_change_of_directory(
    data_dir: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(data_dir.parent)
    assert config.load(Path("data")).data_dir == data_dir


def test_an_empty_open_folder_is_closed_to_others(data_dir: Path) -> None:
    data_dir.mkdir()
    data_dir.chmod(0o755)
    config.load(data_dir)
    assert mode(data_dir) == 0o700
    data_dir.chmod(0o755)
    config.load(data_dir)
    assert mode(data_dir) == 0o700, "our own folder, opened later"


def test_an_open_folder_of_other_files_is_refused_and_untouched(tmp_path: Path) -> None:
    folder = tmp_path / "shared"
    folder.mkdir()
    folder.chmod(0o755)
    (folder / "thesis.txt").write_text("mine")
    with pytest.raises(config.ConfigError, match=r"shared .*not Stillframe's"):
        config.load(folder)
    assert mode(folder) == 0o755
    assert [path.name for path in folder.iterdir()] == ["thesis.txt"]


def test_a_file_is_refused(tmp_path: Path) -> None:
    (tmp_path / "plain").write_text("")
    with pytest.raises(config.ConfigError, match=r"plain .*is a file"):
        config.load(tmp_path / "plain")
    with pytest.raises(config.ConfigError, match="cannot be used: Not a directory"):
        config.load(tmp_path / "plain" / "below")


@pytest.mark.skipif(os.geteuid() == 0, reason="root may write anywhere")
def test_a_read_only_folder_is_refused(tmp_path: Path) -> None:
    tmp_path.chmod(0o500)
    with pytest.raises(config.ConfigError, match="may not write"):
        config.load(tmp_path)


def test_sockets_of_a_long_data_folder_get_a_short_folder(tmp_path: Path) -> None:
    long = tmp_path / ("x" * 80)
    loaded = config.load(long)
    try:
        assert len(os.fsencode(loaded.run_dir)) <= config.MAX_RUN_PATH_BYTES
        assert mode(loaded.run_dir) == 0o700
        assert config.load(long).run_dir == loaded.run_dir, "the next process finds the same sockets"
    finally:
        loaded.run_dir.rmdir()
    again = config.load(long).run_dir
    assert again.is_dir(), "made anew after the temporary folder was emptied"
    again.rmdir()


def test_a_substitute_that_another_could_read_is_not_trusted(tmp_path: Path) -> None:
    long = tmp_path / ("x" * 80)
    long.mkdir(mode=0o700)
    planted = tmp_path / "planted"
    planted.mkdir()
    planted.chmod(0o777)
    (long / "run").symlink_to(planted)
    chosen = config.load(long).run_dir
    assert chosen != planted
    chosen.rmdir()


def test_a_short_data_folder_holds_its_sockets() -> None:
    assert len(os.fsencode("/home/you/.local/share/stillframe/run")) <= config.MAX_RUN_PATH_BYTES
