"""Stillframe's colours: two palettes of our own, light and dark, named by what a colour means.

Every pair in :func:`text_pairs` reaches 4.5:1, the ratio WCAG 2.1 asks of body text (success criterion 1.4.3), and
every pair in :func:`shape_pairs` reaches 3:1, which it asks of controls and icons (1.4.11). A test holds both.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass, fields

TEXT_RATIO = 4.5
SHAPE_RATIO = 3.0

_HEX = re.compile(r"#[0-9a-f]{6}")


@dataclass(frozen=True, slots=True, kw_only=True)
class Colours:
    """One palette. Each field is ``#rrggbb``; ``series`` is the colour-blind-safe set for charts."""

    name: str
    #: what everything stands on, and the planes above it
    background: str
    surface: str
    raised: str
    line: str
    #: edges of fields and buttons, then of check marks and radio marks, which must be found without reading
    border: str
    control: str
    #: words
    text: str
    secondary: str
    disabled: str
    #: the one accent, its states, and words upon it
    accent: str
    accent_hover: str
    accent_pressed: str
    accent_text: str
    #: rows and cards that are chosen, pointed at, pressed
    selection: str
    hover: str
    pressed: str
    #: meanings; never shown by colour alone. The soft forms are backgrounds for a notice.
    good: str
    attention: str
    bad: str
    bad_hover: str
    bad_pressed: str
    info: str
    good_soft: str
    attention_soft: str
    bad_soft: str
    info_soft: str
    #: the guest's screen, and its placeholder
    console_bg: str
    console_text: str
    #: scroll bars and what floats
    scroll: str
    shadow: str
    series: tuple[str, ...]

    def __post_init__(self) -> None:
        for key, value in self.named().items():
            if not _HEX.fullmatch(value):
                raise ValueError(f"{self.name} palette: {key} is {value!r}, not #rrggbb in small letters")

    @property
    def is_dark(self) -> bool:
        """Whether light words stand on dark planes."""
        return luminance(self.text) > luminance(self.surface)

    def named(self) -> dict[str, str]:
        """Every single colour by its field name (without ``name`` and ``series``)."""
        return {f.name: getattr(self, f.name) for f in fields(self) if f.name not in ("name", "series")}


LIGHT = Colours(
    name="light",
    background="#f4f6f7",
    surface="#ffffff",
    raised="#fafbfb",
    line="#d9dfe2",
    border="#c3cdd1",
    control="#76858c",
    text="#1b2529",
    secondary="#55636a",
    disabled="#8a979d",
    accent="#0d6f67",
    accent_hover="#0b625b",
    accent_pressed="#09544e",
    accent_text="#ffffff",
    selection="#d5ebe8",
    hover="#eef2f3",
    pressed="#e3e9eb",
    good="#13733a",
    attention="#a04a06",
    bad="#b91c1c",
    bad_hover="#a31818",
    bad_pressed="#8c1414",
    info="#1d5fae",
    good_soft="#e6f4ea",
    attention_soft="#fdf1e0",
    bad_soft="#fdecec",
    info_soft="#e8f0fb",
    console_bg="#10181c",
    console_text="#8fd3c4",
    scroll="#b4bfc4",
    shadow="#1b2529",
    series=("#0072b2", "#d55e00", "#009e73", "#b0548a", "#8a6d00", "#3a8fc4"),
)

DARK = Colours(
    name="dark",
    background="#171c1f",
    surface="#1f2629",
    raised="#252d31",
    line="#364147",
    border="#46535a",
    control="#82929a",
    text="#e6ecee",
    secondary="#a3b0b6",
    disabled="#6f7d84",
    accent="#35bfb1",
    accent_hover="#4accbf",
    accent_pressed="#2aa698",
    accent_text="#0c1a19",
    selection="#1d423f",
    hover="#2a3338",
    pressed="#313b40",
    good="#4ade80",
    attention="#f0a44b",
    bad="#f58b8b",
    bad_hover="#f9a3a3",
    bad_pressed="#e87575",
    info="#79b0f4",
    good_soft="#1a3326",
    attention_soft="#38291a",
    bad_soft="#3b2326",
    info_soft="#1d2f45",
    console_bg="#0b1012",
    console_text="#8fd3c4",
    scroll="#4d5b62",
    shadow="#000000",
    series=("#56b4e9", "#e88b3c", "#2fc79b", "#d79ac0", "#e6cf4b", "#9bb4c0"),
)


def luminance(colour: str) -> float:
    """Relative luminance of ``#rrggbb``, 0 (black) to 1 (white), as WCAG 2.1 defines it.

    :raise ValueError: ``colour`` is not ``#rrggbb``.
    """
    if not _HEX.fullmatch(colour.lower()):
        raise ValueError(f"not a colour: {colour!r}")
    channels = (int(colour[i : i + 2], 16) / 255 for i in (1, 3, 5))
    red, green, blue = (c / 12.92 if c <= 0.04045 else ((c + 0.055) / 1.055) ** 2.4 for c in channels)
    return 0.2126 * red + 0.7152 * green + 0.0722 * blue


def contrast(a: str, b: str) -> float:
    """Contrast ratio of two colours, 1 (equal) to 21 (black on white), in either order."""
    dark, light = sorted((luminance(a), luminance(b)))
    return (light + 0.05) / (dark + 0.05)


def mix(over: str, under: str, strength: float) -> str:
    """``over`` laid on ``under`` at ``strength`` (0 to 1)."""
    pairs = ((int(over[i : i + 2], 16), int(under[i : i + 2], 16)) for i in (1, 3, 5))
    return "#" + "".join(f"{round(a * strength + b * (1 - strength)):02x}" for a, b in pairs)


PLANES = ("background", "surface", "raised", "selection", "hover", "pressed")
MEANINGS = ("good", "attention", "bad", "info")


def text_pairs() -> Iterator[tuple[str, str]]:
    """Every (words, plane) pair of field names that occurs in the application."""
    for plane in PLANES:
        for words in ("text", "secondary", "accent", *MEANINGS):
            yield words, plane
    for filled in ("accent", "accent_hover", "accent_pressed", "bad_hover", "bad_pressed", *MEANINGS):
        yield "accent_text", filled
    for meaning in MEANINGS:
        for words in ("text", "secondary", meaning):
            yield words, f"{meaning}_soft"
    yield "console_text", "console_bg"


def shape_pairs() -> Iterator[tuple[str, str]]:
    """Every (shape, plane) pair that must be told apart without being words."""
    for plane in ("surface", "raised", "background"):
        yield "control", plane
        yield "accent", plane
