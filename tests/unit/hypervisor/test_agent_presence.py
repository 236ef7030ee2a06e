"""Whether a guest has an agent: told by QEMU, or asked where it does not tell."""

from __future__ import annotations

from pathlib import Path
from types import SimpleNamespace
from typing import Any, cast

import pytest

from app.hypervisor.argv import AGENT_CHANNEL, AGENT_PORT
from app.hypervisor.driver import GuestEvent
from app.hypervisor.guest import Guest
from app.hypervisor.layout import GuestRecord, Layout
from app.hypervisor.process import Process

RECORD = GuestRecord("u", "n", (), "pc", "max", "tcg", "7.2.22", run="/nowhere")


@pytest.fixture
def told() -> list[GuestEvent]:
    return []


@pytest.fixture
def guest(told: list[GuestEvent], tmp_path: Path) -> Guest:
    guest = Guest(RECORD, Layout(tmp_path), cast("Process", SimpleNamespace()), told.append)
    guest.speak()
    return guest


def changed(guest: Guest, port: str, *, is_open: bool) -> None:
    guest._on_event({"event": "VSERPORT_CHANGE", "data": {"id": port, "open": is_open}})


def answering(guest: Guest, monkeypatch: pytest.MonkeyPatch, *, is_open: bool) -> None:
    channels = [{"label": "serial0", "frontend-open": True}, {"label": AGENT_CHANNEL, "frontend-open": is_open}]

    async def execute(command: str, *_: Any, **__: Any) -> Any:
        assert command == "query-chardev"
        return channels

    monkeypatch.setattr(guest, "execute", execute)


def test_qemu_tells(guest: Guest, told: list[GuestEvent]) -> None:
    changed(guest, "another", is_open=True)
    assert told == []
    changed(guest, AGENT_PORT, is_open=True)
    changed(guest, AGENT_PORT, is_open=True)
    assert guest.has_agent
    changed(guest, AGENT_PORT, is_open=False)
    assert [(event.kind, event.reason) for event in told] == [("agent", "connected"), ("agent", "disconnected")]


async def test_asked(guest: Guest, told: list[GuestEvent], monkeypatch: pytest.MonkeyPatch) -> None:
    """As of a guest whose port has no id: QEMU sends no events about it."""
    answering(guest, monkeypatch, is_open=True)
    assert await guest.look_for_agent() and guest.has_agent
    assert await guest.look_for_agent()
    answering(guest, monkeypatch, is_open=False)
    assert not await guest.look_for_agent()
    assert [event.reason for event in told] == ["connected", "disconnected"]


def test_one_that_was_there_before_is_introduced(guest: Guest, told: list[GuestEvent]) -> None:
    """Restored from memory: the agent was in it."""
    guest._silent = True
    changed(guest, AGENT_PORT, is_open=True)
    assert told == []
    guest.introduce("restored")
    assert [(event.kind, event.reason) for event in told] == [("paused", "restored"), ("agent", "connected")]
