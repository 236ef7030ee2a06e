"""Whether a server is who it says: addresses, known servers, and certificates that change."""

from __future__ import annotations

import ssl
import stat
from pathlib import Path

import pytest

from app.api import ConnectionLost, Failure
from app.client.address import Address
from app.client.http_channel import HttpChannel
from app.client.trust import BY_AUTHORITIES, KnownServers, Trust, fingerprint_of
from tests.support.replay import certificate, http, replaying

OK = http(b"{}")


@pytest.mark.parametrize(
    ("text", "url"),
    [
        ("host1", "https://host1:443/x"),
        ("host1:8443", "https://host1:8443/x"),
        (" https://host1/some/path ", "https://host1:443/x"),
        ("http://127.0.0.1:8080", "http://127.0.0.1:8080/x"),
        ("http://host1", "http://host1:80/x"),
        ("2001:db8::1", "https://[2001:db8::1]:443/x"),
        ("[2001:db8::1]:8443", "https://[2001:db8::1]:8443/x"),
    ],
)
def test_addresses_as_people_write_them(text: str, url: str) -> None:
    assert Address.parse(text).url("/x") == url


@pytest.mark.parametrize("text", ["", "https://", "ftp://host1", "host1:port", "https://root:secret@host1", "[::1"])
def test_what_is_no_address(text: str) -> None:
    with pytest.raises(ValueError):
        Address.parse(text)


def test_known_servers_are_kept_in_a_private_file(tmp_path: Path) -> None:
    file = tmp_path / "folder" / "known_servers.json"
    one, other = KnownServers(file), KnownServers(file)
    assert one.get(Address("a")) == ""
    one.remember(Address("a"), "AA:BB")
    other.remember(Address("b"), "CC")
    assert (one.get(Address("a")), one.get(Address("b")), one.get(Address("a", 8443))) == ("AA:BB", "CC", "")
    one.forget(Address("a"))
    assert other.get(Address("a")) == "" and other.get(Address("b")) == "CC"
    assert stat.S_IMODE(file.stat().st_mode) == 0o600 and [entry.name for entry in file.parent.iterdir()] == [file.name]


@pytest.mark.parametrize("content", ["{", "[]", "\0"])
async def test_a_damaged_file_trusts_nobody(tmp_path: Path, content: str) -> None:
    file = tmp_path / "known_servers.json"
    file.write_text(content)
    with pytest.raises(Failure, match="SSL_VERIFY_ERROR"):
        await Trust(KnownServers(file)).context(Address("127.0.0.1", 1))


async def test_the_first_certificate_is_trusted_and_another_is_refused(tmp_path: Path) -> None:
    known = KnownServers(tmp_path / "known_servers.json")
    context, der, _ = certificate(tmp_path)
    other_context, other_der, _ = certificate(tmp_path, "impostor.example")
    channel = HttpChannel(Trust(known))
    async with replaying(*[OK] * 5, tls=context) as server:
        for _ in range(5):
            assert await channel.post(server.address, "/x", "text/xml", b"secret", None) == (200, b"{}")
        # One that the authorities were asked about, one to look at the certificate, and one for all requests.
        assert server.connections <= 3
        assert known.get(server.address) == fingerprint_of(der)
    await channel.close()
    again = HttpChannel(Trust(known))
    async with replaying(OK, tls=other_context, port=server.address.port) as impostor:
        for attempt in (again.post(server.address, "/x", "text/xml", b"secret", None), again.stream(server.address)):
            with pytest.raises(Failure) as caught:
                await attempt
            assert caught.value.description() == [
                "SSL_VERIFY_ERROR", str(server.address), "the certificate has changed", fingerprint_of(der),
                fingerprint_of(other_der),
            ]  # fmt: skip
        assert impostor.requests == []
        known.forget(server.address)
        assert (await again.post(server.address, "/x", "text/xml", b"secret", None))[0] == 200
    await again.close()


async def test_who_is_asked_may_refuse(tmp_path: Path) -> None:
    asked: list[str] = []

    async def ask(_address: Address, fingerprint: str) -> bool:
        asked.append(fingerprint)
        return len(asked) > 1

    context, der, _ = certificate(tmp_path)
    known = KnownServers(tmp_path / "known_servers.json")
    channel = HttpChannel(Trust(known, ask=ask))
    async with replaying(OK, OK, tls=context) as server:
        with pytest.raises(Failure, match="not accepted"):
            await channel.post(server.address, "/x", "text/xml", b"secret", None)
        assert known.get(server.address) == "" and server.requests == []
        for _ in range(2):
            await channel.post(server.address, "/x", "text/xml", b"secret", None)
    assert asked == [fingerprint_of(der)] * 2
    await channel.close()


async def test_an_authority_vouches_once_and_for_ever(tmp_path: Path) -> None:
    context, _, file = certificate(tmp_path)
    authorities = ssl.create_default_context(cafile=file)
    known = KnownServers(tmp_path / "known_servers.json")
    channel = HttpChannel(Trust(known, authorities=authorities))
    async with replaying(OK, tls=context) as server:
        assert (await channel.post(server.address, "/x", "text/xml", b"", None))[0] == 200
    assert known.get(server.address) == BY_AUTHORITIES
    await channel.close()
    again = HttpChannel(Trust(known, authorities=authorities))
    async with replaying(OK, tls=certificate(tmp_path, "impostor.example")[0], port=server.address.port) as impostor:
        for attempt in (again.post(server.address, "/x", "text/xml", b"", None), again.stream(server.address)):
            with pytest.raises(Failure, match="SSL_VERIFY_ERROR"):
                await attempt
        assert impostor.requests == []
    await again.close()


async def test_without_known_servers_only_authorities_count(tmp_path: Path) -> None:
    context, _, _ = certificate(tmp_path)
    channel = HttpChannel(Trust(None))
    async with replaying(OK, tls=context) as server:
        with pytest.raises(Failure, match="SSL_VERIFY_ERROR"):
            await channel.post(server.address, "/x", "text/xml", b"secret", None)
        assert server.requests == []
    with pytest.raises(ConnectionLost):
        await channel.post(server.address, "/x", "text/xml", b"secret", None)
    await channel.close()


async def test_a_server_that_is_not_there_is_not_remembered(tmp_path: Path) -> None:
    known = KnownServers(tmp_path / "known_servers.json")
    async with replaying() as server:
        pass
    with pytest.raises(ConnectionLost):
        await Trust(known).context(server.address)
    assert known.get(server.address) == ""
