"""Icons are drawn once, in SVG, and coloured when they are loaded.

A file says ``currentColor`` for every stroke and fill. The class of the element, or of the nearest group around it that
has one, names the colour to use instead: ``accent``, ``good``, ``attention``, ``bad``, ``info`` or ``secondary``.
Without a class it is the base colour. Seen in a browser the files are plain black line drawings.
"""

from __future__ import annotations

import xml.etree.ElementTree as ET
from collections.abc import Mapping
from functools import cache

from ui.base import resources

GRID = 20
STROKE = 1.5
TONES = ("accent", "good", "attention", "bad", "info", "secondary")

_NAMESPACE = "http://www.w3.org/2000/svg"
ET.register_namespace("", _NAMESPACE)


def stroke_width(size: float) -> float:
    """Width of a line, in units of the 20 grid, that looks the same in an icon of ``size`` logical pixels.

    Lines stay near 1.5 px up to 24 px, then grow slowly: a 64 px picture with 4.8 px lines would shout.
    """
    if size <= 0:
        raise ValueError(f"an icon cannot be {size} px")
    pixels = 1.35 + 0.15 * min(size, GRID) / GRID if size <= GRID else STROKE + (size - GRID) * 0.024
    return round(pixels * GRID / size, 3)


def recoloured(name: str, base: str, tones: Mapping[str, str], size: float = GRID) -> bytes:
    """The icon ``name`` as SVG, in ``base`` with its classes in ``tones``, its lines made for ``size`` logical pixels.

    A tone that is not in ``tones`` takes ``base``: an empty mapping gives an icon in one colour.

    :raise FileNotFoundError: there is no such icon.
    """
    root = ET.fromstring(_text(name))
    if root.get("stroke-width"):
        root.set("stroke-width", str(stroke_width(size)))
    _colour(root, base, base, tones)
    return bytes(ET.tostring(root, encoding="utf-8"))


def _colour(element: ET.Element, colour: str, base: str, tones: Mapping[str, str]) -> None:
    tone = element.attrib.pop("class", None)
    if tone is not None:
        colour = tones.get(tone, base)
        # A group's own stroke is inherited from the root, so an element with a class states both for itself.
        if element.get("stroke") is None and element.get("fill") in (None, "none"):
            element.set("stroke", colour)
    for attribute in ("stroke", "fill"):
        if element.get(attribute) == "currentColor":
            element.set(attribute, colour)
    for child in element:
        _colour(child, colour, base, tones)


@cache
def _text(name: str) -> str:
    return resources.read("icons", f"{name}.svg")


@cache
def names() -> tuple[str, ...]:
    """Every icon there is, sorted."""
    return tuple(sorted(path.stem for path in (resources.folder() / "icons").glob("*.svg")))
