"""Taking a command line apart."""

from __future__ import annotations

import shlex
from pathlib import Path

import pytest

from app.cli.errors import CommandError, MissingParameter, UsageError
from app.cli.words import parse, truth, whole

NOWHERE = Path("/nonexistent")


def test_parameters_keep_their_equals_signs_and_flags_are_true() -> None:
    words = parse(["vm-list", "name-label=a=b", "--minimal", "params="], {}, NOWHERE)
    assert words.command == "vm-list"
    assert words.given == [("name-label", "a=b"), ("minimal", "true"), ("params", "")]
    assert words.has("params") and not words.has("nosuch") and words.flag("minimal")


def test_of_a_parameter_given_twice_the_first_counts() -> None:
    assert parse(["vm-list", "params=a", "params=b"], {}, NOWHERE).get("params") == "a"


def test_the_servers_switches_may_stand_anywhere() -> None:
    words = parse(["-s", "host", "-p", "80", "vm-list", "-u", "root", "-pw", "x", "--nossl", "uuid=1"], {}, NOWHERE)
    assert words.server == {"server": "host", "port": "80", "username": "root", "password": "x", "nossl": "true"}
    assert (words.command, words.given) == ("vm-list", [("uuid", "1")])


@pytest.mark.parametrize("arguments", [["vm-list", "-s"], ["vm-list", "-x"], ["-pwf"]])
def test_a_switch_that_means_nothing_is_refused(arguments: list[str]) -> None:
    with pytest.raises(UsageError):
        parse(arguments, {}, NOWHERE)


def test_a_command_line_wins_over_the_environment_and_that_over_the_file(tmp_path: Path) -> None:
    (tmp_path / ".xe").write_text("# mine\nserver=of-file\nusername = root\npassword=of-file\nport=1\n")
    words = parse(
        ["-s", "given", "vm-list"], {"XE_EXTRA_ARGS": r"server=of-env,password=a\,b\\c,nossl,minimal"}, tmp_path
    )
    assert words.server == {
        "server": "given",
        "password": "a,b\\c",
        "nossl": "true",
        "username": "root",
        "port": "1",
    }
    assert words.flag("minimal")


def test_a_password_file_has_the_user_and_the_password(tmp_path: Path) -> None:
    file = tmp_path / "secret"
    file.write_text("root\npa=ss word\n")
    words = parse(["vm-list", "-s", "host", "-pwf", str(file)], {}, NOWHERE)
    assert words.server == {"server": "host", "username": "root", "password": "pa=ss word"}


def test_a_password_file_that_is_none(tmp_path: Path) -> None:
    with pytest.raises(CommandError, match="cannot be read"):
        parse(["vm-list", "-pwf", str(tmp_path / "none")], {}, NOWHERE)
    (tmp_path / "short").write_text("root\n")
    with pytest.raises(CommandError, match="two lines"):
        parse(["vm-list", "-pwf", str(tmp_path / "short")], {}, NOWHERE)


@pytest.mark.parametrize("text", ["true", "T", "yes", "Y", "1"])
def test_true(text: str) -> None:
    assert truth("x", text)


@pytest.mark.parametrize("text", ["false", "f", "NO", "n", "0"])
def test_false(text: str) -> None:
    assert not truth("x", text)


@pytest.mark.parametrize(
    ("text", "number"),
    [("12", 12), ("8MiB", 8 << 20), ("1 gib", 1 << 30), ("2TiB", 2 << 40), ("3kib", 3072), ("-1", -1)],
)
def test_sizes(text: str, number: int) -> None:
    assert whole("x", text) == number


@pytest.mark.parametrize("text", ["", "abc", "8MB", "1.5GiB", "8 MiB GiB"])
def test_what_is_no_size(text: str) -> None:
    with pytest.raises(CommandError, match="expecting an integer"):
        whole("x", text)


def test_what_must_be_given() -> None:
    with pytest.raises(MissingParameter, match="Required parameter not found: uuid"):
        parse(["vm-destroy"], {}, NOWHERE).required("uuid")


def test_a_line_of_the_documentation_whose_break_was_lost() -> None:
    line = r"snapshot-export-to-template snapshot-uuid=b3c0f369-59a1-dd16-ecd4-a1211df29886 \ filename=example"
    assert parse(shlex.split(line), {}, NOWHERE).get("filename") == "example"
