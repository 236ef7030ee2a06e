"""What a XenServer toolstack (API 2.23) sent, byte for byte: tests/data/wire.json.gz and records.json.gz.

The recordings' own README says how they were made; user `root`, password `xenroot`.
"""

from __future__ import annotations

import gzip
import json
from functools import cache
from pathlib import Path
from typing import Any, Final

DATA: Final = Path(__file__).parents[1] / "data"


@cache
def exchanges() -> dict[str, tuple[bytes, bytes]]:
    """Request and response by name, with their HTTP heads."""
    found = json.loads(gzip.decompress((DATA / "wire.json.gz").read_bytes()))
    return {
        name: (request.encode("latin-1"), response.encode("latin-1")) for name, (request, response) in found.items()
    }


def response(name: str) -> bytes:
    """A response by the beginning of its name, as `140`."""
    (found,) = [name_ for name_ in exchanges() if name_.startswith(f"{name}-") or name_ == name]
    return exchanges()[found][1]


def body_of(message: bytes) -> bytes:
    """A request's or response's body."""
    return message.partition(b"\r\n\r\n")[2]


@cache
def records() -> dict[str, dict[str, dict[str, Any]]]:
    """All records by class and reference, with XML-RPC's types: whole numbers and dates are text."""
    found: dict[str, dict[str, dict[str, Any]]] = json.loads(gzip.decompress((DATA / "records.json.gz").read_bytes()))
    return found
