"""Freezing, thawing and facts, with a well-behaved agent, an old one and a hostile one."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import pytest

from app.hypervisor import agent_commands
from app.hypervisor.agent import Agent
from app.hypervisor.driver import AgentFacts, DriverError, Interface
from tests.support.fake_agent import FakeAgent, fake_agent, silent

COMMANDS = [
    "guest-fsfreeze-freeze",
    "guest-fsfreeze-thaw",
    "guest-fsfreeze-status",
    "guest-get-osinfo",
    "guest-get-host-name",
    "guest-network-get-interfaces",
]
DEBIAN = {"id": "debian", "pretty-name": "Debian GNU/Linux 12", "version-id": "12", "kernel-release": "6.1.0-18-amd64"}


@pytest.fixture
async def inside(data_dir: Path) -> AsyncIterator[FakeAgent]:
    data_dir.mkdir()
    async with fake_agent(data_dir / "agent") as inside:
        yield inside


@pytest.fixture
async def agent(data_dir: Path, inside: FakeAgent) -> AsyncIterator[Agent]:
    agent = Agent(data_dir / "agent")
    yield agent
    agent.close()


def info(*commands: str) -> dict[str, Any]:
    listed = [{"name": name, "enabled": True, "success-response": True} for name in commands]
    return {"version": "7.2.22", "supported_commands": listed}


async def test_freeze_and_thaw(agent: Agent, inside: FakeAgent) -> None:
    inside.results |= {"guest-fsfreeze-freeze": 2, "guest-fsfreeze-thaw": 2, "guest-fsfreeze-status": "frozen"}
    assert (await agent_commands.freeze(agent, 30)).file_systems == 2
    assert await agent_commands.is_frozen(agent)
    assert await agent_commands.thaw(agent, 30) == 2
    inside.results["guest-fsfreeze-status"] = "thawed"
    assert not await agent_commands.is_frozen(agent)


async def test_a_freeze_that_takes_too_long(agent: Agent, inside: FakeAgent) -> None:
    inside.manners["guest-fsfreeze-freeze"] = silent
    with pytest.raises(DriverError, match="in time"):
        await agent_commands.freeze(agent, 0.2)


@pytest.mark.parametrize("count", [None, "2", -1, True, 1.5, [1]])
async def test_a_count_that_is_none(agent: Agent, inside: FakeAgent, count: object) -> None:
    inside.results["guest-fsfreeze-freeze"] = count
    with pytest.raises(DriverError, match="nonsense"):
        await agent_commands.freeze(agent, 30)


async def test_thaw_is_repeated_until_it_succeeds(
    agent: Agent, inside: FakeAgent, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The first is not answered, the second refused."""
    monkeypatch.setattr(agent_commands, "_THAW_SECONDS", 0.2)
    tries = 0

    async def at_last(one: FakeAgent, question: dict[str, Any]) -> None:
        nonlocal tries
        tries += 1
        if tries == 2:
            await one.say({"error": {"desc": "still freezing"}})
        elif tries == 3:
            await one.say({"return": 1})

    inside.manners["guest-fsfreeze-thaw"] = at_last
    assert await agent_commands.thaw(agent, 30) == 1
    assert (tries, inside.connections) == (3, 2)


async def test_a_thaw_that_never_succeeds_says_why(agent: Agent, inside: FakeAgent) -> None:
    async def refuse(one: FakeAgent, question: dict[str, Any]) -> None:
        await one.say({"error": {"desc": "a reason"}})

    inside.manners["guest-fsfreeze-thaw"] = refuse
    with pytest.raises(DriverError, match="a reason"):
        await agent_commands.thaw(agent, 0.5)


async def test_a_cancelled_thaw_stays_cancelled(agent: Agent, inside: FakeAgent) -> None:
    inside.manners["guest-fsfreeze-thaw"] = silent
    thawing = asyncio.ensure_future(agent_commands.thaw(agent, 30))
    while not inside.asked:  # noqa: ASYNC110
        await asyncio.sleep(0.01)
    thawing.cancel()
    with pytest.raises(asyncio.CancelledError):
        await thawing


async def test_facts(agent: Agent, inside: FakeAgent) -> None:
    inside.results |= {
        "guest-info": info(*COMMANDS),
        "guest-get-osinfo": DEBIAN,
        "guest-get-host-name": {"host-name": "web1"},
        "guest-network-get-interfaces": [
            {"name": "lo", "ip-addresses": [{"ip-address": "127.0.0.1", "ip-address-type": "ipv4", "prefix": 8}]},
            {
                "name": "eth0",
                "hardware-address": "52:54:00:AB:CD:EF",
                "ip-addresses": [{"ip-address": "10.0.2.15"}, {"ip-address": "fe80::1"}],
            },
        ],
    }
    system = {"name": "Debian GNU/Linux 12", "distro": "debian", "version": "12", "uname": "6.1.0-18-amd64"}
    assert await agent_commands.facts(agent) == AgentFacts(
        version="7.2.22",
        can_freeze=True,
        system={**system, "hostname": "web1"},
        interfaces=(Interface("", ("127.0.0.1",)), Interface("52:54:00:ab:cd:ef", ("10.0.2.15", "fe80::1"))),
    )


async def test_an_old_agent_is_not_asked_what_it_does_not_know(agent: Agent, inside: FakeAgent) -> None:
    found = info("guest-ping", "guest-fsfreeze-thaw")
    found["supported_commands"].append({"name": "guest-fsfreeze-freeze", "enabled": False})
    inside.results["guest-info"] = found
    assert await agent_commands.facts(agent) == AgentFacts(version="7.2.22", can_freeze=False)
    assert inside.asked == ["guest-info"]


@pytest.mark.parametrize(
    "nonsense",
    [
        None,
        12,
        "text",
        [],
        [None, 3, {"name": []}],
        {"ip-addresses": 3},
        [{"ip-addresses": [{"ip-address": "<b>"}, 4]}],
    ],
)
async def test_hostile_facts_do_no_harm(agent: Agent, inside: FakeAgent, nonsense: object) -> None:
    inside.results |= dict.fromkeys(COMMANDS, nonsense)
    inside.results["guest-info"] = nonsense
    found = await agent_commands.facts(agent)
    assert (found.version, found.can_freeze, found.system) == ("", False, {})
    inside.results["guest-info"] = {"version": ["x"], "supported_commands": [{"name": name} for name in COMMANDS]}
    found = await agent_commands.facts(agent)
    assert (found.version, found.system) == ("", {})
    assert all(interface.addresses == () for interface in found.interfaces)


async def test_there_is_an_end_to_interfaces_and_words(agent: Agent, inside: FakeAgent) -> None:
    inside.results["guest-info"] = info(*COMMANDS)
    many = [{"hardware-address": "x" * 99, "ip-addresses": [{"ip-address": "::1"}] * 90}] * 90
    inside.results["guest-network-get-interfaces"] = many
    inside.results["guest-get-osinfo"] = {"pretty-name": "y" * 9999, "id": "\x1b[2J"}
    inside.results["guest-get-host-name"] = {"host-name": 5}
    found = await agent_commands.facts(agent)
    assert len(found.interfaces) == 16
    assert {len(interface.addresses) for interface in found.interfaces} == {8}
    assert {len(interface.mac) for interface in found.interfaces} == {17}
    assert found.system == {"name": "y" * 200, "distro": "[2J"}
