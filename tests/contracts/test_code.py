"""Rules about code that no linter knows."""

from __future__ import annotations

import ast
import re
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.contracts.tree import ROOT, called, files, functions, nodes_inside, parsed, python_files

SAYS_NOTHING = re.compile(r"^_?(utils?|helpers?|managers?|common|misc)$")

# Each runs the Qt event loop until something happens. Within a coroutine under qasync that steps other tasks while
# this one is running; asyncio refuses, and those tasks never wake again.
RUNS_THE_LOOP = {"exec", "exec_", "processEvents"} | {
    f"wait{what}" for what in ("Signal", "Signals", "Until", "Callback", "Active", "Exposed")
}
BLOCKING_DIALOG = re.compile(
    r"\b(QMessageBox\.(about|aboutQt|critical|information|question|warning)|Q(File|Input|Color|Font)Dialog\.get\w+)$"
)

# The entry points start only what is asked for: `serve` must not load Qt, nor a list of xe what only exports need.
MAY_IMPORT_LATE = {Path("app/__main__.py"), Path("app/cli/main.py"), Path("ui/application.py")}

DEVELOPERS_PATH = re.compile(rb"(?<![\w./-])/(?:work|root)/|/(?:home|Users)/(?!(?:you|user)\b)\w+")


def calls_in_coroutines(tree: ast.AST) -> Iterator[ast.Call]:
    for _, function in functions(tree):
        if isinstance(function, ast.AsyncFunctionDef):
            yield from (node for node in nodes_inside(function) if isinstance(node, ast.Call))


def runs_the_loop(call: ast.Call) -> bool:
    name = called(call)
    return ("." in name and name.split(".")[-1] in RUNS_THE_LOOP) or BLOCKING_DIALOG.search(name) is not None


def places(path: Path, nodes: Iterator[ast.Call] | list[ast.stmt]) -> list[str]:
    return [f"{path}:{node.lineno}" for node in nodes]


def test_module_names_say_what_they_hold() -> None:
    named = [path for path in python_files() if any(SAYS_NOTHING.match(part) for part in path.with_suffix("").parts)]
    assert named == []


def test_no_coroutine_runs_the_event_loop_inside_itself() -> None:
    found: list[str] = []
    for path in python_files("ui", "tests"):
        found += places(path, (call for call in calls_in_coroutines(parsed(path)) if runs_the_loop(call)))
    assert found == [], "use open() or show(), and await a future that `finished` sets"


@pytest.mark.parametrize(
    ("body", "wrong"),
    [
        ("dialog.exec()", True),
        ("Dialog(self).exec()", True),
        ("with qtbot.waitSignal(s): pass", True),
        ("QMessageBox.question(self, 'a', 'b')", True),
        ("QtWidgets.QFileDialog.getOpenFileName(self)", True),
        ("dialog.open()", False),
        ("exec('x = 1')", False),
        ("def slot():\n        menu.exec()", False),
    ],
)
def test_the_rule_about_coroutines_can_fail(body: str, wrong: bool) -> None:
    tree = ast.parse(f"async def f():\n    {body}\n")
    assert any(runs_the_loop(call) for call in calls_in_coroutines(tree)) is wrong


def test_the_engine_makes_its_event_loop_by_class() -> None:
    found: list[str] = []
    for path in python_files("app"):
        calls = (node for node in ast.walk(parsed(path)) if isinstance(node, ast.Call))
        found += places(path, (call for call in calls if called(call).split(".")[-1] == "new_event_loop"))
    assert found == [], "asyncio.new_event_loop() gives a Qt loop under qasync; use asyncio.SelectorEventLoop()"


def late_imports(tree: ast.AST) -> list[ast.stmt]:
    """Imports of the project's own modules inside functions, where they can hide a cycle."""
    found: list[ast.stmt] = []
    for _, function in functions(tree):
        for node in nodes_inside(function):
            if isinstance(node, ast.Import) and any(name.name.split(".")[0] in ("app", "ui") for name in node.names):
                found.append(node)
            if isinstance(node, ast.ImportFrom) and (node.level or str(node.module).split(".")[0] in ("app", "ui")):
                found.append(node)
    return found


def test_no_import_hides_inside_a_function() -> None:
    found: list[str] = []
    for path in python_files("app", "ui"):
        if path not in MAY_IMPORT_LATE:
            found += places(path, late_imports(parsed(path)))
    assert found == []


def test_the_rule_about_imports_can_fail() -> None:
    tree = ast.parse("import app.api\ndef f():\n  import json\n  from app import api\n  from . import x\n  import ui\n")
    assert sorted(node.lineno for node in late_imports(tree)) == [4, 5, 6]


def test_no_file_names_a_developers_folder() -> None:
    found = [str(path) for path in files() if DEVELOPERS_PATH.search((ROOT / path).read_bytes())]
    assert found == []


def test_the_rule_about_folders_can_fail() -> None:
    home, root = b"/" + b"home/", b"/" + b"root/"
    assert all(DEVELOPERS_PATH.search(path) for path in (home + b"anna/x", b"cd " + root + b"x"))
    assert not any(DEVELOPERS_PATH.search(path) for path in (home + b"you/x", b"tree" + root + b"x", b"<root/>"))
