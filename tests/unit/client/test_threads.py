"""Work in threads that somebody stops waiting for: it is waited for to its end, and what it made is undone."""

from __future__ import annotations

import asyncio
import threading

import pytest

from app.client.threads import to_its_end


async def test_what_was_made_while_nobody_waited_any_more_is_undone() -> None:
    begun, go, undone = threading.Event(), threading.Event(), list[str]()

    def work() -> str:
        begun.set()
        go.wait(20)
        return "made"

    waiting = asyncio.ensure_future(to_its_end(work, undone.append))
    await asyncio.to_thread(begun.wait, 20)
    waiting.cancel()
    await asyncio.sleep(0)
    assert not waiting.done()
    go.set()
    with pytest.raises(asyncio.CancelledError):
        await waiting
    assert undone == ["made"]


async def test_what_is_waited_for_stays_and_a_failure_is_told() -> None:
    undone = list[int]()
    assert await to_its_end(lambda: 7, undone.append) == 7
    with pytest.raises(ZeroDivisionError):
        await to_its_end(lambda: 1 // 0, undone.append)
    assert undone == []
