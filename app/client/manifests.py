"""Signed manifests: what an .xva holds and which key vouches for it, in a JSON file beside it.

The key is an Ed25519 key of this installation (RFC 8032). A manifest shows that a file is unchanged since the holder of
the key made it; whether to trust that key, its fingerprint is for.
"""

from __future__ import annotations

import base64
import hashlib
import json
import os
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, Final

from app.api import Failure
from app.client.part_files import sync_folder
from app.client.signatures import SigningKey, fits
from app.client.transfer_types import MANIFEST_SUFFIX
from app.client.verification import Findings
from app.config import default_data_dir
from app.xva.contents import sizes_of, vm_of

FORMAT: Final = 1
KEY_FILE: Final = "export-key.pem"
_LARGEST: Final = 4 << 20


class ManifestError(Failure):
    """A manifest is damaged, was changed or does not fit its file; the sentence says which."""

    def __init__(self, sentence: str) -> None:
        super().__init__("IMPORT_ERROR_GENERIC", sentence)


@dataclass(frozen=True, slots=True)
class Manifest:
    """A manifest whose signature is right.

    :ivar sha256: of the file it is about, in hexadecimal digits; `size` its bytes.
    :ivar signer: the fingerprint of the key: SHA-256 of the public key, in groups of four digits.
    """

    vm: str
    size: int
    sha256: str
    signer: str


def manifest_of(path: Path) -> Path:
    """Where the manifest of a file lies."""
    return path.with_name(path.name + MANIFEST_SUFFIX)


def write_manifest(path: Path, findings: Findings, key_file: Path | None) -> Path:
    """Sign what was found in a finished file; answer where. :raise OSError: it cannot be written."""
    key = SigningKey(key_file or default_data_dir() / KEY_FILE)
    vm = vm_of(findings.description)
    sizes = sizes_of(findings.description)
    about: dict[str, Any] = {
        "format": FORMAT,
        "file": path.name,
        "size": findings.size,
        "sha256": findings.sha256,
        "made": datetime.now(UTC).strftime("%Y-%m-%dT%H:%M:%SZ"),
        "vm": {"name": vm.text("name_label"), "uuid": vm.text("uuid")},
        "disks": {disk: {"size": sizes[disk], "blocks": text} for disk, text in findings.summaries.items()},
        "public_key": _text(key.public),
    }
    signed = {"manifest": about, "signature": _text(key.sign(_canonical(about)))}
    target = manifest_of(path)
    descriptor = os.open(target, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600)
    with os.fdopen(descriptor, "w", encoding="utf-8") as file:
        json.dump(signed, file, indent=2, ensure_ascii=False)
        file.flush()
        os.fsync(file.fileno())
    sync_folder(target.parent)
    return target


def read_manifest(path: Path) -> Manifest | None:
    """The manifest beside a file; None: there is none. :raise ManifestError: see there. :raise OSError: unreadable."""
    try:
        text = manifest_of(path).read_bytes()[: _LARGEST + 1]
    except FileNotFoundError:
        return None
    try:
        whole = json.loads(text)
        about, signature = whole["manifest"], base64.b64decode(whole["signature"], validate=True)
        public = base64.b64decode(about["public_key"], validate=True)
        if not fits(public, signature, _canonical(about)):
            raise ManifestError("The manifest was changed: its signature is wrong.")
        return Manifest(str(about["vm"]["name"]), int(about["size"]), str(about["sha256"]), fingerprint(public))
    except (ValueError, TypeError, KeyError, RecursionError) as error:
        raise ManifestError("The manifest beside the file is none.") from error


def fingerprint(public: bytes) -> str:
    """A public key as people compare it."""
    digits = hashlib.sha256(public).hexdigest()[:32]
    return " ".join(digits[start : start + 4] for start in range(0, 32, 4))


def _canonical(about: Mapping[str, Any]) -> bytes:
    return json.dumps(about, sort_keys=True, separators=(",", ":"), ensure_ascii=True).encode()


def _text(data: bytes) -> str:
    return base64.b64encode(data).decode()
