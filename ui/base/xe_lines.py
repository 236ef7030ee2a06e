"""The lines for a terminal that do what a command does, in the words of xe, XenServer's command line.

They are what docs/xe.md describes; tests hold each of them against the grammar of xe itself. What a person has to fill
in is in capital letters, so that a line that is run as it is changes nothing.
"""

from __future__ import annotations

import shlex
from collections.abc import Callable, Iterable, Mapping
from dataclasses import replace
from typing import TypeVar

from app.api import Record, Ref, class_of
from ui.base.commands import Command, Selection, XeLine
from ui.base.workspace import Workspace

R = TypeVar("R", bound=Record)


def line(command: str, *flags: str, **given: str) -> str:
    """One line: `line("vm-start", uuid=vm.uuid)`; an underscore in a parameter's name stands for a dash."""
    words = [f"{name.replace('_', '-')}={shlex.quote(value) if value else ''}" for name, value in given.items()]
    return " ".join(("xe", command, *words, *flags))


def of_each(record: type[R], make: Callable[[R], str]) -> XeLine:
    """A line for each chosen object of a class; `make` answers "" where there is none."""
    name = class_of(record).name

    def lines(workspace: Workspace, selection: Selection) -> str:
        found = (workspace.cache.get(record, Ref(ref)) for cls, ref in selection if cls == name)
        return "\n".join(filter(None, (make(chosen) for chosen in found if chosen is not None)))

    return lines


def always(text: str) -> XeLine:
    """The same line whatever is chosen."""
    return lambda _workspace, _selection: text


def with_xe(commands: Iterable[Command], lines: Mapping[str, XeLine]) -> list[Command]:
    """The commands, each with its line by its id."""
    return [replace(command, xe=lines.get(command.id)) for command in commands]
