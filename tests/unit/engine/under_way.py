"""Messages that are declared first and implemented next: this set only shrinks, to nothing."""

from __future__ import annotations

UNDER_WAY = {
    "SR.coalesce",
    "SR.get_pending_merges",
}
