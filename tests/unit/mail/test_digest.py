"""The text of a digest: one message whatever happened, and nothing that a name could forge."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from zoneinfo import ZoneInfo

from app.mail.digest import MOST_SHOWN, Notice, compose, subject_of
from app.mail.settings import checked
from tests.unit.mail.test_settings import GIVEN

NOW = datetime(2026, 11, 26, 23, 30, tzinfo=UTC)
FAILED = Notice(NOW, "VMSS_SNAPSHOT_FAILED", "Nightly", ("web: The storage is full.", "mail: It was cancelled."))


def test_one_message_tells_all_in_order_and_local_time() -> None:
    later = Notice(NOW + timedelta(hours=1), "VMSS_VM_UNPROTECTED", "快照 server", ("Since Monday.",))
    message = compose(checked(GIVEN), [later, FAILED, FAILED], "nas", NOW, ZoneInfo("Europe/Paris"))
    text = message.get_content()
    assert message["Subject"] == "Stillframe on nas: 2 failed runs, 1 unprotected VM"
    assert message["To"] == "a@example.com, b@example.org"
    first, second = text.index("Fri 27 Nov 2026 00:30 CET  “Nightly” could not"), text.index("“快照 server” is not")
    assert first < second
    assert "    web: The storage is full.\n    mail: It was cancelled." in text
    assert text.count("Failed runs: See to the reason") == 1


def test_a_name_forges_no_header() -> None:
    message = compose(checked(GIVEN), [FAILED], "nas\r\nBcc: x@example.com", NOW, ZoneInfo("UTC"))
    assert message["Bcc"] is None and "Bcc: x@example.com" in message["Subject"]
    assert b"\nBcc" not in bytes(message)


def test_a_flood_is_cut_and_counted() -> None:
    many = [FAILED] * (MOST_SHOWN + 7)
    text = compose(checked(GIVEN), many, "nas", NOW, ZoneInfo("UTC")).get_content()
    assert "7 earlier ones are left out" in text and text.count("could not take") == MOST_SHOWN
    assert subject_of(many, "nas").endswith("107 failed runs")
