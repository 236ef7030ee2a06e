"""A fake engine for what reads the cache."""

from __future__ import annotations

import pytest

from tests.support.fake_session import FakeEngine


@pytest.fixture
def engine() -> FakeEngine:
    return FakeEngine()
