"""Key tables: the same key has the same scancode however its place is told."""

from __future__ import annotations

import pytest

from app.client.keys import (
    NAMED,
    keysym_of_character,
    scancode_of_evdev,
    scancode_of_keysym,
    scancode_of_mac,
    scancode_of_windows,
)

#: what: evdev code, Windows scancode, macOS key code
KEYS = {
    "Escape": (1, 0x001, 0x35),
    "BackSpace": (14, 0x00E, 0x33),
    "Tab": (15, 0x00F, 0x30),
    "Return": (28, 0x01C, 0x24),
    "Control_L": (29, 0x01D, 0x3B),
    "Shift_R": (54, 0x036, 0x3C),
    "F1": (59, 0x03B, 0x7A),
    "F10": (68, 0x044, 0x6D),
    "F11": (87, 0x057, 0x67),
    "F12": (88, 0x058, 0x6F),
    "KP_0": (82, 0x052, 0x52),
    "KP_7": (71, 0x047, 0x59),
    "KP_8": (72, 0x048, 0x5B),
    "KP_Enter": (96, 0x11C, 0x4C),
    "Control_R": (97, 0x11D, 0x3E),
    "Alt_R": (100, 0x138, 0x3D),
    "Home": (102, 0x147, 0x73),
    "Up": (103, 0x148, 0x7E),
    "Left": (105, 0x14B, 0x7B),
    "Page_Down": (109, 0x151, 0x79),
    "Delete": (111, 0x153, 0x75),
    "Super_L": (125, 0x15B, 0x37),
}
CHARACTERS = {
    "a": (30, 0x1E, 0x00),
    "z": (44, 0x2C, 0x06),
    "5": (6, 0x06, 0x17),
    "\\": (43, 0x2B, 0x2A),
    " ": (57, 0x39, 0x31),
}


@pytest.mark.parametrize("name", KEYS)
def test_named_keys_agree(name: str) -> None:
    evdev, windows, mac = KEYS[name]
    keysym, scancode = NAMED[name]
    assert scancode_of_evdev(evdev) == scancode
    assert scancode_of_windows(windows) == scancode
    assert scancode_of_mac(mac) == scancode
    assert scancode_of_keysym(keysym) in (scancode, NAMED["Meta_L"][1])


@pytest.mark.parametrize("character", CHARACTERS)
def test_characters_agree(character: str) -> None:
    evdev, windows, mac = CHARACTERS[character]
    scancode = scancode_of_keysym(keysym_of_character(character))
    assert scancode_of_evdev(evdev) == scancode_of_windows(windows) == scancode_of_mac(mac) == scancode


def test_shifted_characters_are_on_the_same_key() -> None:
    for plain, shifted in zip("1qa\\z;'`/", '!QA|Z:"~?', strict=True):
        assert scancode_of_keysym(ord(plain)) == scancode_of_keysym(ord(shifted)) != 0


def test_every_printable_character_of_ascii_has_a_key() -> None:
    assert all(scancode_of_keysym(code) for code in range(0x20, 0x7F))


def test_keysyms_of_characters() -> None:
    assert keysym_of_character("A") == 0x41
    assert keysym_of_character("é") == 0xE9
    assert keysym_of_character("€") == 0x010020AC
    with pytest.raises(ValueError, match="0x1b"):
        keysym_of_character("\x1b")


def test_unknown_places_have_no_scancode() -> None:
    assert scancode_of_evdev(0) == scancode_of_evdev(500) == scancode_of_mac(0x7F) == scancode_of_keysym(0xE9) == 0
