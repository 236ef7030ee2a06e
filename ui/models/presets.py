"""Whether a server runs schedules as our engine does, or has XenServer's three presets and nothing more."""

from __future__ import annotations

from typing import Final

from app.api import Host
from app.client import ObjectCache

OURS: Final = "Stillframe"


def why_presets_only(cache: ObjectCache) -> str:
    """Why more than the presets cannot be had from this server, in a sentence; "" where it can."""
    for host in cache.all(Host).values():
        brand = host.software_version.get("product_brand", OURS)
        if brand != OURS:
            return f"{brand} runs schedules hourly, daily or weekly at a quarter of an hour, and keeps by number alone."
    return ""
