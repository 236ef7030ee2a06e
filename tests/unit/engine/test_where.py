"""The expressions of get_all_records_where."""

from __future__ import annotations

import pytest

from app.api import VM, Failure, class_of
from app.engine.where import parse_where

WEB = VM(name_label="web", is_a_template=False, memory_target=5, user_version=1)


@pytest.mark.parametrize(
    ("expression", "holds"),
    [
        ('field "name__label" = "web"', True),
        ("field 'name_label' = 'web'", True),
        ('field "name__label" = "db"', False),
        ('"web" = field "name__label"', True),
        ('field "is_a_template" = "false" and field "power_state" = "Halted"', True),
        ('not field "is_a_template" = "true"', True),
        ('field "memory__target" = "5"', True),
        ('true and (false or field "user_version" = "1")', True),
        ("false and false or true", True),
        ("not (true or false)", False),
        ("not not true", True),
        ("true " + "and true " * 400, True),
    ],
)
def test_what_holds(expression: str, holds: bool) -> None:
    assert parse_where(class_of(VM), expression)(WEB) is holds


@pytest.mark.parametrize(
    "expression",
    [
        *("", "web", "field", 'field "nosuch" = "x"', '"a" = ', '"a"', "(true", "true)", "true true", "%", '"a'),
        *("(" * 500, "true or " * 1000),
    ],
)
def test_what_is_no_expression(expression: str) -> None:
    with pytest.raises(Failure) as caught:
        parse_where(class_of(VM), expression)
    assert caught.value.code == "INVALID_VALUE" and caught.value.params[0] == expression[:4096]
