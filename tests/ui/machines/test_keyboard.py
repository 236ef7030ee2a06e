"""Keys from Qt: what they mean and where they are, on each platform, and that none stays down."""

from __future__ import annotations

import pytest
from PySide6.QtCore import QEvent, Qt
from PySide6.QtGui import QKeyEvent

from app.client.keys import NAMED
from ui.machines.keyboard import HeldKeys, keysym, scancode

K, M = Qt.Key, Qt.KeyboardModifier
PRESS, RELEASE = QEvent.Type.KeyPress, QEvent.Type.KeyRelease


def key(
    code: Qt.Key,
    text: str = "",
    modifiers: Qt.KeyboardModifier = M.NoModifier,
    *,
    kind: QEvent.Type = PRESS,
    native: tuple[int, int] = (0, 0),
    repeated: bool = False,
) -> QKeyEvent:
    return QKeyEvent(kind, code.value, modifiers, native[0], native[1], 0, text, repeated)


def both(event: QKeyEvent, platform: str) -> tuple[int, int]:
    meaning = keysym(event, platform)
    return meaning, scancode(event, platform, meaning)


@pytest.mark.parametrize(
    ("event", "platform", "expected"),
    [
        (key(K.Key_A, "a", native=(38, 0x61)), "xcb", (0x61, 0x1E)),
        (key(K.Key_Q, "a", native=(38, 0x61)), "wayland", (0x61, 0x1E)),  # a French A: where Q is on this one
        (key(K.Key_Return, "\r", native=(36, 0xFF0D)), "xcb", NAMED["Return"]),
        (key(K.Key_Right, native=(114, 0xFF53)), "xcb", NAMED["Right"]),
        (key(K.Key_AltGr, native=(108, 0xFE03)), "xcb", NAMED["ISO_Level3_Shift"]),
        (key(K.Key_A, "a", native=(0x1E, 0x41)), "windows", (0x61, 0x1E)),
        (key(K.Key_Right, native=(0x14D, 0x27)), "windows", NAMED["Right"]),
        (key(K.Key_A, "a", native=(1, 0x00)), "cocoa", (0x61, 0x1E)),
        (key(K.Key_Meta, native=(1, 0x3B)), "cocoa", NAMED["Control_L"]),
        (key(K.Key_Z, "z"), "offscreen", (0x7A, 0x2C)),
        (key(K.Key_Exclam, "!", M.ShiftModifier), "offscreen", (0x21, 0x02)),
        (key(K.Key_C, "\x03", M.ControlModifier), "offscreen", (0x63, 0x2E)),
        (key(K.Key_F12), "offscreen", NAMED["F12"]),
        (key(K.Key_Tab, "\t"), "offscreen", NAMED["Tab"]),
        (key(K.Key_Backtab, "", M.ShiftModifier), "offscreen", NAMED["Tab"]),
        (key(K.Key_7, "7", M.KeypadModifier), "offscreen", NAMED["KP_7"]),
        (key(K.Key_Eacute, "é"), "offscreen", (0xE9, 0)),
        (key(K.Key_unknown), "offscreen", (0, 0)),
    ],
)
def test_what_a_key_means_and_where_it_is(event: QKeyEvent, platform: str, expected: tuple[int, int]) -> None:
    assert both(event, platform) == expected


def test_a_key_comes_up_as_it_went_down() -> None:
    held = HeldKeys("xcb")
    assert held.press(key(K.Key_A, "A", M.ShiftModifier, native=(38, 0x41))) == (0x41, 0x1E)
    assert held.release(key(K.Key_A, "a", kind=RELEASE, native=(38, 0x61))) == (0x41, 0x1E)
    assert held.release(key(K.Key_A, "a", kind=RELEASE, native=(38, 0x61))) is None


def test_a_repeated_key_is_pressed_again_and_not_released_between() -> None:
    held = HeldKeys("offscreen")
    assert held.press(key(K.Key_X, "x"))
    assert held.release(key(K.Key_X, "x", kind=RELEASE, repeated=True)) is None
    assert held.press(key(K.Key_X, "x", repeated=True)) == (0x78, 0x2D)
    assert held.release(key(K.Key_X, "x", kind=RELEASE)) == (0x78, 0x2D)


def test_all_are_released_at_once() -> None:
    held = HeldKeys("offscreen")
    held.press(key(K.Key_Shift))
    held.press(key(K.Key_X, "X", M.ShiftModifier))
    assert held.release_all() == [NAMED["Shift_L"], (0x58, 0x2D)]
    assert held.release_all() == []


def test_control_and_alt_alone_give_the_keyboard_back() -> None:
    held = HeldKeys("offscreen")
    held.press(key(K.Key_Control))
    assert not held.gives_back
    held.press(key(K.Key_Alt))
    chord = held.gives_back
    held.press(key(K.Key_F1))
    assert (chord, held.gives_back) == (True, False), "Ctrl+Alt+F1 is the guest's"


def test_altgr_on_windows_does_not() -> None:
    held = HeldKeys("windows")
    held.press(key(K.Key_Control, native=(0x1D, 0x11)))
    held.press(key(K.Key_AltGr, native=(0x138, 0x12)))
    assert not held.gives_back
