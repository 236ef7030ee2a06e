"""What becomes of an image whose disk goes, and how much is looked at to know."""

from __future__ import annotations

import pytest

from app.api import VDI, VM, Ref
from app.storage.chains import ImageChains
from tests.engine.vm.guests import assert_tidy
from tests.support.engine import Bench


async def two_snapshots(bench: Bench) -> tuple[Ref[VM], Ref[VM], Ref[VM]]:
    vm = await bench.sample_vm()
    older, newer = [await bench.session.VM.snapshot(vm, name) for name in ("older", "newer")]
    return vm, older, newer


@pytest.fixture
def looks(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """Gains an entry whenever all files of a repository are looked at."""
    found: list[str] = []
    real = ImageChains.children_map

    def counted(self: ImageChains) -> dict[str, frozenset[str]]:
        found.append("all")
        return real(self)

    monkeypatch.setattr(ImageChains, "children_map", counted)
    return found


async def test_an_image_that_others_need_stays_without_a_look_at_all_files(bench: Bench, looks: list[str]) -> None:
    _, older, _ = await two_snapshots(bench)
    image = bench.image(older)
    looks.clear()
    await bench.session.VM.uninstall(older)
    assert looks == []
    assert image.exists()
    (base,) = (vdi for vdi in bench.store.all(VDI).values() if vdi.location == image.stem)
    assert not base.managed
    assert_tidy(bench)


async def test_a_record_that_errs_costs_a_look_and_no_disk(bench: Bench, looks: list[str]) -> None:
    vm, older, newer = await two_snapshots(bench)
    with bench.store.transaction() as tx:
        for ref, vdi in bench.store.all(VDI).items():
            tx.update(VDI, ref, sm_config={**vdi.sm_config, "vhd-parent": bench.image(vm).stem})
    images = [bench.image(ref) for ref in (older, newer, vm)]
    looks.clear()
    await bench.session.VM.uninstall(older)
    assert looks
    assert all(image.exists() for image in images)


async def test_what_nothing_needs_goes(bench: Bench) -> None:
    vm, older, newer = await two_snapshots(bench)
    images = [bench.image(ref) for ref in (vm, newer, older)]
    await bench.session.VM.uninstall(older)
    await bench.session.VM.uninstall(newer)
    await bench.session.VM.uninstall(vm)
    assert not any(image.exists() for image in images)
    assert_tidy(bench)
