"""Where mail goes and by which server, as the pool's other_config keeps it: under XenServer's keys where it has them.

The password is never among them; see `app.mail.passwords`.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Final, Literal, cast

from app.api import Failure

Security = Literal["starttls", "tls", "none"]

PORTS: Final[Mapping[Security, int]] = {"starttls": 587, "tls": 465, "none": 25}
"""The usual port of each way: STARTTLS on a plain connection, TLS from the first byte, no TLS."""
HUB: Final = "ssmtp-mailhub"
TO: Final = "mail-destination"
SECURITY: Final = "stillframe.mail-security"
USER: Final = "stillframe.mail-user"
FROM: Final = "stillframe.mail-from"
KEYS: Final = (HUB, TO, SECURITY, USER, FROM)
MOST_RECIPIENTS: Final = 20
_HOST: Final = re.compile(r"[A-Za-z0-9_:]([A-Za-z0-9._:-]{0,253})")
_ADDRESS: Final = re.compile(r"[!-?A-~]{1,64}@[A-Za-z0-9][A-Za-z0-9.-]{0,252}")
_LONGEST_USER: Final = 256


@dataclass(frozen=True, slots=True)
class MailSettings:
    """How alerts are mailed. `user` is "" for a server that wants no login."""

    server: str
    port: int
    security: Security
    user: str
    sender: str
    to: tuple[str, ...]

    def kept(self) -> dict[str, str]:
        """The entries of other_config."""
        return {
            HUB: f"{self.server}:{self.port}",
            TO: ",".join(self.to),
            SECURITY: self.security,
            USER: self.user,
            FROM: self.sender,
        }

    def told(self) -> dict[str, str]:
        """The map that `pool.get_mail` answers and `pool.set_mail` takes."""
        return {
            "server": self.server,
            "port": str(self.port),
            "security": self.security,
            "user": self.user,
            "from": self.sender,
            "to": ", ".join(self.to),
        }


def checked(given: Mapping[str, str]) -> MailSettings:
    """The settings that someone asks for. :raise Failure: INVALID_VALUE names the field, its value and what to do."""
    known = {"server", "port", "security", "user", "from", "to"}
    for key, value in given.items():
        if key not in known:
            raise _bad(key, value, "There is no such setting.")
    security = given.get("security") or "starttls"
    if security not in PORTS:
        raise _bad("security", security, "Either starttls, tls or none is needed.")
    user = given.get("user", "").strip()
    if len(user) > _LONGEST_USER or not (user.isprintable() and user.isascii()):
        raise _bad("user", user, "A user name has at most 256 printable ASCII characters.")
    if user and security == "none":
        raise _bad("security", security, "A password is only sent over TLS: choose STARTTLS or TLS, or no user name.")
    recipients = tuple(filter(None, (part.strip() for part in given.get("to", "").split(","))))
    if not 0 < len(recipients) <= MOST_RECIPIENTS:
        raise _bad("to", given.get("to", ""), f"From 1 to {MOST_RECIPIENTS} addresses are needed, commas between.")
    return MailSettings(
        server=_host(given.get("server", "").strip()),
        port=_port(given.get("port", ""), cast("Security", security)),
        security=cast("Security", security),
        user=user,
        sender=_address("from", given.get("from", "").strip()),
        to=tuple(_address("to", one) for one in recipients),
    )


def stored(other_config: Mapping[str, str]) -> MailSettings | None:
    """The settings in a pool's other_config; None where mail is off, or what another program wrote makes no sense."""
    server, _, port = other_config.get(HUB, "").rpartition(":")
    given = {"server": server, "port": port, "to": other_config.get(TO, "")}
    for key, name in (("security", SECURITY), ("user", USER), ("from", FROM)):
        given[key] = other_config.get(name, "")
    try:
        return checked(given)
    except Failure:
        return None


def _host(server: str) -> str:
    if not _HOST.fullmatch(server):
        raise _bad("server", server, "The name of a mail server is needed, as in smtp.example.com.")
    return server


def _port(port: str, security: Security) -> int:
    if not port:
        return PORTS[security]
    if not (port.isascii() and port.isdecimal() and len(port) <= 5 and 0 < int(port) < 1 << 16):
        raise _bad("port", port, "A port is a number from 1 to 65535.")
    return int(port)


def _address(field: str, address: str) -> str:
    if not _ADDRESS.fullmatch(address) or any(character in '<>(),;:\\"[]' for character in address):
        raise _bad(field, address, "An address is needed, as in admin@example.com.")
    return address


def _bad(field: str, value: str, advice: str) -> Failure:
    return Failure("INVALID_VALUE", f"mail:{field}", value[:200], advice)
