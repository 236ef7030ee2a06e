"""How many files the process may have open: connections are files, and so are disks and the sockets of guests."""

from __future__ import annotations

import sys
from typing import Final

if sys.platform != "win32":
    import resource

ENOUGH: Final = 16_384


def allow_many() -> int:
    """Raise the limit as far as it is ours to raise, and answer it; 0 where there is none.

    Strangers can open connections before anybody looks at them. They must not use up what snapshots need.
    """
    if sys.platform == "win32":
        return 0
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    wanted = ENOUGH if hard == resource.RLIM_INFINITY else min(ENOUGH, hard)
    if soft != resource.RLIM_INFINITY and soft < wanted:
        resource.setrlimit(resource.RLIMIT_NOFILE, (wanted, hard))
        return wanted
    return soft
