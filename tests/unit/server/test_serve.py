"""The options of `stillframe serve`, and the certificate."""

from __future__ import annotations

import io
import resource
import ssl
import stat
from pathlib import Path

import pytest
from cryptography import x509

from app.config import load
from app.server.accounts import Accounts, AccountsError
from app.server.certificate import CertificateError, ensure_certificate, fingerprint, server_context
from app.server.open_files import allow_many
from app.server.serve import BadOptions, Network, _entrance, main
from app.server.tcp import Address, AddressError, is_of_this_machine, parse_address

PASSWORD = "correct horse"


@pytest.fixture
def password_file(tmp_path: Path) -> Path:
    path = tmp_path / "password"
    path.write_text(f"{PASSWORD}\nand more\n")
    return path


@pytest.mark.parametrize(
    ("text", "address"),
    [("127.0.0.1:80", Address("127.0.0.1", 80)), ("[::1]:0", Address("::1", 0)), ("a.b:65535", Address("a.b", 65535))],
)
def test_addresses(text: str, address: Address) -> None:
    assert parse_address(text) == address
    assert str(address) == text


@pytest.mark.parametrize("text", ["", "x", ":80", "x:", "x:y", "x:-1", "x:65536", "::1", "::1:80", "x:٣", "x:8 0"])
def test_what_is_no_address(text: str) -> None:
    with pytest.raises(AddressError):
        parse_address(text)


async def test_whether_an_address_is_of_this_machine() -> None:
    for host, own in (("127.0.0.1", True), ("127.8.8.8", True), ("::1", True), ("0.0.0.0", False), ("::", False)):
        assert await is_of_this_machine(Address(host, 80)) is own
    with pytest.raises(AddressError):
        await is_of_this_machine(Address("nosuch.invalid", 80))


async def test_nothing_is_answered_without_being_asked(data_dir: Path, password_file: Path) -> None:
    config = load(data_dir)
    assert await _entrance(config, Network()) is None
    assert not config.accounts_file.exists() and not config.certificate_file.exists()
    # The account is for later.
    assert await _entrance(config, Network(user="root", password_file=password_file)) is None
    assert Accounts(config.accounts_file).right("root", PASSWORD)


async def test_nobody_could_log_in(data_dir: Path) -> None:
    with pytest.raises(BadOptions, match="nobody could log in"):
        await _entrance(load(data_dir), Network(listen="127.0.0.1:0"))


async def test_options_that_make_no_sense(data_dir: Path, password_file: Path, tmp_path: Path) -> None:
    config = load(data_dir)
    folder = Network(user="root", password_file=tmp_path)
    for network in (Network(user="root"), Network(password_file=password_file), folder):
        with pytest.raises(BadOptions):
            await _entrance(config, network)
    short = tmp_path / "short"
    short.write_text("short\n")
    with pytest.raises(AccountsError):
        await _entrance(config, Network(user="root", password_file=short))
    assert not config.accounts_file.exists()


async def test_plain_http_stays_on_this_machine(data_dir: Path, password_file: Path) -> None:
    config = load(data_dir)
    network = Network(listen="0.0.0.0:0", plain=True, user="root", password_file=password_file)
    with pytest.raises(BadOptions, match="plain HTTP"):
        await _entrance(config, network)
    entrance = await _entrance(config, Network(listen="127.0.0.1:0", plain=True))
    assert entrance is not None and entrance.tls is None
    assert not config.certificate_file.exists()


async def test_a_certificate_is_made_once(data_dir: Path, password_file: Path) -> None:
    config = load(data_dir)
    network = Network(listen="[::1]:0", user="root", password_file=password_file)
    first = await _entrance(config, network)
    assert first is not None and first.tls is not None and "SHA-256" in first.note
    assert stat.S_IMODE(config.certificate_file.stat().st_mode) == 0o600
    second = await _entrance(config, Network(listen="[::1]:0"))
    assert second is not None and second.note == first.note
    assert first.tls.minimum_version is ssl.TLSVersion.TLSv1_2


async def test_a_certificate_is_given(data_dir: Path, password_file: Path, tmp_path: Path) -> None:
    given = tmp_path / "given.pem"
    ensure_certificate(given, "vm.example")
    network = Network(listen="127.0.0.1:0", user="root", password_file=password_file, certificate=given)
    entrance = await _entrance(load(data_dir), network)
    assert entrance is not None and fingerprint(given) in entrance.note
    assert not load(data_dir).certificate_file.exists()
    names = x509.load_pem_x509_certificate(given.read_bytes()).extensions.get_extension_for_class(
        x509.SubjectAlternativeName
    )
    assert {"vm.example", "localhost"} <= set(names.value.get_values_for_type(x509.DNSName))


def test_what_is_no_certificate(tmp_path: Path) -> None:
    path = tmp_path / "server.pem"
    for content in ("", "nonsense", "-----BEGIN CERTIFICATE-----\nAAAA\n-----END CERTIFICATE-----\n"):
        path.write_text(content)
        with pytest.raises(CertificateError):
            server_context(path)
        with pytest.raises(CertificateError):
            fingerprint(path)
    ensure_certificate(path, "x")
    assert "AAAA" in path.read_text()
    with pytest.raises(CertificateError):
        ensure_certificate(tmp_path / "nosuch" / "server.pem", "x")


def test_what_is_wrong_is_told_and_is_the_status(
    data_dir: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("sys.stdin", io.StringIO(f"{PASSWORD}\n"))
    network = Network(listen="nowhere", user="root", password_file=Path("-"))
    assert main(load(data_dir), network) == 1
    told = capsys.readouterr().err
    assert told.startswith("stillframe serve: nowhere is no address") and PASSWORD not in told
    assert Accounts(load(data_dir).accounts_file).right("root", PASSWORD)


def test_many_files_may_be_open() -> None:
    before = resource.getrlimit(resource.RLIMIT_NOFILE)
    try:
        resource.setrlimit(resource.RLIMIT_NOFILE, (min(before[0], 500), before[1]))
        limit = allow_many()
        assert limit == resource.getrlimit(resource.RLIMIT_NOFILE)[0] > 500
        assert allow_many() == limit
    finally:
        resource.setrlimit(resource.RLIMIT_NOFILE, before)
