"""The command line of `stillframe`: commands, and a file alone."""

from __future__ import annotations

from pathlib import Path

import pytest

from app.__main__ import COMMANDS, _parser, main, naming_a_file


@pytest.mark.parametrize(
    ("given", "meant"),
    [
        ([], []),
        (["web.xva"], ["open", "web.xva"]),
        (["--data-dir", "serve", "web.xva"], ["--data-dir", "serve", "open", "web.xva"]),
        (["--debug", "--data-dir=x", "web.xva"], ["--debug", "--data-dir=x", "open", "web.xva"]),
        (["serve", "--listen", "web.xva"], ["serve", "--listen", "web.xva"]),
        (["--data-dir", "x"], ["--data-dir", "x"]),
        *(([command, "x"], [command, "x"]) for command in COMMANDS),
    ],
)
def test_a_file_alone_is_opened(given: list[str], meant: list[str]) -> None:
    assert naming_a_file(given) == meant


def test_a_file_that_is_not_there_is_told(data_dir: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    missing = tmp_path / "web.xva"
    assert main(["--data-dir", str(data_dir), str(missing)]) == 2
    assert f"there is no file {missing}" in capsys.readouterr().err


@pytest.mark.parametrize("given", [["--data-dir", "x", "serve"], ["serve", "--data-dir", "x"], ["--data-dir", "x"]])
def test_the_data_folder_may_stand_before_a_command(given: list[str]) -> None:
    options = _parser().parse_args(given)
    assert (options.data_dir, options.debug) == (Path("x"), False)
