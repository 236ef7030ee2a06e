"""Words that come from people and machines, shown as they are."""

from __future__ import annotations

import html

from PySide6.QtGui import Qt


def tooltip(text: str) -> str:
    """``text`` as a tooltip. Qt reads a tooltip that looks like HTML as HTML, and a VM may be called ``<b>``."""
    if not Qt.mightBeRichText(text):
        return text
    return f'<qt style="white-space: pre-wrap">{html.escape(text)}</qt>'


def no_mnemonic(text: str) -> str:
    """``text`` for a menu entry, button or tab: an ampersand in a name stays an ampersand."""
    return text.replace("&", "&&")
