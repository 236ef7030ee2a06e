"""Keys as a console wants them: what a key means (X11 keysym) and where it is (XT scancode).

Keysyms are those of X.Org's keysymdef.h. Scancodes are of set 1, those with the prefix 0xE0 given bit 7 instead, as
QEMU's extended key message has them (RFB protocol, "QEMU Extended Key Event Message"). With the scancode a guest uses
its own keyboard layout; a server that takes keysyms only must guess it.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final

#: name -> (keysym, scancode) of keys that give no character
NAMED: Final[Mapping[str, tuple[int, int]]] = {
    "BackSpace": (0xFF08, 0x0E),
    "Tab": (0xFF09, 0x0F),
    "Return": (0xFF0D, 0x1C),
    "Pause": (0xFF13, 0xC6),
    "Scroll_Lock": (0xFF14, 0x46),
    "Sys_Req": (0xFF15, 0x54),
    "Escape": (0xFF1B, 0x01),
    "Home": (0xFF50, 0xC7),
    "Left": (0xFF51, 0xCB),
    "Up": (0xFF52, 0xC8),
    "Right": (0xFF53, 0xCD),
    "Down": (0xFF54, 0xD0),
    "Page_Up": (0xFF55, 0xC9),
    "Page_Down": (0xFF56, 0xD1),
    "End": (0xFF57, 0xCF),
    "Print": (0xFF61, 0xB7),
    "Insert": (0xFF63, 0xD2),
    "Menu": (0xFF67, 0xDD),
    "Num_Lock": (0xFF7F, 0x45),
    "KP_Enter": (0xFF8D, 0x9C),
    "KP_Multiply": (0xFFAA, 0x37),
    "KP_Add": (0xFFAB, 0x4E),
    "KP_Subtract": (0xFFAD, 0x4A),
    "KP_Decimal": (0xFFAE, 0x53),
    "KP_Divide": (0xFFAF, 0xB5),
    "Shift_L": (0xFFE1, 0x2A),
    "Shift_R": (0xFFE2, 0x36),
    "Control_L": (0xFFE3, 0x1D),
    "Control_R": (0xFFE4, 0x9D),
    "Caps_Lock": (0xFFE5, 0x3A),
    "Meta_L": (0xFFE7, 0xDB),
    "Alt_L": (0xFFE9, 0x38),
    "Alt_R": (0xFFEA, 0xB8),
    "Super_L": (0xFFEB, 0xDB),
    "Super_R": (0xFFEC, 0xDC),
    "ISO_Level3_Shift": (0xFE03, 0xB8),
    "Delete": (0xFFFF, 0xD3),
    **{f"F{n}": (0xFFBD + n, 0x3A + n) for n in range(1, 11)},
    "F11": (0xFFC8, 0x57),
    "F12": (0xFFC9, 0x58),
    **{f"KP_{n}": (0xFFB0 + n, code) for n, code in enumerate(b"\x52\x4f\x50\x51\x4b\x4c\x4d\x47\x48\x49")},
}

#: where each character is on a keyboard of the United States, row by row from the scancode given
_ROWS: Final = (
    (0x02, "1234567890-=", "!@#$%^&*()_+"),
    (0x10, "qwertyuiop[]", "QWERTYUIOP{}"),
    (0x1E, "asdfghjkl;'`", 'ASDFGHJKL:"~'),
    (0x2B, "\\zxcvbnm,./", "|ZXCVBNM<>?"),
    (0x39, " ", " "),
)
_OF_CHARACTER: Final = {
    character: start + place for start, *rows in _ROWS for row in rows for place, character in enumerate(str(row))
}
_OF_KEYSYM: Final = dict(NAMED.values())

#: evdev codes beyond 88, up to which they are the scancodes (linux/input-event-codes.h)
_OF_EVDEV: Final[Mapping[int, int]] = {
    89: 0x73,  # Ro
    90: 0x78,  # Katakana
    91: 0x77,  # Hiragana
    92: 0x79,  # Henkan
    93: 0x70,  # Katakana/Hiragana
    94: 0x7B,  # Muhenkan
    96: 0x9C,  # keypad Enter
    97: 0x9D,  # right Ctrl
    98: 0xB5,  # keypad /
    99: 0x54,  # SysRq
    100: 0xB8,  # right Alt
    102: 0xC7,  # Home
    103: 0xC8,  # Up
    104: 0xC9,  # Page Up
    105: 0xCB,  # Left
    106: 0xCD,  # Right
    107: 0xCF,  # End
    108: 0xD0,  # Down
    109: 0xD1,  # Page Down
    110: 0xD2,  # Insert
    111: 0xD3,  # Delete
    113: 0xA0,  # mute
    114: 0xAE,  # quieter
    115: 0xB0,  # louder
    116: 0xDE,  # power
    117: 0x59,  # keypad =
    119: 0xC6,  # Pause
    121: 0x7E,  # keypad comma
    122: 0x72,  # Hangul
    123: 0x71,  # Hanja
    124: 0x7D,  # Yen
    125: 0xDB,  # left Super
    126: 0xDC,  # right Super
    127: 0xDD,  # Menu
}
_LAST_EQUAL_EVDEV: Final = 88

#: macOS virtual key codes (HIToolbox Events.h, kVK_…): characters from code 0, then keys by name
_MAC_CHARACTERS: Final = "asdfhgzxcv\0bqweryt123465=97-80]ou[ip\0lj'k;\\,/nm.\0 `"
_MAC_NAMES: Final[Mapping[int, str]] = {
    0x24: "Return",
    0x30: "Tab",
    0x33: "BackSpace",
    0x35: "Escape",
    0x36: "Super_R",
    0x37: "Super_L",
    0x38: "Shift_L",
    0x39: "Caps_Lock",
    0x3A: "Alt_L",
    0x3B: "Control_L",
    0x3C: "Shift_R",
    0x3D: "Alt_R",
    0x3E: "Control_R",
    0x41: "KP_Decimal",
    0x43: "KP_Multiply",
    0x45: "KP_Add",
    0x47: "Num_Lock",
    0x4B: "KP_Divide",
    0x4C: "KP_Enter",
    0x4E: "KP_Subtract",
    **{0x52 + n: f"KP_{n}" for n in range(8)},
    0x5B: "KP_8",
    0x5C: "KP_9",
    0x60: "F5",
    0x61: "F6",
    0x62: "F7",
    0x63: "F3",
    0x64: "F8",
    0x65: "F9",
    0x67: "F11",
    0x69: "Print",
    0x6B: "Scroll_Lock",
    0x6D: "F10",
    0x6F: "F12",
    0x71: "Pause",
    0x72: "Insert",
    0x73: "Home",
    0x74: "Page_Up",
    0x75: "Delete",
    0x76: "F4",
    0x77: "End",
    0x78: "F2",
    0x79: "Page_Down",
    0x7A: "F1",
    0x7B: "Left",
    0x7C: "Right",
    0x7D: "Down",
    0x7E: "Up",
}
_OF_MAC: Final[Mapping[int, int]] = {
    0x0A: 0x56,  # the key beside the left Shift that keyboards of the United States lack
    **{code: _OF_CHARACTER[c] for code, c in enumerate(_MAC_CHARACTERS) if c != "\0"},
    **{code: NAMED[name][1] for code, name in _MAC_NAMES.items()},
}


def scancode_of_evdev(code: int) -> int:
    """The scancode of a Linux input code (an X11 or Wayland key code less 8), 0 if it has none."""
    return code if 0 < code <= _LAST_EQUAL_EVDEV else _OF_EVDEV.get(code, 0)


def scancode_of_windows(code: int) -> int:
    """The scancode of Windows' own, where bit 8 stands for the prefix 0xE0."""
    return code & 0x7F | (0x80 if code & 0x100 else 0)


def scancode_of_mac(code: int) -> int:
    """The scancode of a macOS virtual key code, 0 if it has none."""
    return _OF_MAC.get(code, 0)


def scancode_of_keysym(keysym: int) -> int:
    """Where a keyboard of the United States has the keysym, 0 if nowhere."""
    if keysym in _OF_KEYSYM:
        return _OF_KEYSYM[keysym]
    return _OF_CHARACTER.get(chr(keysym), 0) if 0x20 <= keysym < 0x7F else 0


def keysym_of_character(character: str) -> int:
    """The keysym of one character: Latin-1 as it is, all others by their code point with bit 24.

    :raise ValueError: it is a control character, which no key means.
    """
    code = ord(character)
    if code < 0x20 or 0x7F <= code < 0xA0:
        raise ValueError(f"no key means the control character {code:#04x}")
    return code if code < 0x100 else 0x01000000 | code
