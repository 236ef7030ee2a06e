"""What is typed as a file or folder is used or refused, and never more than that."""

from __future__ import annotations

from pathlib import Path

import pytest

from app.client.exports import proposed_name
from ui.exchange.file_names import is_folder, is_there, typed_path, unused, why_no_name
from ui.exchange.room import place_of

NO_PATHS = ["ä" * 300, "a\0b", "x/" * 3000, "~nobody-here/x"]


@pytest.mark.parametrize("text", NO_PATHS)
def test_what_cannot_be_a_path_is_not_there(text: str, tmp_path: Path) -> None:
    path = tmp_path / typed_path(text)
    assert not is_there(path)
    assert not is_folder(path)
    assert place_of(path).problem == "There is no such folder."


def test_a_home_is_known() -> None:
    assert typed_path(" ~/exports ") == Path.home() / "exports"


@pytest.mark.parametrize(
    ("name", "problem"),
    [
        ("web.xva", ""),
        ("ä.xva", ""),
        (" .xva", "The file needs a name."),
        ("a/b", "A file name cannot contain /"),
        ("a\0b", "A file name cannot contain control characters"),
        ("x" * 246, ""),
        ("x" * 247, "This name is too long."),
        ("ä" * 124, "This name is too long."),
        ("\udc80" * 247, "This name is too long."),
    ],
)
def test_names(name: str, problem: str, tmp_path: Path) -> None:
    assert why_no_name(name, ".xva") == problem
    if not problem:
        (tmp_path / f"{name}.manifest").touch()


@pytest.mark.parametrize("letter", ["x", "ä", "😀", "\udc80"])
def test_a_proposed_name_always_fits(letter: str, tmp_path: Path) -> None:
    name = proposed_name(letter * 300)
    (tmp_path / name).touch()
    assert why_no_name(unused(tmp_path, name), ".xva") == ""
