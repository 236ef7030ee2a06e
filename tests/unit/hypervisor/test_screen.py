"""PPM to PNG."""

from __future__ import annotations

import zlib

import pytest

from app.hypervisor.screen import ppm_to_png


def test_png_has_the_pixels() -> None:
    png = ppm_to_png(b"P6\n2 2\n255\n" + bytes(range(12)))
    assert png.startswith(b"\x89PNG\r\n\x1a\n\0\0\0\x0dIHDR\0\0\0\x02\0\0\0\x02\x08\x02")
    length = int.from_bytes(png[33:37], "big")
    data = png[41 : 41 + length]
    assert zlib.decompress(data) == b"\0" + bytes(range(6)) + b"\0" + bytes(range(6, 12))
    assert int.from_bytes(png[41 + length : 45 + length], "big") == zlib.crc32(b"IDAT" + data)
    assert png.endswith(b"IEND\xae\x42\x60\x82")


@pytest.mark.parametrize("ppm", [b"", b"P5\n1 1\n255\n\0", b"P6\n2 2\n255\n\0", b"P6\n1 1\n65535\n\0\0\0\0\0\0"])
def test_what_is_no_ppm_is_refused(ppm: bytes) -> None:
    with pytest.raises(ValueError, match="PPM"):
        ppm_to_png(ppm)
