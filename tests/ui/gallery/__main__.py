"""Pictures of every widget, to be looked at: ``python -m tests.ui.gallery [folder]``.

Writes PNGs in both themes. Set QT_SCALE_FACTOR=2 for the pictures a dense screen would show.
"""

from __future__ import annotations

import os
import sys
from pathlib import Path

from PySide6.QtWidgets import QApplication

from tests.ui.gallery.pictures import draw


def main() -> None:
    os.environ.setdefault("QT_QPA_PLATFORM", "offscreen")
    folder = Path(sys.argv[1] if len(sys.argv) > 1 else "gallery")
    folder.mkdir(parents=True, exist_ok=True)
    app = QApplication([])
    for path in draw(folder, app):
        print(path)


if __name__ == "__main__":
    main()
