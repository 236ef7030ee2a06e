"""The project's own files, for tests that read them."""

from __future__ import annotations

import ast
import subprocess
from functools import cache
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
SKIPPED = {"build", "dist", "__pycache__"}

Function = ast.FunctionDef | ast.AsyncFunctionDef


@cache
def files() -> tuple[Path, ...]:
    """Every file git tracks or would add, relative to the root; without git, every one that is not hidden or built."""
    command = ["git", "ls-files", "-z", "--cached", "--others", "--exclude-standard"]
    try:
        listed = subprocess.run(command, cwd=ROOT, capture_output=True, check=True).stdout
        names = [Path(name) for name in listed.decode().split("\0") if name]
    except (OSError, subprocess.CalledProcessError):
        names = [path.relative_to(ROOT) for path in ROOT.rglob("*") if path.is_file()]
        names = [name for name in names if not _is_generated(name)]
    return tuple(sorted(name for name in names if (ROOT / name).is_file()))


def _is_generated(name: Path) -> bool:
    hidden = name.parts[0].startswith(".") and name.parts[0] not in {".ci", ".importlinter", ".gitignore"}
    return hidden or bool(SKIPPED & set(name.parts)) or any(part.endswith(".egg-info") for part in name.parts)


def python_files(*folders: str) -> list[Path]:
    """The Python files of these top-level folders (default: all that hold code)."""
    return [path for path in files() if path.suffix == ".py" and path.parts[0] in (folders or ("app", "ui", "tests"))]


@cache
def parsed(path: Path) -> ast.Module:
    return ast.parse((ROOT / path).read_text(encoding="utf-8"), str(path))


def functions(tree: ast.AST, prefix: str = "") -> list[tuple[str, Function]]:
    """Every function with its dotted name, those inside classes and functions included."""
    found: list[tuple[str, Function]] = []
    for node in ast.iter_child_nodes(tree):
        name = prefix
        if isinstance(node, Function | ast.ClassDef):
            name = f"{prefix}.{node.name}" if prefix else node.name
            if isinstance(node, Function):
                found.append((name, node))
        found += functions(node, name)
    return found


def nodes_inside(function: Function) -> list[ast.AST]:
    """The nodes that run as part of this function: not those of functions defined within it."""
    found: list[ast.AST] = []
    waiting: list[ast.AST] = list(function.body)
    while waiting:
        node = waiting.pop()
        found.append(node)
        if not isinstance(node, Function | ast.Lambda | ast.ClassDef):
            waiting += ast.iter_child_nodes(node)
    return found


def called(call: ast.Call) -> str:
    """The dotted name that is called, as far as it is one: `asyncio.run`, `self.dialog.exec`, `?.exec`."""
    parts: list[str] = []
    node: ast.expr = call.func
    while isinstance(node, ast.Attribute):
        parts.append(node.attr)
        node = node.value
    parts.append(node.id if isinstance(node, ast.Name) else "?")
    return ".".join(reversed(parts))
