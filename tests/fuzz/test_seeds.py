"""The seeds of the fuzzer, each once: so that what was found stays found without the fuzzer."""

from __future__ import annotations

import importlib
from pathlib import Path

import pytest

from tests.fuzz.targets import MODULES, SEEDS, TARGETS

FILES = sorted(path for path in SEEDS.glob("*/*") if path.is_file())


@pytest.mark.parametrize("path", FILES, ids=lambda path: f"{path.parent.name}-{path.name}")
def test_no_seed_breaks_anything(path: Path) -> None:
    modules = {name: importlib.import_module(name) for name in MODULES}
    TARGETS[path.parent.name].read(modules, path.read_bytes())


def test_every_target_has_seeds() -> None:
    assert {path.parent.name for path in FILES} == set(TARGETS)
