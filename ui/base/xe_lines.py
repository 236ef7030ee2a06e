"""The lines for a terminal that do what a command does, in the words of xe, XenServer's command line.

They are what docs/xe.md describes; tests hold each of them against the grammar of xe itself, and against what its
button sends. What a person has to fill in is in capital letters, so that a line that is run as it is changes nothing.
What takes several steps takes several lines: the first keeps a new uuid in a variable of the shell, the others use it.
"""

from __future__ import annotations

import shlex
from collections.abc import Callable, Iterable, Mapping
from dataclasses import replace
from typing import Any, TypeVar

from app.api import SR, VM, Record, Ref, Task, class_of
from app.client import ObjectCache
from ui.base.commands import Command, Selection, XeLine
from ui.base.workspace import Workspace

R = TypeVar("R", bound=Record)


class Variable(str):
    """A variable of the shell as a value: the only one that the shell is to look into."""

    def __new__(cls, name: str) -> Variable:
        return super().__new__(cls, f'"${name}"')


def line(command: str, *flags: str, **given: str) -> str:
    """One line: `line("vm-start", uuid=vm.uuid)`; an underscore in a parameter's name stands for a dash."""
    words = [f"{name.replace('_', '-')}={_quoted(value)}" for name, value in given.items()]
    return " ".join(("xe", command, *words, *flags))


def _quoted(value: str) -> str:
    return value if isinstance(value, Variable) or not value else shlex.quote(value)


def keeping(name: str, text: str) -> str:
    """The line, with the uuid that it prints kept in a variable."""
    return f"{name}=$({text})"


def together(*lines: str) -> str:
    """Lines one below the other, without the empty ones."""
    return "\n".join(filter(None, lines))


def records_of(cache: ObjectCache, record: type[R], refs: Iterable[str]) -> list[R]:
    """The records that there are, in the order of the references."""
    return [found for ref in refs if (found := cache.get(record, Ref(ref))) is not None]


def uuid_of(cache: ObjectCache, record: type[Any], ref: str) -> str:
    """The uuid behind a reference; "" for the null reference, which is what xe takes for none."""
    found = cache.get(record, Ref(ref))
    return str(found.uuid) if found is not None else ""


def vm_line(cache: ObjectCache, vm: str, command: str, *flags: str, **given: str) -> str:
    """A line on one VM; "" where it is gone."""
    uuid = uuid_of(cache, VM, vm)
    return line(command, *flags, uuid=uuid, **given) if uuid else ""


def cancel_lines(cache: ObjectCache, tasks: Iterable[str]) -> str:
    """What asks operations to stop; nothing for those that are no tasks of the engine."""
    return together(*(line("task-cancel", uuid=task.uuid) for task in records_of(cache, Task, tasks)))


def into(cache: ObjectCache, sr: str) -> dict[str, str]:
    """The parameter that names a storage repository; none for the null reference."""
    uuid = uuid_of(cache, SR, sr)
    return {"sr_uuid": uuid} if uuid else {}


def of_each(record: type[R], make: Callable[[R], str], can: Callable[[R], bool] | None = None) -> XeLine:
    """A line for each chosen object of a class; `make` answers "" where there is none.

    :param can: which of them take part when the command is run; where none can, all are named.
    """
    name = class_of(record).name

    def lines(workspace: Workspace, selection: Selection) -> str:
        found = records_of(workspace.cache, record, (ref for cls, ref in selection if cls == name))
        able = [chosen for chosen in found if can is not None and can(chosen)]
        return together(*(make(chosen) for chosen in able or found))

    return lines


def always(text: str) -> XeLine:
    """The same line whatever is chosen."""
    return lambda _workspace, _selection: text


def with_xe(commands: Iterable[Command], lines: Mapping[str, XeLine]) -> list[Command]:
    """The commands, each with its line by its id."""
    return [replace(command, xe=lines.get(command.id)) for command in commands]
