"""Loading a package without what it would load beside itself."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any


@contextmanager
def unwanted(name: str) -> Iterator[None]:
    """Within the block an import of this package fails, as if it were not installed. One that is loaded stays so.

    For packages that do without it then. Source: `sys.modules` in Python's reference, "The import system".
    """
    modules: dict[str, Any] = sys.modules
    if name in modules:
        yield
        return
    modules[name] = None
    try:
        yield
    finally:
        del modules[name]
