"""What a command of xe is: a name, its parameters, a sentence, and a function."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Final

from app.cli.invocation import Invocation

VM_SELECTORS: Final = "<vm-selectors>"

_SELECTING: Final = (
    " VMs can be specified by filtering the full list of VMs on the values of zero or more fields. For example, "
    "specifying 'uuid=<some_uuid>' will select only the VM with that uuid, and 'power-state=halted' will select only "
    "VMs whose 'power-state' field is equal to 'halted'. The special pseudo-field 'vm' matches either of name-label or "
    "uuid. Where multiple VMs are matching, the option '--multiple' must be specified to perform the operation. The "
    "full list of fields that can be matched can be obtained by the command 'xe vm-list params=all'. If no parameters "
    "to select VMs are given, the operation will be performed on all VMs."
)


@dataclass(frozen=True)
class Command:
    """A command.

    :ivar run: does it. The required parameters are there; everything else it checks itself.
    :ivar optional: parameters and flags, VM_SELECTORS for whatever selects VMs, `map:` for `map:key=value`.
    :ivar unlisted: parameters that it takes though its help, which is XenServer's, does not tell.
    :ivar common: listed by a plain `help`.
    :ivar ours: no other xe has it.
    """

    name: str
    run: Callable[[Invocation], None]
    about: str
    required: tuple[str, ...] = ()
    optional: tuple[str, ...] = ()
    common: bool = False
    unlisted: tuple[str, ...] = ()
    ours: bool = False

    @property
    def selects_vms(self) -> bool:
        """Whether the command acts on VMs that are chosen by their fields."""
        return VM_SELECTORS in self.optional

    @property
    def parameters(self) -> tuple[str, ...]:
        """The names it takes, selectors left out."""
        return tuple(name for name in (*self.required, *self.optional, *self.unlisted) if name != VM_SELECTORS)

    def help(self) -> str:
        """What `xe help` says of it."""
        about = self.about + (_SELECTING if self.selects_vms else "")
        return (
            f"command name            : {self.name}\n"
            f"        reqd params     : {', '.join(self.required)}\n"
            f"        optional params : {', '.join(self.optional)}\n"
            f"        description     : {about}\n\n\n"
        )
