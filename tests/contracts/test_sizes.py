"""Files and functions stay short. What is longer stands in the allow-list with its size, and may only shrink."""

from __future__ import annotations

import ast
from pathlib import Path

from tests.contracts.tree import ROOT, Function, functions, parsed, python_files

MOST_LINES_OF_A_FILE = 400
MOST_LINES_OF_A_FUNCTION = 40
ALLOW_LIST = Path(__file__).with_name("allowed_sizes.txt")


def length(function: Function) -> int:
    """Lines from `def` to the end, the docstring not counted: nobody should save on those."""
    assert function.end_lineno is not None
    lines = function.end_lineno - function.lineno + 1
    first = function.body[0]
    if ast.get_docstring(function, clean=False) is not None and first.end_lineno is not None:
        lines -= first.end_lineno - first.lineno + 1
    return lines


def too_long() -> dict[str, int]:
    found: dict[str, int] = {}
    for path in python_files():
        lines = len((ROOT / path).read_text(encoding="utf-8").splitlines())
        if lines > MOST_LINES_OF_A_FILE:
            found[path.as_posix()] = lines
        for name, function in functions(parsed(path)):
            if length(function) > MOST_LINES_OF_A_FUNCTION:
                found[f"{path.as_posix()}::{name}"] = length(function)
    return found


def allowed() -> dict[str, int]:
    lines = [line.split("#")[0].split() for line in ALLOW_LIST.read_text(encoding="utf-8").splitlines()]
    return {name: int(size) for size, name in filter(None, lines)}


def test_sizes() -> None:
    found, listed = too_long(), allowed()
    grown = {name: size for name, size in found.items() if size > listed.get(name, 0)}
    assert not grown, f"too long (at most {MOST_LINES_OF_A_FILE} lines a file, {MOST_LINES_OF_A_FUNCTION} a function)"
    stale = {name: found.get(name, "remove it") for name, size in listed.items() if found.get(name, 0) < size}
    assert not stale, f"{ALLOW_LIST.name} may only shrink: lower or remove these entries"


def test_length_leaves_out_the_docstring() -> None:
    tree = ast.parse(
        'class C:\n  def f(self):\n    """One.\n\n    Two."""\n    if self:\n      return 1\n    return 2\n'
    )
    assert [(name, length(function)) for name, function in functions(tree)] == [("C.f", 4)]
