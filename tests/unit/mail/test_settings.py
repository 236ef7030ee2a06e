"""Mail settings: what is accepted, and the form in which the pool keeps them."""

from __future__ import annotations

import pytest

from app.api import Failure
from app.mail.settings import HUB, TO, checked, stored

GIVEN = {
    "server": "smtp.example.com",
    "port": "",
    "security": "",
    "user": "robot",
    "from": "robot@example.com",
    "to": "a@example.com, b@example.org",
}


def test_they_are_kept_under_xenservers_keys_and_come_back() -> None:
    settings = checked(GIVEN)
    kept = settings.kept()
    assert (kept[HUB], kept[TO]) == ("smtp.example.com:587", "a@example.com,b@example.org")
    assert not any("password" in key for key in kept)
    assert stored(kept) == settings
    assert checked(settings.told()) == settings


@pytest.mark.parametrize(
    ("key", "value"),
    [
        ("server", ""),
        ("server", "a b"),
        ("server", "x\r\nRCPT TO:<y>"),
        ("server", "-evil"),
        ("port", "0"),
        ("port", "99999"),
        ("port", "²"),
        ("security", "ssl"),
        ("security", "none"),  # with a user name
        ("user", "a\nb"),
        ("from", ""),
        ("from", "me"),
        ("from", "Me <me@example.com>"),
        ("from", "me@example.com\r\nBcc: x@example.com"),
        ("to", ""),
        ("to", "a@example.com, b"),
        ("to", ",".join(f"a{n}@example.com" for n in range(21))),
        ("bcc", "x@example.com"),
    ],
)
def test_what_makes_no_sense_is_named_with_advice(key: str, value: str) -> None:
    with pytest.raises(Failure) as caught:
        checked({**GIVEN, key: value})
    assert caught.value.code == "INVALID_VALUE" and caught.value.params[0] == f"mail:{key}"
    assert caught.value.params[2].endswith(".")


@pytest.mark.parametrize("kept", [{}, {HUB: "smtp.example.com"}, {HUB: "smtp.example.com:x", TO: "a@b"}])
def test_what_another_program_left_turns_mail_off(kept: dict[str, str]) -> None:
    assert stored(kept) is None
