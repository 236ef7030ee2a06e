"""The server's certificate: one that is given, or one of our own making, signed by itself."""

from __future__ import annotations

import os
import socket
import ssl
from datetime import UTC, datetime, timedelta
from ipaddress import ip_address
from pathlib import Path
from typing import Final

from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import ExtendedKeyUsageOID

VALID_FOR: Final = timedelta(days=3650)


class CertificateError(Exception):
    """A certificate cannot be used or made; the text says which and why."""


def server_context(path: Path) -> ssl.SSLContext:
    """TLS 1.2 and newer with the certificate and private key in the PEM file `path`.

    :raise CertificateError: the file cannot be used.
    """
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.minimum_version = ssl.TLSVersion.TLSv1_2
    try:
        # An empty password instead of a question on the terminal.
        context.load_cert_chain(path, password="")
    except (OSError, ValueError) as error:
        raise CertificateError(f"{path} holds no certificate with its private key that can be used: {error}") from error
    return context


def fingerprint(path: Path) -> str:
    """SHA-256 of the first certificate in the file, as browsers show it. :raise CertificateError: there is none."""
    try:
        found = x509.load_pem_x509_certificates(path.read_bytes())
    except (OSError, ValueError) as error:
        raise CertificateError(f"{path} holds no certificate: {error}") from error
    return found[0].fingerprint(hashes.SHA256()).hex(":").upper()


def ensure_certificate(path: Path, host: str) -> None:
    """Make a certificate for this machine and the address `host`, unless `path` has one.

    :raise CertificateError: it cannot be written.
    """
    if path.exists():
        return
    new = path.with_name(f"{path.name}.new")
    try:
        new.unlink(missing_ok=True)
        # Nobody else may read the key, from its first byte.
        with os.fdopen(os.open(new, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600), "wb") as file:
            file.write(_made(host))
            file.flush()
            os.fsync(file.fileno())
        new.replace(path)
    except OSError as error:
        raise CertificateError(f"{path} could not be written: {error.strerror}") from error


def _made(host: str) -> bytes:
    """Private key and certificate, PEM."""
    key = ec.generate_private_key(ec.SECP256R1())
    own_name = socket.gethostname() or "localhost"
    name = x509.Name([x509.NameAttribute(x509.NameOID.COMMON_NAME, own_name[:64])])
    identifier = x509.SubjectKeyIdentifier.from_public_key(key.public_key())
    now = datetime.now(UTC)
    certificate = (
        x509.CertificateBuilder()
        .subject_name(name)
        .issuer_name(name)
        .public_key(key.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(now - timedelta(days=1))
        .not_valid_after(now + VALID_FOR)
        .add_extension(x509.SubjectAlternativeName(_names(own_name, host)), critical=False)
        .add_extension(x509.BasicConstraints(ca=False, path_length=None), critical=True)
        .add_extension(x509.ExtendedKeyUsage([ExtendedKeyUsageOID.SERVER_AUTH]), critical=False)
        .add_extension(identifier, critical=False)
        .add_extension(x509.AuthorityKeyIdentifier.from_issuer_subject_key_identifier(identifier), critical=False)
        .sign(key, hashes.SHA256())
    )
    private = key.private_bytes(
        serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
    )
    return private + certificate.public_bytes(serialization.Encoding.PEM)


def _names(*hosts: str) -> list[x509.GeneralName]:
    found: list[x509.GeneralName] = []
    for host in dict.fromkeys((*hosts, "localhost", "127.0.0.1", "::1")):
        try:
            found.append(x509.IPAddress(ip_address(host)))
        except ValueError:
            if host.isascii():
                found.append(x509.DNSName(host))
    return found
