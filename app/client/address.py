"""Where a server answers: scheme, host and port, as people write them."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Final
from urllib.parse import urlsplit

_PORTS: Final = {"https": 443, "http": 80}


@dataclass(frozen=True, slots=True)
class Address:
    """One server. `https` unless plain HTTP was asked for."""

    host: str
    port: int = 443
    secure: bool = True

    @classmethod
    def parse(cls, text: str) -> Address:
        """From `host`, `host:port` or a URL, of which the path is passed over; IPv6 addresses in brackets or bare.

        :raise ValueError: it is none of these.
        """
        given = text.strip()
        if given.count(":") > 1 and "[" not in given and "//" not in given:
            given = f"[{given}]"
        parts = urlsplit(given if "//" in given else f"https://{given}")
        if parts.scheme not in _PORTS or not parts.hostname or parts.username is not None:
            raise ValueError(f"{text!r} is no address of a server")
        return cls(parts.hostname, parts.port or _PORTS[parts.scheme], parts.scheme == "https")

    def at(self, host: str) -> Address:
        """Another host, reached the same way."""
        return replace(self, host=host)

    def url(self, path: str) -> str:
        """The URL of an absolute path."""
        return f"{'https' if self.secure else 'http'}://{self}{path}"

    def __str__(self) -> str:
        host = f"[{self.host}]" if ":" in self.host else self.host
        return f"{host}:{self.port}"
