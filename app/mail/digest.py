"""The text of a mail: everything that happened since the last one, in one message."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from email.message import EmailMessage
from email.utils import format_datetime, make_msgid
from typing import Final
from zoneinfo import ZoneInfo

from app.mail.settings import MailSettings

MOST_SHOWN: Final = 100
"""Notices that one mail tells one by one."""


@dataclass(frozen=True, slots=True)
class Kind:
    """Of one and of several, for the subject; the heading of a notice; and what to do."""

    one: str
    several: str
    heading: str
    advice: str = ""


KINDS: Final[Mapping[str, Kind]] = {
    "VMSS_SNAPSHOT_FAILED": Kind(
        "failed run",
        "failed runs",
        "{} could not take all its snapshots",
        "See to the reason; the next run tries again. “Run now” in VM Snapshot Schedules does so at once.",
    ),
    "VMSS_SNAPSHOT_MISSED_EVENT": Kind(
        "report of missed runs",
        "reports of missed runs",
        "Runs of {} were missed",
        "The engine or its machine was not running then, or an earlier run was still under way.",
    ),
    "VMSS_VM_UNPROTECTED": Kind(
        "unprotected VM",
        "unprotected VMs",
        "{} is not protected as its schedule promises",
        "The history of its schedule tells why there is no snapshot.",
    ),
    "VMSS_VM_PROTECTED": Kind("VM protected again", "VMs protected again", "{} is protected again"),
    "VMSS_SNAPSHOT_RECOVERED": Kind("recovery", "recoveries", "{} takes its snapshots again"),
}
"""By the name of a message; in the order of the subject. All others are not mailed."""


@dataclass(frozen=True, slots=True)
class Notice:
    """Something to tell: when, the message's name, what it is about, and what happened in lines."""

    when: datetime
    name: str
    about: str
    lines: tuple[str, ...]


def subject_of(notices: Sequence[Notice], host: str) -> str:
    """``Stillframe on nas: 2 failed runs, 1 unprotected VM``."""
    said = []
    for name, kind in KINDS.items():
        many = sum(notice.name == name for notice in notices)
        if many:
            said.append(f"{many} {kind.one if many == 1 else kind.several}")
    return f"Stillframe on {host}: {', '.join(said)}"


def compose(
    settings: MailSettings, notices: Sequence[Notice], host: str, now: datetime, zone: ZoneInfo
) -> EmailMessage:
    """One message about all of these, oldest first. `host` is whose engine speaks."""
    shown = sorted(notices, key=lambda notice: notice.when)[-MOST_SHOWN:]
    parts = [_part(notice, zone) for notice in shown]
    if len(shown) < len(notices):
        parts.insert(0, f"{len(notices) - len(shown)} earlier ones are left out here; Notifications has them all.")
    for kind in [kind for name, kind in KINDS.items() if kind.advice and any(n.name == name for n in shown)]:
        parts.append(f"{kind.several.capitalize()}: {kind.advice}")
    return letter(settings, subject_of(notices, host), "\n\n".join(parts), now)


def trial_message(settings: MailSettings, host: str, now: datetime) -> EmailMessage:
    """What “Send a test message” sends."""
    text = (
        f"This is a test from Stillframe on {host}.\n\nFailed and missed runs of snapshot schedules will be told to "
        "this address, several at once in one message."
    )
    return letter(settings, f"Stillframe on {host}: test message", text, now)


def letter(settings: MailSettings, subject: str, text: str, now: datetime) -> EmailMessage:
    """A plain message with the headers that automatic mail should have (RFC 3834)."""
    made = EmailMessage()
    made["Subject"] = "".join(character if character.isprintable() else " " for character in subject)[:200]
    made["From"] = f"Stillframe <{settings.sender}>"
    made["To"] = ", ".join(settings.to)
    made["Date"] = format_datetime(now)
    made["Message-ID"] = make_msgid(domain=settings.sender.rpartition("@")[2])
    made["Auto-Submitted"] = "auto-generated"
    made.set_content(text + "\n")
    return made


def _part(notice: Notice, zone: ZoneInfo) -> str:
    local = notice.when.astimezone(zone)
    heading = KINDS[notice.name].heading.format(f"“{notice.about}”")
    return "\n".join([f"{local:%a %d %b %Y %H:%M} {local.tzname()}  {heading}", *(f"    {x}" for x in notice.lines)])
