"""What we ask of the agent inside a guest: to freeze and thaw its file systems, and what the guest is."""

from __future__ import annotations

import asyncio
import ipaddress
import time
from typing import Any

from app.hypervisor.agent import Agent, plain
from app.hypervisor.driver import AgentFacts, DriverError, FreezeFacts, Interface

_QUESTION_SECONDS = 5.0
_THAW_SECONDS = 2.0
"""For one try to thaw: an agent that is still freezing answers nothing meanwhile."""
_PAUSE = 0.1
_MOST_INTERFACES = 16
_MOST_ADDRESSES = 8
_MOST_COMMANDS = 1000
_SYSTEM = {"name": "pretty-name", "distro": "id", "version": "version-id", "uname": "kernel-release"}


async def freeze(agent: Agent, budget: float) -> FreezeFacts:
    """See `Driver.freeze`."""
    try:
        await agent.greet()  # before the clock starts: it may take longer than the freezing
    except DriverError as error:
        raise DriverError(error.message, cause="state", command=error.command, detail=error.detail) from error
    since = time.monotonic()
    return FreezeFacts(_count(await agent.ask("guest-fsfreeze-freeze", timeout=budget)), since)


async def thaw(agent: Agent, timeout: float) -> int:
    """See `Driver.thaw`."""
    last = DriverError("The guest's agent did not answer in time.", cause="agent")
    try:
        async with asyncio.timeout(timeout):
            while True:
                try:
                    return _count(await agent.ask("guest-fsfreeze-thaw", timeout=_THAW_SECONDS))
                except DriverError as error:
                    last = error
                    await asyncio.sleep(_PAUSE)
    except TimeoutError as late:
        raise last from late


async def is_frozen(agent: Agent) -> bool:
    """See `Driver.is_frozen`."""
    return bool(await agent.ask("guest-fsfreeze-status", timeout=_QUESTION_SECONDS) == "frozen")


async def facts(agent: Agent) -> AgentFacts:
    """See `Driver.agent_facts`."""
    info = _fields(await agent.ask("guest-info", timeout=_QUESTION_SECONDS))
    offered = _offered(info.get("supported_commands"))
    system = _fields(await _optional(agent, offered, "guest-get-osinfo"))
    host = _fields(await _optional(agent, offered, "guest-get-host-name"))
    found = {ours: plain(system.get(theirs)) for ours, theirs in _SYSTEM.items()}
    found["hostname"] = plain(host.get("host-name"))
    return AgentFacts(
        version=plain(info.get("version")),
        can_freeze={"guest-fsfreeze-freeze", "guest-fsfreeze-thaw"} <= offered,
        system={key: value for key, value in found.items() if value},
        interfaces=_interfaces(await _optional(agent, offered, "guest-network-get-interfaces")),
    )


async def _optional(agent: Agent, offered: frozenset[str], command: str) -> object:
    """The answer to a command that an older or restricted agent may not have; None then."""
    return await agent.ask(command, timeout=_QUESTION_SECONDS) if command in offered else None


def _offered(commands: object) -> frozenset[str]:
    """The names of the commands that are enabled."""
    listed = commands[:_MOST_COMMANDS] if isinstance(commands, list) else []
    known = [one for one in listed if isinstance(one, dict) and one.get("enabled") is not False]
    return frozenset(name for one in known if isinstance(name := one.get("name"), str))


def _interfaces(answer: object) -> tuple[Interface, ...]:
    found = []
    for one in answer[:_MOST_INTERFACES] if isinstance(answer, list) else []:
        fields = _fields(one)
        listed = fields.get("ip-addresses")
        texts = [_fields(a).get("ip-address") for a in listed[:_MOST_ADDRESSES]] if isinstance(listed, list) else []
        addresses = tuple(text for text in texts if isinstance(text, str) and _is_address(text))
        found.append(Interface(plain(fields.get("hardware-address"), 17).lower(), addresses))
    return tuple(found)


def _is_address(text: str) -> bool:
    try:
        ipaddress.ip_address(text)
    except ValueError:
        return False
    return len(text) <= 64


def _fields(answer: object) -> dict[str, Any]:
    return answer if isinstance(answer, dict) else {}


def _count(answer: object) -> int:
    """:raise DriverError: "agent": no number."""
    if not isinstance(answer, int) or isinstance(answer, bool) or answer < 0:
        raise DriverError("The guest's agent answered nonsense: no number of file systems.", cause="agent")
    return answer
