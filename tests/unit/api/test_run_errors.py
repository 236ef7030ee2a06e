"""The lines of a failed run, as XenCenter reads them."""

from __future__ import annotations

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from app.api import Failure
from app.api.run_errors import line_of, read_errors

PRINTABLE = st.text(st.characters(blacklist_categories=("C", "Zl", "Zp")), max_size=20)


@settings(max_examples=30, deadline=None)
@given(PRINTABLE, st.uuids(), st.lists(st.text(max_size=12), max_size=3))
def test_what_is_written_is_read(vm: str, uuid: object, params: list[str]) -> None:
    (error,) = read_errors(line_of(vm, str(uuid), Failure("CODE", *params)))
    assert (error.vm, error.uuid, error.failure.description()) == (vm, str(uuid), ["CODE", *params])


@pytest.mark.parametrize(
    "line", ["", "A run of 'Nightly' did not happen.", "VM: a UUID: b Error:[", "VM: a UUID: b Error:[],",
             "VM: a UUID: b Error:[1],", "VM: a UUID: b Error:[" + "(" * 5000 + "],"],
)  # fmt: skip
def test_anything_else_is_passed_over(line: str) -> None:
    assert read_errors(line) == ()
