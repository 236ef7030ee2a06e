"""A package that is not wanted is as if it were not installed, and only there."""

from __future__ import annotations

import sys

import pytest

from app.unwanted import unwanted


def test_what_is_unwanted_cannot_be_imported() -> None:
    sys.modules.pop("this", None)
    with unwanted("this"), pytest.raises(ImportError):
        import this  # noqa: F401
    assert "this" not in sys.modules


def test_what_is_loaded_stays() -> None:
    with unwanted("sys"):
        import sys as same
    assert same is sys


def test_it_is_wanted_again_after_a_failure() -> None:
    with pytest.raises(ZeroDivisionError), unwanted("this"):
        raise ZeroDivisionError
    assert "this" not in sys.modules
