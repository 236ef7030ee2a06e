"""A page that a feature adds to the properties of objects which another feature shows.

A feature registers what makes it in `Workspace.property_pages`; whoever shows properties asks all of them.
"""

from __future__ import annotations

from ui.base.wizard import WizardPage


class PropertyPage(WizardPage):
    """Saved with the other pages, after them."""

    async def save(self) -> None:
        """Send what was changed. :raise Failure: it was refused."""
        raise NotImplementedError

    def xe_line(self) -> str:
        """What a terminal would be told to save the same; "" where nothing was changed."""
        return ""

    def stop(self) -> None:
        """The page goes: end what it has begun."""
