"""Setting processors and memory of a Halted VM, in an order that is never refused half-way."""

from __future__ import annotations

from dataclasses import dataclass

from app.api import VM, Ref
from app.client import Session


@dataclass(frozen=True, slots=True)
class Wanted:
    """What a VM's properties are to be; memory in bytes."""

    name: str
    description: str
    tags: frozenset[str]
    cpus: int
    memory: int


async def set_cpus(session: Session, ref: Ref[VM], cpus: int, most_now: int) -> None:
    """Set both numbers in the order that keeps the number at startup within the maximum."""
    if cpus > most_now:
        await session.VM.set_VCPUs_max(ref, cpus)
        await session.VM.set_VCPUs_at_startup(ref, cpus)
    else:
        await session.VM.set_VCPUs_at_startup(ref, cpus)
        await session.VM.set_VCPUs_max(ref, cpus)


async def set_memory(session: Session, ref: Ref[VM], memory: int) -> None:
    """Give it this much memory, in bytes: no ballooning, so all limits agree."""
    await session.VM.set_memory_limits(ref, memory, memory, memory, memory)
