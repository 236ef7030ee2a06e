"""Whether a file fits: refused, warned of, or well."""

from __future__ import annotations

from pathlib import Path

import pytest

from app.client import exchange
from tests.ui.machines.world import GIB, MIB
from ui.exchange.room import FAT_LIMIT, Place, judge, place_of

HERE = Path("/srv")


@pytest.mark.parametrize(
    ("place", "needed", "compressed", "tone", "refuses"),
    [
        (Place(HERE, free=10 * GIB), 2 * GIB, False, "good", False),
        (Place(HERE, free=10 * GIB), 10 * GIB - 50 * MIB, False, "attention", False),
        (Place(HERE, free=10 * GIB), 11 * GIB, False, "bad", True),
        (Place(HERE, free=10 * GIB), 11 * GIB, True, "attention", False),
        (Place(HERE, free=100 * GIB, largest_file=FAT_LIMIT), 5 * GIB, False, "bad", True),
        (Place(HERE, free=100 * GIB, largest_file=FAT_LIMIT), 5 * GIB, True, "attention", False),
        (Place(HERE, free=100 * GIB, largest_file=FAT_LIMIT), 3 * GIB, False, "good", False),
        (Place(HERE), 3 * GIB, False, "info", False),
        (Place(HERE, problem="You may not write into this folder."), 0, True, "bad", True),
    ],
)
def test_a_verdict(place: Place, needed: int, compressed: bool, tone: str, refuses: bool) -> None:
    verdict = judge(place, needed, compressed=compressed)
    assert (verdict.tone, verdict.refuses) == (tone, refuses)
    assert verdict.words.endswith(".")


def test_a_folder_that_is_not_there(tmp_path: Path) -> None:
    assert place_of(tmp_path / "nowhere").problem == "There is no such folder."


def test_a_folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(exchange, "free_bytes", lambda _folder: 7 * GIB)
    place = place_of(tmp_path)
    assert (place.problem, place.free, place.largest_file) == ("", 7 * GIB, None)
    assert place.total


def test_what_nobody_tells_is_not_known(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(_folder: Path) -> int:
        raise OSError("no answer")

    monkeypatch.setattr(exchange, "free_bytes", refuse)
    assert place_of(tmp_path).free is None
