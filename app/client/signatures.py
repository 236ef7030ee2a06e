"""Ed25519 signatures (RFC 8032) and the file that keeps this installation's key.

cryptography is loaded by whoever signs or verifies, not with the module: a window that opens does neither.
"""

from __future__ import annotations

import os
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey


class SigningKey:
    """A private key in a file that only we may read; made where it is not there.

    :raise OSError: the file cannot be read or written, or holds another kind of key.
    :raise ValueError: the file holds no key.
    """

    def __init__(self, path: Path) -> None:
        from cryptography.hazmat.primitives import serialization
        from cryptography.hazmat.primitives.asymmetric import ed25519

        try:
            content = path.read_bytes()
        except FileNotFoundError:
            content = _new_key(path)
        key = serialization.load_pem_private_key(content, None)
        if not isinstance(key, ed25519.Ed25519PrivateKey):
            raise OSError(f"{path} holds another kind of key")
        self._key: Ed25519PrivateKey = key

    @property
    def public(self) -> bytes:
        """The public key, 32 bytes."""
        return self._key.public_key().public_bytes_raw()

    def sign(self, message: bytes) -> bytes:
        """The signature of a message, 64 bytes."""
        return self._key.sign(message)


def fits(public: bytes, signature: bytes, message: bytes) -> bool:
    """Whether the holder of a public key signed exactly this. :raise ValueError: that is no public key."""
    from cryptography.exceptions import InvalidSignature
    from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PublicKey

    try:
        Ed25519PublicKey.from_public_bytes(public).verify(signature, message)
    except InvalidSignature:
        return False
    return True


def _new_key(path: Path) -> bytes:
    from cryptography.hazmat.primitives import serialization
    from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

    content = Ed25519PrivateKey.generate().private_bytes(
        serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
    )
    path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
    with os.fdopen(os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600), "wb") as file:
        file.write(content)
        file.flush()
        os.fsync(file.fileno())
    return content
