"""Context.leave_message: messages are kept within bounds, and the newest ones stay."""

from __future__ import annotations

from datetime import timedelta

import pytest

from app.api import Message, VMCalls
from app.ops.context import utc_now
from tests.support.engine import Bench

KEPT = 200


async def test_the_oldest_messages_go(bench: Bench, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("app.ops.context.MESSAGES_KEPT", KEPT)
    context, start = bench.engine.context, utc_now()
    # Not left in the order of their times: what counts is when they happened.
    order = [number * 7 % 500 for number in range(500)]
    for number in order:
        with bench.store.transaction() as tx:
            message = Message(name=str(number), timestamp=start + timedelta(seconds=number))
            context.leave_message(tx, message)
        assert len(bench.store.all(Message)) <= KEPT
    left = sorted(int(message.name) for message in bench.store.all(Message).values())
    # A hundredth more than needed goes at once, so that not each new message has to look for the oldest.
    assert KEPT - KEPT // 100 - 1 <= len(left) <= KEPT
    late = [number for number in order if number not in left]
    assert max(left) == 499
    assert min(left) >= 499 - 2 * KEPT
    assert len(late) == 500 - len(left)


async def test_messages_of_operations_are_counted_too(bench: Bench, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("app.ops.context.MESSAGES_KEPT", 3)
    vm = await bench.sample_vm()
    for number in range(5):
        await bench.run(VMCalls.snapshot, vm, f"snap {number}")
    bodies = [message.body for message in bench.store.all(Message).values()]
    assert len(bodies) <= 3
    assert any("snap 4" in body for body in bodies)
    assert not any("snap 0" in body or "snap 1" in body for body in bodies)
