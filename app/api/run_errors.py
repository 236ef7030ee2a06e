"""The body of VMSS_SNAPSHOT_FAILED: a line for each VM, in the form that XenCenter reads, written and read here."""

from __future__ import annotations

import ast
import re
from dataclasses import dataclass
from typing import Final

from app.api.failure import Failure

_LINE: Final = re.compile(r"VM: (?P<vm>.*) UUID: (?P<uuid>\S*) Error:(?P<error>\[.*\]),?")


@dataclass(frozen=True, slots=True)
class VMError:
    """Why a run could not snapshot one VM."""

    vm: str
    uuid: str
    failure: Failure


def line_of(vm: str, uuid: str, failure: Failure) -> str:
    """``VM: web UUID: … Error:['VM_BAD_POWER_STATE','…'],``."""
    return f"VM: {vm} UUID: {uuid} Error:[{','.join(repr(part) for part in failure.description())}],"


def read_errors(body: str) -> tuple[VMError, ...]:
    """The VMs that a body names; lines that are not of this form are passed over."""
    return tuple(error for line in body.splitlines() if (error := _read(line)) is not None)


def _read(line: str) -> VMError | None:
    match = _LINE.fullmatch(line.strip())
    if match is None:
        return None
    try:
        parts = ast.literal_eval(match["error"])
    except (ValueError, SyntaxError, MemoryError, RecursionError):
        return None
    if not parts or not all(isinstance(part, str) for part in parts):
        return None
    return VMError(match["vm"], match["uuid"], Failure(parts[0], *parts[1:]))
