"""The crash points that the product declares, and the scenarios that pass them: so that no new step can be forgotten.

points.txt holds a scenario for each point, or the reason why none passes it. `python -m tests.faults --points` looks
and writes it; a fast test holds it against the code, and every sweep of all scenarios against what really happens.
"""

from __future__ import annotations

import ast
from collections.abc import Iterable, Iterator, Mapping
from pathlib import Path
from typing import NamedTuple

from tests.contracts.tree import Function, called, functions, parsed, python_files

RECORD = Path(__file__).with_name("points.txt")
_REASON = "!"


class Recorded(NamedTuple):
    """What points.txt says: point -> scenario, and point -> why none passes it."""

    passed: dict[str, str]
    excused: dict[str, str]


def declared() -> set[str]:
    """Every name given to `crash_points.reach` anywhere in the product, also by way of a parameter."""
    found: set[str] = set()
    for path in python_files("app"):
        tree = parsed(path)
        if path.name != "crash_points.py":
            found |= {
                name for call in _calls(tree) if called(call).endswith("crash_points.reach") for name in _text(call, 0)
            }
            found |= set(_by_parameter(tree))
    return found


def _by_parameter(tree: ast.Module) -> Iterator[str]:
    """Names that reach `reach` as an argument of a function of the same module."""
    for name, function in functions(tree):
        for call in _calls(function):
            argument = call.args[0] if called(call).endswith("crash_points.reach") else None
            if isinstance(argument, ast.Name):
                place = _place(function, argument.id)
                short = name.rpartition(".")[2]
                for other in _calls(tree):
                    if called(other).rpartition(".")[2] == short:
                        yield from _text(other, place, argument.id)


def _place(function: Function, parameter: str) -> int:
    names = [argument.arg for argument in (*function.args.posonlyargs, *function.args.args) if argument.arg != "self"]
    if parameter not in names:
        raise ValueError(f"{function.name} reaches {parameter}: only a literal or a parameter can be found again")
    return names.index(parameter)


def _calls(tree: ast.AST) -> Iterator[ast.Call]:
    return (node for node in ast.walk(tree) if isinstance(node, ast.Call))


def _text(call: ast.Call, place: int, keyword: str = "") -> list[str]:
    given = [k.value for k in call.keywords if k.arg == keyword] or call.args[place : place + 1]
    return [g.value for g in given if isinstance(g, ast.Constant) and isinstance(g.value, str)]


def recorded() -> Recorded:
    """What the file says."""
    found = Recorded({}, {})
    for line in RECORD.read_text(encoding="utf-8").splitlines():
        point, _, rest = line.partition(" ")
        if rest.startswith(_REASON):
            found.excused[point] = rest.removeprefix(_REASON).strip()
        elif point and point != "#":
            found.passed[point] = rest.strip()
    return found


def record(courses: Mapping[str, Iterable[str]]) -> None:
    """Write the file: a scenario for each point (the one it has, unless that was run and passes it no more)."""
    before, lines = recorded(), []
    for point in sorted(declared()):
        passing = sorted(name for name, points in courses.items() if point in points)
        known = before.passed.get(point)
        if known in passing or (known and known not in courses):
            lines.append(f"{point} {known}")
        elif passing:
            lines.append(f"{point} {passing[0]}")
        elif point in before.excused:
            lines.append(f"{point} {_REASON} {before.excused[point]}")
    RECORD.write_text("".join(f"{line}\n" for line in lines), encoding="utf-8")


def missing(courses: Mapping[str, Iterable[str]]) -> list[str]:
    """What is wrong with the file, given the points that every scenario really passes."""
    said, passed = recorded(), {point for points in courses.values() for point in points}
    found = [f"{p}: {name} does not pass it" for p, name in said.passed.items() if p not in set(courses.get(name, ()))]
    found += [f"{point}: no scenario passes it" for point in sorted(declared() - passed - said.excused.keys())]
    return found + [f"{point}: a scenario passes it after all" for point in said.excused if point in passed]
