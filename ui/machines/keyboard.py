"""Keys from Qt to a guest: which keysym and which scancode a key event stands for, and what is held down."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final

from PySide6.QtCore import Qt
from PySide6.QtGui import QGuiApplication, QKeyEvent

from app.client.keys import (
    NAMED,
    keysym_of_character,
    scancode_of_evdev,
    scancode_of_keysym,
    scancode_of_mac,
    scancode_of_windows,
)

#: X11 and Wayland count keys from 8 (X11 protocol: key codes 0 to 7 are never used)
_FIRST_KEY = 8

_NAMES: Final[Mapping[Qt.Key, str]] = {
    Qt.Key.Key_Backspace: "BackSpace",
    Qt.Key.Key_Tab: "Tab",
    Qt.Key.Key_Backtab: "Tab",
    Qt.Key.Key_Return: "Return",
    Qt.Key.Key_Enter: "KP_Enter",
    Qt.Key.Key_Pause: "Pause",
    Qt.Key.Key_ScrollLock: "Scroll_Lock",
    Qt.Key.Key_SysReq: "Sys_Req",
    Qt.Key.Key_Escape: "Escape",
    Qt.Key.Key_Home: "Home",
    Qt.Key.Key_Left: "Left",
    Qt.Key.Key_Up: "Up",
    Qt.Key.Key_Right: "Right",
    Qt.Key.Key_Down: "Down",
    Qt.Key.Key_PageUp: "Page_Up",
    Qt.Key.Key_PageDown: "Page_Down",
    Qt.Key.Key_End: "End",
    Qt.Key.Key_Print: "Print",
    Qt.Key.Key_Insert: "Insert",
    Qt.Key.Key_Delete: "Delete",
    Qt.Key.Key_Menu: "Menu",
    Qt.Key.Key_NumLock: "Num_Lock",
    Qt.Key.Key_CapsLock: "Caps_Lock",
    Qt.Key.Key_Shift: "Shift_L",
    Qt.Key.Key_Control: "Control_L",
    Qt.Key.Key_Alt: "Alt_L",
    Qt.Key.Key_AltGr: "ISO_Level3_Shift",
    Qt.Key.Key_Meta: "Super_L",
    Qt.Key.Key_Super_L: "Super_L",
    Qt.Key.Key_Super_R: "Super_R",
    **{Qt.Key(Qt.Key.Key_F1.value + n): f"F{n + 1}" for n in range(12)},
}
_KEYPAD: Final = {
    "*": "KP_Multiply",
    "+": "KP_Add",
    "-": "KP_Subtract",
    ".": "KP_Decimal",
    ",": "KP_Decimal",
    "/": "KP_Divide",
    **{str(n): f"KP_{n}" for n in range(10)},
}
#: on a Mac, Qt calls Command "Control" and Control "Meta"
_ON_MAC: Final[Mapping[Qt.Key, str]] = {Qt.Key.Key_Control: "Super_L", Qt.Key.Key_Meta: "Control_L"}


def keysym(event: QKeyEvent, platform: str) -> int:
    """What the key means, 0 if that is not known. :param platform: Qt's name of it, as "xcb"."""
    if platform in ("xcb", "wayland") and event.nativeVirtualKey():
        return int(event.nativeVirtualKey())  # it is the keysym there
    key = Qt.Key(event.key())
    if platform == "cocoa" and key in _ON_MAC:
        return NAMED[_ON_MAC[key]][0]
    text = event.text()
    if event.modifiers() & Qt.KeyboardModifier.KeypadModifier and text in _KEYPAD:
        return NAMED[_KEYPAD[text]][0]
    if key in _NAMES:
        return NAMED[_NAMES[key]][0]
    if len(text) == 1 and text.isprintable():
        return keysym_of_character(text)
    code = event.key()
    if 0x20 <= code < 0x7F:  # with Ctrl held the text is a control character; Qt's keys are the capital letters
        shift = event.modifiers() & Qt.KeyboardModifier.ShiftModifier
        return code if shift else ord(chr(code).lower())
    return 0


def scancode(event: QKeyEvent, platform: str, meaning: int) -> int:
    """Where the key is: from the platform if it tells, else where a keyboard of the United States has its keysym."""
    native = event.nativeScanCode()
    if platform in ("xcb", "wayland"):
        found = scancode_of_evdev(native - _FIRST_KEY)
    elif platform == "windows":
        found = scancode_of_windows(native)
    elif platform == "cocoa":
        # letter A has the code 0: what is no key event of the keyboard cannot be told from it, but such have no text
        found = scancode_of_mac(event.nativeVirtualKey())
    else:
        found = 0
    return found or scancode_of_keysym(meaning)


class HeldKeys:
    """Which keys a guest thinks are down. Each comes up as it went down, whatever the modifiers say by then."""

    def __init__(self, platform: str = "") -> None:
        self._platform = platform or QGuiApplication.platformName()
        self._down: dict[tuple[int, int], tuple[int, int]] = {}
        self._chord = False

    def press(self, event: QKeyEvent) -> tuple[int, int] | None:
        """The (keysym, scancode) to send as pressed, again for each repetition; None if the key is not known."""
        meaning = keysym(event, self._platform)
        place = scancode(event, self._platform, meaning)
        if not meaning and not place:
            return None
        if not event.isAutoRepeat():
            self._down[_identity(event)] = (meaning, place)
            self._chord = _is_chord({name for name, _ in self._down.values()}, self._platform)
        return meaning, place

    def release(self, event: QKeyEvent) -> tuple[int, int] | None:
        """The key to send as released; None for a repetition, or if it never went down here."""
        return None if event.isAutoRepeat() else self._down.pop(_identity(event), None)

    def release_all(self) -> list[tuple[int, int]]:
        """Every key that is down, to be sent as released; none is afterwards."""
        held = list(self._down.values())
        self._down.clear()
        self._chord = False
        return held

    @property
    def gives_back(self) -> bool:
        """Ctrl and Alt were pressed with no other key: on release the keyboard belongs to the window again."""
        return self._chord


def _identity(event: QKeyEvent) -> tuple[int, int]:
    """What tells one key from another between press and release, while Shift may change what it means."""
    native = event.nativeScanCode()
    return (native, 0) if native else (0, event.key())


_CONTROLS: Final = {NAMED["Control_L"][0], NAMED["Control_R"][0]}
_ALTS: Final = {NAMED["Alt_L"][0], NAMED["Alt_R"][0], NAMED["Meta_L"][0]}


def _is_chord(keysyms: set[int], platform: str) -> bool:
    """Whether these are one Ctrl and one Alt. Windows says AltGr in the same way, as Ctrl with the right Alt."""
    if platform == "windows" and NAMED["Alt_R"][0] in keysyms:
        return False
    return len(keysyms) == 2 and bool(keysyms & _CONTROLS) and bool(keysyms & _ALTS)
