"""Where consoles are found: a path in the engine's records, and an address for clients on the network.

Which address leads here only the client knows, so it is the one that the client has used.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import msgspec

from app.api import Console, EventBatch


def located(method: str, result: Any, url: str) -> Any:
    """The result with addresses that begin with `url`; "" leaves paths."""
    if not url:
        return result
    if method == "console.get_location":
        return f"{url}{result}"
    if isinstance(result, EventBatch):
        if not any(isinstance(event.snapshot, Console) for event in result.events):
            return result
        events = tuple(_replaced(event, snapshot=_console(event.snapshot, url)) for event in result.events)
        return _replaced(result, events=events)
    if method.startswith("console.") and isinstance(result, Mapping):
        return {ref: _console(record, url) for ref, record in result.items()}
    return _console(result, url)


def _console(record: Any, url: str) -> Any:
    return _replaced(record, location=f"{url}{record.location}") if isinstance(record, Console) else record


def _replaced(value: Any, **fields: Any) -> Any:
    return msgspec.structs.replace(value, **fields)
