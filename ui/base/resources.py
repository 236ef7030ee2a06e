"""Where the files that ship with the program are: icons, themes, translations."""

from __future__ import annotations

import sys
from pathlib import Path


def folder() -> Path:
    """The ``resources`` folder: beside the packages in a checkout, in the unpacked bundle in a frozen program."""
    bundle = getattr(sys, "_MEIPASS", None)
    root = Path(bundle) if bundle else Path(__file__).resolve().parents[2]
    return root / "resources"


def read(*parts: str) -> str:
    """The text of one resource, for example ``read("icons", "vm-running.svg")``.

    :raise FileNotFoundError: there is no such resource.
    """
    return folder().joinpath(*parts).read_text(encoding="utf-8")
