"""Sizes and depths from records, with every hole that records can have."""

from __future__ import annotations

from pathlib import Path

import pytest
from PySide6.QtWidgets import QApplication

from app.api import NULL, SR, VBD, VDI, VM, Ref, VBDType
from app.client import Delta
from tests.ui.snapshots.estate import GIB, Estate
from ui.models.chain import ChainFacts, Chains, disks_of, free_space, unmatched_disks
from ui.snapshots.words import health, summary


@pytest.fixture
def chained(qapp: QApplication, tmp_path: Path) -> Estate:
    """One disk of 3 GiB over b (1 GiB) over a (2 GiB)."""
    estate = Estate(tmp_path, disks=1)
    estate.snapshot("a", own=2 * GIB, hours=20)
    estate.snapshot("b", parent="a", own=GIB, hours=10)
    estate.stand_on("b")
    return estate


def facts(estate: Estate, ref: str) -> ChainFacts:
    return Chains(estate.cache).of(estate.record(ref))


def image(estate: Estate, ref: str) -> str:
    """The reference of a VM's only disk."""
    return next(str(vbd.VDI) for vbd in estate.cache.all(VBD).values() if ref == vbd.VM)


def test_own_is_the_disks_and_shared_what_they_build_on(chained: Estate) -> None:
    assert facts(chained, "a") == ChainFacts(disks=1, own=2 * GIB, shared=0, depth=1)
    assert facts(chained, "b") == ChainFacts(disks=1, own=GIB, shared=2 * GIB, depth=2)
    assert facts(chained, "vm") == ChainFacts(disks=1, own=3 * GIB, shared=3 * GIB, depth=3)


def test_a_hidden_base_copy_is_part_of_the_chain(chained: Estate) -> None:
    chained.engine.put(VDI(SR=Ref("sr"), location="base", physical_utilisation=GIB, managed=False), "hidden")
    chained.engine.change(VDI, image(chained, "a"), sm_config={"vhd-parent": "base"})
    assert facts(chained, "b") == ChainFacts(disks=1, own=GIB, shared=3 * GIB, depth=3)


def test_memory_counts_as_own(chained: Estate) -> None:
    chained.engine.put(VDI(SR=Ref("sr"), location="ram", physical_utilisation=GIB), "ram")
    chained.engine.change(VM, "b", suspend_VDI=Ref("ram"))
    assert facts(chained, "b").own == 2 * GIB


def test_unknown_sizes_count_as_nothing(chained: Estate) -> None:
    chained.engine.change(VDI, image(chained, "b"), physical_utilisation=-1)
    assert facts(chained, "b").own == 0


def test_a_missing_image_makes_the_chain_unhealthy(chained: Estate) -> None:
    chained.engine.remove(VDI, image(chained, "a"))
    assert facts(chained, "b").broken == 1
    assert facts(chained, "vm").broken == 1
    assert health(facts(chained, "vm"), [facts(chained, "b")]) == ("2 disks with a missing image", "bad")


def test_a_disk_that_a_scan_did_not_find_too(chained: Estate) -> None:
    chained.engine.change(VDI, image(chained, "a"), missing=True)
    assert facts(chained, "vm").broken == 1


def test_a_circle_of_parents_ends(chained: Estate) -> None:
    location = chained.cache.all(VDI)[Ref(image(chained, "b"))].location
    chained.engine.change(VDI, image(chained, "a"), sm_config={"vhd-parent": location})
    assert facts(chained, "b").broken == 1


def test_drives_and_empty_devices_are_no_disks(chained: Estate) -> None:
    chained.engine.put(VBD(VM=Ref("vm"), VDI=Ref("iso"), type=VBDType.CD), "cd")
    chained.engine.put(VBD(VM=Ref("vm"), VDI=NULL), "nothing")
    record = chained.record("vm")
    chained.engine.change(VM, "vm", VBDs=record.VBDs | {Ref("cd"), Ref("nothing"), Ref("gone")})
    assert len(disks_of(chained.cache, chained.record("vm"))) == 1


def test_chains_follow_the_feed(chained: Estate) -> None:
    chains = Chains(chained.cache)
    heard: list[bool] = []
    chained.cache.listen(lambda delta: heard.append(chains.update(delta)))
    assert chains.of(chained.record("vm")).shared == 3 * GIB
    chained.engine.change(VDI, image(chained, "a"), physical_utilisation=4 * GIB)
    assert chains.of(chained.record("vm")).shared == 5 * GIB
    chained.engine.change(VDI, image(chained, "a"), location="moved")
    chained.engine.change(VDI, image(chained, "b"), sm_config={"vhd-parent": "moved"})
    assert chains.of(chained.record("vm")).shared == 5 * GIB
    chained.engine.remove(VDI, image(chained, "a"))
    assert chains.of(chained.record("vm")).broken == 1
    chained.engine.change(VM, "vm", name_label="x")
    assert heard == [True, True, True, True, False]
    assert chains.update(Delta()) is False


def test_the_fullest_repository_counts(chained: Estate) -> None:
    assert free_space(chained.cache, chained.record("vm")) == ("Local storage", 412 * GIB)
    chained.engine.change(SR, "sr", physical_size=-1)
    assert free_space(chained.cache, chained.record("vm")) is None


def test_disks_newer_than_the_snapshot_are_found(chained: Estate) -> None:
    assert unmatched_disks(chained.cache, chained.record("vm"), chained.record("a")) == []
    chained.engine.put(VDI(name_label="data", SR=Ref("sr"), location="new"), "new")
    chained.engine.put(VBD(VM=Ref("vm"), VDI=Ref("new"), userdevice="1"), "vbd-new")
    record = chained.record("vm")
    chained.engine.change(VM, "vm", VBDs=record.VBDs | {Ref("vbd-new")})
    found = unmatched_disks(chained.cache, chained.record("vm"), chained.record("a"))
    assert [disk.name_label for disk in found] == ["data"]


@pytest.mark.parametrize(("depth", "said"), [(4, "healthy"), (24, "chain nearly full"), (30, "chain full")])
def test_health_in_words(depth: int, said: str) -> None:
    assert health(ChainFacts(disks=1, depth=depth), [])[0] == said


def test_the_summary() -> None:
    said = summary([ChainFacts(own=GIB), ChainFacts(own=2 * GIB)], ChainFacts(depth=4))
    assert said.replace("\u00a0", " ") == "2 snapshots · 3 GiB · chain depth 4 of 30"
