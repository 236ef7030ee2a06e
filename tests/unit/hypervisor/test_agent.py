"""The conversation with a guest's agent: good manners, and every bad one we could think of."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import pytest

from app.hypervisor import agent as agent_module
from app.hypervisor.agent import ANSWER_LIMIT, Agent, plain
from app.hypervisor.driver import DriverError
from tests.support.fake_agent import SYNC, FakeAgent, endless, fake_agent, hang_up, saying, silent

SOON = 0.2
"""Seconds for answers that never come."""


@pytest.fixture
def channel(data_dir: Path) -> Path:
    data_dir.mkdir()
    return data_dir / "agent"


@pytest.fixture
async def inside(channel: Path) -> AsyncIterator[FakeAgent]:
    async with fake_agent(channel) as inside:
        yield inside


@pytest.fixture
async def agent(channel: Path, inside: FakeAgent) -> AsyncIterator[Agent]:
    agent = Agent(channel)
    yield agent
    agent.close()


async def fails(agent: Agent, words: str, *, timeout: float = 30.0) -> DriverError:
    """A ping that fails with these words, and after it a good one: nothing bad lasts."""
    with pytest.raises(DriverError, match=words) as caught:
        await agent.ask("guest-ping", timeout=timeout)
    assert caught.value.cause == "agent"
    return caught.value


async def recovers(agent: Agent, inside: FakeAgent) -> None:
    inside.manners.clear()
    inside.greeting = b""
    assert await agent.ask("guest-ping", timeout=30) == {}


async def test_questions_are_answered_over_one_connection(agent: Agent, inside: FakeAgent) -> None:
    inside.results["guest-get-time"] = 1700000000
    assert await agent.ask("guest-ping", timeout=30) == {}
    assert await agent.ask("guest-get-time", timeout=30) == 1700000000
    assert (inside.asked, inside.connections) == (["guest-ping", "guest-get-time"], 1)


async def test_questions_at_once_wait_for_each_other(agent: Agent, inside: FakeAgent) -> None:
    inside.results |= {f"c{n}": n for n in range(20)}
    answers = await asyncio.gather(*(agent.ask(f"c{n}", timeout=30) for n in range(20)))
    assert answers == list(range(20))
    assert inside.connections == 1


async def test_a_refusal_keeps_the_connection(agent: Agent, inside: FakeAgent) -> None:
    with pytest.raises(DriverError, match="refused: The command nonsense has not been found") as caught:
        await agent.ask("nonsense", timeout=30)
    assert (caught.value.cause, caught.value.command) == ("agent", "nonsense")
    await recovers(agent, inside)
    assert inside.connections == 1


async def test_nobody_there(channel: Path) -> None:
    await fails(Agent(channel), "cannot be reached")


async def test_an_answer_that_comes_too_late_is_not_the_next_ones(agent: Agent, inside: FakeAgent) -> None:
    inside.manners["guest-ping"] = silent
    await fails(agent, "in time", timeout=SOON)
    inside.greeting = b'{"return": "the late answer"}\n{"return": "and one more"}\n'
    inside.manners.clear()
    assert await agent.ask("guest-ping", timeout=30) == {}
    assert inside.connections == 2


async def test_a_cancelled_question_leaves_nothing_behind(agent: Agent, inside: FakeAgent) -> None:
    inside.manners["guest-ping"] = silent
    asking = asyncio.ensure_future(agent.ask("guest-ping", timeout=30))
    while not inside.asked:  # noqa: ASYNC110
        await asyncio.sleep(0.01)
    asking.cancel()
    with pytest.raises(asyncio.CancelledError):
        await asking
    await recovers(agent, inside)
    assert inside.connections == 2


@pytest.mark.parametrize(
    ("data", "words"),
    [
        (b"no JSON at all\n", "nonsense"),
        (b"\xfe\xfd\x00 binary\n", "nonsense"),
        (b"[1, 2]\n", "not an object"),
        (b"{}\n", "has no result"),
        (b"[" * 100_000 + b"\n", "too deeply"),
        (b'{"return": ' + b"9" * 10_000 + b"}\n", "nonsense"),
        (b'{"return": "' + b"x" * ANSWER_LIMIT + b'"}\n', "too long"),
    ],
)
async def test_nonsense(agent: Agent, inside: FakeAgent, data: bytes, words: str) -> None:
    inside.manners["guest-ping"] = saying(data)
    await fails(agent, words)
    await recovers(agent, inside)


async def test_an_answer_without_end_is_given_up_early(agent: Agent, inside: FakeAgent) -> None:
    inside.manners["guest-ping"] = endless
    await fails(agent, "too long")
    await recovers(agent, inside)


@pytest.mark.parametrize("error", [{"desc": "a\x1b[31m\nb"}, "a\x1b[31m\nb"])
async def test_words_of_a_refusal_are_made_harmless(agent: Agent, inside: FakeAgent, error: object) -> None:
    async def refuse(one: FakeAgent, _question: dict[str, Any]) -> None:
        await one.say({"error": error})

    inside.manners["guest-ping"] = refuse
    assert str(await fails(agent, "refused")) == "The guest's agent refused: a [31m b."


async def test_a_channel_that_ends(agent: Agent, inside: FakeAgent) -> None:
    inside.manners["guest-ping"] = hang_up
    await fails(agent, "cannot be reached")
    await recovers(agent, inside)


async def test_a_channel_that_ended_between_two_questions(agent: Agent, inside: FakeAgent) -> None:
    await agent.ask("guest-ping", timeout=30)
    await hang_up(inside, {})
    await asyncio.sleep(0.05)
    await recovers(agent, inside)


# Before the first question


@pytest.mark.parametrize("manner", [silent, endless])
async def test_nobody_synchronises(
    agent: Agent, inside: FakeAgent, manner: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(agent_module, "GREETING_SECONDS", SOON)
    inside.manners[SYNC] = manner
    await fails(agent, "in time")
    assert inside.asked == [], "the command was not even sent"
    monkeypatch.undo()
    await recovers(agent, inside)


async def test_old_answers_of_any_length_are_skipped(agent: Agent, inside: FakeAgent) -> None:
    inside.greeting = b"x" * (3 * ANSWER_LIMIT) + b'\n{"return": {}}\n\xff{"return": 12}\n\xff{"error": {}}\n'
    assert await agent.ask("guest-ping", timeout=30) == {}


async def test_a_wrong_number_is_not_taken(agent: Agent, inside: FakeAgent, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(agent_module, "GREETING_SECONDS", SOON)
    inside.manners[SYNC] = saying(b'\xff{"return": 7}\n')
    await fails(agent, "in time")


async def test_nonsense_as_the_answer_to_the_greeting(agent: Agent, inside: FakeAgent) -> None:
    inside.manners[SYNC] = saying(b"\xff\xff\xff\n")
    await fails(agent, "nonsense|in time")


def test_plain_text() -> None:
    assert plain("Debian\x00 12\r\n") == "Debian  12"
    assert plain("x" * 1000, 10) == "x" * 10
    assert plain(12) == plain(None) == plain(["a"]) == ""
