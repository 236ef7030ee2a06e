"""What the mutators make must be damaged, and yet pass the checksums: else the fuzzer never gets behind these."""

from __future__ import annotations

from random import Random

import pytest
from lxml import etree

from app.xva import tar
from app.xva.compression import kind_of
from tests.fuzz import mutators
from tests.fuzz.targets import SEEDS, TARGETS


def blind(random: Random) -> mutators.Change:
    """In place of libFuzzer's."""

    def change(data: bytes, at_most: int) -> bytes:
        whole = bytearray(data or b"\0")
        whole[random.randrange(len(whole))] = random.randrange(256)
        return bytes(whole[:at_most])

    return change


def bred(target: str, seed: str, count: int) -> list[bytes]:
    """A line of descendants, each of the one before; every few it begins anew."""
    random = Random(1)
    data = first = (SEEDS / target / seed).read_bytes()
    found = []
    for number in range(count):
        data = TARGETS[target].mutate(first if number % 5 == 0 else data, 100_000, random, blind(random))
        found.append(data)
    return found


@pytest.mark.parametrize("seed", ["plain", "sha1", "memory", "gzip", "gzip-members", "zstd"])
def test_archives_stay_archives(seed: str) -> None:
    made = bred("archive", seed, 40)
    assert len(set(made)) > 30
    kind = kind_of((SEEDS / "archive" / seed).read_bytes())
    whole = 0
    for data in made:
        members = mutators.apart(mutators.unpacked(data)) if kind_of(data) == kind else []
        try:
            whole += bool([tar.unpack(member.header) for member in members])
        except Exception:
            continue
    assert whole > 10


@pytest.mark.parametrize(("target", "seed"), [("description", "network"), ("appliance", "two-disks")])
def test_documents_stay_documents(target: str, seed: str) -> None:
    made = bred(target, seed, 40)
    assert len(set(made)) > 30
    whole = 0
    for data in made:
        try:
            whole += len(etree.fromstring(data)) > 0
        except etree.XMLSyntaxError:
            continue
    assert whole > 20


def test_images_get_behind_their_sums() -> None:
    """Of a VHD whose sum is wrong nothing more is read."""
    sound = 0
    for data in bred("image", "vpc", 40):
        footer = data[-512:]
        sound += int.from_bytes(footer[64:68]) == ~(sum(footer) - sum(footer[64:68])) & 0xFFFF_FFFF
    assert sound > 20
