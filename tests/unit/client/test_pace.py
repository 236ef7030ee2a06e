"""What a transfer tells of itself."""

from __future__ import annotations

from app.client.pace import Pace
from app.client.transfer_types import Progress

MIB = 1 << 20


def test_a_stream_of_unknown_length_is_estimated_by_its_share() -> None:
    told: list[Progress] = []
    pace = Pace(told.append, "writing", None)
    seen: list[int | None] = []
    for octets, share in ((MIB, 0.5), (99 * MIB, 0.01), (0, 0.25), (0, 1.5)):
        pace.add(octets)
        pace.estimate(share)
        seen.append(pace.total)
    assert seen == [None, None, 400 * MIB, 100 * MIB]
    pace.finish()
    assert (told[-1].done, told[-1].total, told[-1].seconds_left) == (100 * MIB, 100 * MIB, 0.0)
