"""What the card of a snapshot says. Worked out when it is looked at: of a thousand cards few ever are."""

from __future__ import annotations

from functools import cached_property

from app.api import VM
from ui.base.sizes_and_dates import exact
from ui.snapshots import words


class CardContent:
    """The words of one card at one moment. Another moment or another record needs another one.

    :param busy: what is done to it now, "" for nothing; stands in place of the age.
    """

    def __init__(self, record: VM, *, on_path: bool = False, busy: str = "") -> None:
        self.record = record
        self.on_path = on_path
        self.busy = busy

    @cached_property
    def name(self) -> str:
        """The first line."""
        return self.record.name_label or "Without a name"

    @cached_property
    def second(self) -> str:
        """The second line."""
        return self.busy or words.age_of(self.record)

    @cached_property
    def icon(self) -> str:
        """The icon of its type."""
        return words.icon_of(self.record)

    @cached_property
    def badges(self) -> tuple[tuple[str, str], ...]:
        """The marks in the corner: icon and meaning."""
        return words.badges_of(self.record)

    @cached_property
    def screen(self) -> str:
        """The blob with the guest's screen."""
        return words.screen_of(self.record)

    @cached_property
    def tooltip(self) -> str:
        """The whole name, the moment, the type, the description and what the marks mean."""
        kind = f"{exact(self.record.snapshot_time)} · {words.type_of(self.record)}"
        lines = [self.name, kind, self.record.name_description.strip()[:300], *self._marks]
        return "\n".join(filter(None, lines))

    @cached_property
    def spoken(self) -> str:
        """All of it in one line, for a screen reader."""
        way = "on the way to Now" if self.on_path else ""
        said = [self.name, words.type_of(self.record), words.age_of(self.record), *self._marks, way, self.busy]
        return ", ".join(filter(None, said))

    @property
    def _marks(self) -> list[str]:
        return [meaning for icon, meaning in self.badges if icon != "memory"]  # the type says that one
