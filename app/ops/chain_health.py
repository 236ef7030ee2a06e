"""How the chains of a repository are: depths, what deleting frees, what waits to be merged. Pure functions.

Words: an image is *held* by the record of a disk; a *hidden* one, a base copy, has a record that nobody sees and is
there for the images built on it. Deleting disks frees every image that no other held one needs any more: what
`images.release` does, without doing it.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Collection, Iterable, Mapping
from dataclasses import dataclass
from functools import cached_property
from typing import Final

NOTHING: Final[frozenset[str]] = frozenset()


@dataclass(frozen=True)
class Chains:
    """The images of one repository.

    :ivar parents: image -> the one it builds on, "" for a root. A parent that is not in here is missing.
    :ivar sizes: image -> bytes that its own file takes.
    :ivar hidden: those that are base copies.
    """

    parents: Mapping[str, str]
    sizes: Mapping[str, int]
    hidden: Collection[str] = NOTHING

    @cached_property
    def children(self) -> Mapping[str, frozenset[str]]:
        """Image -> those directly on it."""
        found: dict[str, set[str]] = {}
        for image, parent in self.parents.items():
            if parent:
                found.setdefault(parent, set()).add(image)
        return {image: frozenset(on_it) for image, on_it in found.items()}

    def chain(self, image: str) -> tuple[str, ...]:
        """The image and those below it that are there, leaf first."""
        found: dict[str, None] = {}
        while image in self.parents and image not in found:
            found[image] = None
            image = self.parents[image]
        return tuple(found)

    def is_broken(self, image: str) -> bool:
        """Whether the image or one that it builds on is missing, or the chain goes round in a circle."""
        chain = self.chain(image)
        return not chain or bool(self.parents[chain[-1]])

    def below(self, images: Iterable[str]) -> frozenset[str]:
        """All images of the chains of these."""
        return frozenset(link for image in images for link in self.chain(image))

    def freed(self, doomed: Collection[str]) -> frozenset[str]:
        """The images that go at once when the disks of these are deleted."""
        gone: set[str] = set()
        for image in doomed:
            self._free(image, frozenset(doomed), gone)
        return frozenset(gone)

    def _free(self, image: str, doomed: frozenset[str], gone: set[str]) -> None:
        """From this image down as long as nothing else is built on it."""
        may_go = image in doomed
        while may_go and image in self.parents and image not in gone and self.children.get(image, NOTHING) <= gone:
            gone.add(image)
            image = self.parents[image]
            may_go = image in doomed or image in self.hidden

    def merges(self, images: Iterable[str]) -> frozenset[str]:
        """Of these, the hidden ones that a single image builds on: they can be merged with it."""
        return frozenset(i for i in images if i in self.hidden and len(self.children.get(i, NOTHING)) == 1)

    def merges_after(self, doomed: Collection[str]) -> frozenset[str]:
        """The images that deleting these leaves hidden with a single image on it."""
        gone = self.freed(doomed)
        left = self.below(doomed) - gone
        waiting = (i for i in left if i in doomed or i in self.hidden)
        return frozenset(i for i in waiting if len(self.children.get(i, NOTHING) - gone) == 1) - self.merges(left)

    def size(self, images: Iterable[str]) -> int:
        """What the files of these take, bytes."""
        return sum(self.sizes.get(image, 0) for image in images)


@dataclass(frozen=True)
class Memory:
    """A memory image: its bytes go when the last of the names that the file has is gone."""

    file: int
    size: int
    names: int


@dataclass(frozen=True)
class Owner:
    """A VM, a template or a snapshot, as far as one repository knows it.

    :ivar disks: the images of its disks.
    :ivar owned: those that go when it is deleted with its disks.
    """

    disks: frozenset[str] = NOTHING
    owned: frozenset[str] = NOTHING
    memory: tuple[Memory, ...] = ()


@dataclass(frozen=True)
class Health:
    """Of one owner, or of several that are deleted together. `exclusive`, `shared` and `merge` are bytes."""

    depth: int
    exclusive: int
    shared: int
    merge: int
    missing: int

    def as_map(self, limit: int) -> dict[str, str]:
        """As the API answers it."""
        return {
            "depth": str(self.depth),
            "depth-limit": str(limit),
            "exclusive": str(self.exclusive),
            "shared": str(self.shared),
            "merge": str(self.merge),
            "missing": str(self.missing),
        }


def health(chains: Chains, owners: Collection[Owner]) -> Health:
    """What deleting these owners together would free and leave, and how their chains are."""
    disks = frozenset(image for owner in owners for image in owner.disks)
    owned = frozenset(image for owner in owners for image in owner.owned)
    gone = chains.freed(owned)
    memory = [image for owner in owners for image in owner.memory]
    names = Counter(image.file for image in memory)
    freed = {image.file: image.size for image in memory if names[image.file] >= image.names}
    return Health(
        depth=max((len(chains.chain(image)) for image in disks), default=0),
        exclusive=chains.size(gone) + sum(freed.values()),
        shared=chains.size(chains.below(disks) - gone),
        merge=chains.size(chains.merges_after(owned)),
        missing=sum(1 for image in disks if chains.is_broken(image)),
    )


def together(parts: Iterable[Health]) -> Health:
    """The sums over several repositories; the depth is the greatest."""
    total = Health(0, 0, 0, 0, 0)
    for part in parts:
        total = Health(
            depth=max(total.depth, part.depth),
            exclusive=total.exclusive + part.exclusive,
            shared=total.shared + part.shared,
            merge=total.merge + part.merge,
            missing=total.missing + part.missing,
        )
    return total
