"""The lock on a snapshot, as the engine keeps it: who forbade to delete it, why, and until when."""

from __future__ import annotations

import json
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Final

from app.api import VM
from ui.base.sizes_and_dates import date

LOCK_KEY: Final = "stillframe.lock"
"""In a snapshot's other_config, as JSON: "reason", "owner", "until" (ISO, "" for no end), "since"."""


@dataclass(frozen=True, slots=True)
class Lock:
    """``until`` is None for a lock without an end, ``since`` where that was not noted."""

    reason: str
    owner: str
    until: datetime | None
    since: datetime | None = None

    def by_whom(self) -> str:
        """`` by Ada until 3 Dec 2026``, to follow "locked"."""
        who = f" by {self.owner}" if self.owner else ""
        return f"{who} until {date(self.until)}" if self.until is not None else who


def lock_of(snapshot: VM) -> Lock | None:
    """The lock of a snapshot; None where it has none, or one that cannot be read."""
    text = snapshot.other_config.get(LOCK_KEY, "")
    if not text:
        return None
    try:
        kept = json.loads(text)
        until, since = (_moment(kept.get(key)) for key in ("until", "since"))
        return Lock(str(kept.get("reason", "")).rstrip("."), str(kept.get("owner", "")), until, since)
    except (ValueError, KeyError, AttributeError, TypeError):
        return None


def _moment(text: str | None) -> datetime | None:
    """:raise ValueError: it is not a date."""
    if not text:
        return None
    found = datetime.fromisoformat(text)
    return found if found.tzinfo is not None else found.replace(tzinfo=UTC)
