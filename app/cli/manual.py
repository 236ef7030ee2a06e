"""docs/xe.md, made of the commands themselves: `python -m app.cli.manual > docs/xe.md`."""

from __future__ import annotations

import sys
from collections.abc import Iterable
from typing import Final

from app.cli.columns import RW
from app.cli.command import Command
from app.cli.kinds import KINDS, Kind
from app.cli.table import COMMANDS

_INTRODUCTION: Final = """# xe

The command line of XenServer, for the engine on this machine or a server elsewhere. `installer/run.sh` puts it into
`.venv/bin/xe`. This page is made from the program (`.venv/bin/python -m app.cli.manual > docs/xe.md`); `xe help
COMMAND` says the same of one command.

    xe vm-list
    xe vm-checkpoint vm=web1 new-name-label="before the upgrade"
    xe snapshot-list snapshot-of=116dd310-a0ef-a830-37c8-df41521ff72d
    xe snapshot-revert snapshot-uuid=b3c0f369-59a1-dd16-ecd4-a1211df29886

## Where it goes

Without more, to the engine that runs on this machine for `$STILLFRAME_DATA_DIR` (or `--data-dir DIR`): the one in an
open desktop, or that of `stillframe serve`. Where none runs, xe says so.

| | |
|---|---|
| `-s HOST`, `-p PORT` | a server elsewhere: XenServer from 7.3, XCP-ng, or `stillframe serve --listen` |
| `-u USER -pw PASSWORD` | who logs in. Others on this machine can read a password given like this |
| `-pwf FILE` | a file with the user in its first line and the password in its second |
| `--nossl` | in the clear, for servers on this machine |

The certificate of a server is remembered when it is met first, in `known_servers.json` in the data folder, and
another one is refused afterwards. What is not said is taken from `$XE_EXTRA_ARGS`
(`server=host,username=root,passwordfile=FILE`; a backslash before a comma that belongs to a value), then from `~/.xe`
(the same, one on each line).

## Choosing and printing

Commands with **[VMs]** act on the VM that the fields given select: `vm=` a name or a uuid, or any field of `xe
vm-list params=all`, as `power-state=halted`, `tags:contains=prod` or `other-config:folder=/servers`. Where several
match, `--multiple` is needed. Snapshots and templates are never selected, except by vm-clone and vm-copy.

Lists take the same fields as filters, and `params=a,b` or `params=all` for what is shown. `--minimal` prints the
first field alone, with commas between. `--force` answers the question of the uninstall commands with yes;
`--progress` shows how far a command is. The exit status is 0, or 1 for whatever went wrong.

Two extensions of ours, on every command:

- `--json` prints records as objects, sets as lists and maps as objects, and new uuids as a list.
- `--dry-run` says which messages a command would send, and sends none that changes anything. (With `vm-import` too.)

## Completion

The Tab key completes commands, parameters, and the names and uuids of what a running engine has. For bash, put this
into `~/.bashrc`; for zsh, this into `~/.zshrc`, before any other `compinit`; with the path to Stillframe:

    . /path/to/stillframe/resources/completion/xe.bash

    fpath=(/path/to/stillframe/resources/completion $fpath); autoload -U compinit; compinit

## Differences

`excluded-device-types=vbd,vif` leaves the drives or the network interfaces out of an export with `metadata=true`, and
the disks or networks that only these lead to. As with XenServer's xe, `vgpu` and `vtpm` can be named too, of which
there is none here, any other type is an error, and it does not count for an export with disks; ours says so then.

What differs from XenServer's xe: a list of snapshots has the columns that XenServer's documentation shows,
`snapshot_of` and `snapshot_time`; of the many commands for parts that we do not have, none is there; an uninstall is
one message to a server that has it, so that a failure leaves nothing half removed; where some of several VMs fail,
what was made of the others is printed too. Beside what XenServer's takes, `vm-uninstall` and `template-uninstall` take
`keep-snapshots=true`, and `vm-import` takes `new-name-label=` and `network:NAME=UUID`, for each network of the file the
one to join.

## From the window

A right click on a button of the desktop, also on the last one of a dialog or wizard, copies the lines that do the same,
with the answers as they stand. They are for any POSIX shell: where a later line needs the uuid of what an earlier one
makes, that is kept in a variable. What deletes asks first, as xe does; `--force` answers it.
"""


def page() -> str:
    """The whole page."""
    ours = [command for command in COMMANDS.values() if command.ours]
    plain = [command for command in COMMANDS.values() if not command.ours and not _is_generated(command)]
    parts = [
        _INTRODUCTION,
        "## Commands",
        _table(plain),
        "## Commands of ours",
        "No other xe has these; they need our engine.",
        _table([command for command in ours if not _is_generated(command)]),
        "## Records",
        "For each of these kinds there is `KIND-list`, `KIND-param-list uuid=`, `KIND-param-get uuid= param-name= "
        "[param-key=]`,\nand where fields can be set `KIND-param-set uuid= field=value map:key=value`, "
        "`KIND-param-add`,\n`KIND-param-remove` and `KIND-param-clear`. Fields in bold are shown by the list; those "
        "with `*` can be set.",
        *(_kind(kind) for kind in KINDS.values()),
    ]
    return "\n\n".join(part.strip("\n") for part in parts) + "\n"


def _is_generated(command: Command) -> bool:
    return any(command.name.startswith((f"{name}-param-", f"{name}-list")) for name in KINDS)


def _table(commands: Iterable[Command]) -> str:
    lines = ["| command | needs | takes | |", "|---|---|---|---|"]
    for command in sorted(commands, key=lambda command: command.name):
        optional = [name for name in (*command.optional, *command.unlisted) if not name.startswith("<")]
        if command.selects_vms:
            optional.append("**[VMs]**")
        needs = ", ".join(command.required)
        lines.append(f"| `{command.name}` | {needs} | {', '.join(optional)} | {command.about} |")
    return "\n".join(lines)


def _kind(kind: Kind) -> str:
    shown = []
    for column in kind.columns:
        name = f"**{column.name}**" if column.name in kind.defaults else column.name
        shown.append(name + (r"\*" if column.access == RW else ""))
    return f"### {kind.name}\n\n{', '.join(shown)}"


if __name__ == "__main__":
    sys.stdout.write(page())
