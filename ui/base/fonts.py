"""Type: four sizes, two weights, and figures that stand in columns.

Sizes are logical pixels for a desktop whose own text is of ordinary size. Where the person has asked the system for
larger text, all four grow with it.
"""

from __future__ import annotations

from enum import StrEnum
from functools import cache

from PySide6.QtGui import QFont, QFontDatabase, QFontInfo

PREFERRED = "Inter"
TITLE_WEIGHT = QFont.Weight.DemiBold
#: text up to this many pixels counts as ordinary: Windows sets 12, macOS 13, GNOME and KDE 13 to 15
ORDINARY = 15.0
LARGEST_SCALE = 2.0


class Role(StrEnum):
    """What a piece of text is, which decides its size. The value is also the ``role`` property of a QLabel."""

    SECONDARY = "secondary"
    BODY = "body"
    SECTION = "section"
    TITLE = "title"


SIZES = {Role.SECONDARY: 11, Role.BODY: 13, Role.SECTION: 15, Role.TITLE: 20}
_HEADINGS = (Role.SECTION, Role.TITLE)


@cache
def _system() -> QFont:
    return QFontDatabase.systemFont(QFontDatabase.SystemFont.GeneralFont)


def scale() -> float:
    """How much larger than ordinary the person's own text is, 1.0 to 2.0, in steps of an eighth."""
    pixels = float(QFontInfo(_system()).pixelSize())
    if pixels <= ORDINARY:
        return 1.0
    return min(LARGEST_SCALE, round(pixels / SIZES[Role.BODY] * 8) / 8)


def pixels(role: Role = Role.BODY) -> int:
    """Size of ``role`` in logical pixels."""
    return round(SIZES[role] * scale())


@cache
def families() -> list[str]:
    """Font families to try, in order. Inter if it is installed, else the system's own."""
    own = _system().family()
    return [PREFERRED, own] if PREFERRED in QFontDatabase.families() else [own]


def font(role: Role = Role.BODY, *, strong: bool | None = None, tabular: bool = False) -> QFont:
    """The font of ``role``; headings are strong unless told otherwise.

    :param tabular: figures of one width, for columns of numbers and for values that change in place.
    """
    made = QFont(_system())
    made.setFamilies(families())
    made.setPixelSize(pixels(role))
    made.setHintingPreference(QFont.HintingPreference.PreferNoHinting)
    if strong if strong is not None else role in _HEADINGS:
        made.setWeight(TITLE_WEIGHT)
    if tabular:
        made.setFeature(QFont.Tag("tnum"), 1)
    return made


def monospace(role: Role = Role.BODY) -> QFont:
    """The system's fixed-width font, for commands, errors and a guest's console."""
    made = QFontDatabase.systemFont(QFontDatabase.SystemFont.FixedFont)
    made.setPixelSize(pixels(role) - 1)
    made.setStyleHint(QFont.StyleHint.Monospace)
    return made
