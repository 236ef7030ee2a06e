"""Which hidden images can be merged away, how, and what stands in the way. Pure functions.

Words: the *base* is a hidden image with one *child* left. A merge leaves one file of the two: by `commit` the child's
data goes down into the base, by `stream` the base's data goes up into the child. Which of them: a running VM's own disk
keeps its file, so only a stream reaches it; else the one that moves less.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping
from dataclasses import dataclass, replace
from typing import Final, Literal

Kind = Literal["commit", "stream"]

PRIORITY_DEPTH: Final = 16
"""From this length of chain on, merges go before all others: reads get slow, and the limit of 30 comes near."""
SMALL: Final = 64 << 20
"""A root of up to this many bytes may be streamed into a running VM's disk even if the disk holds less."""


@dataclass(frozen=True)
class Holder:
    """A VM that a disk belongs to, itself or by a snapshot; `uuid` and `device` only while its guest has it open."""

    vm: str
    uuid: str = ""
    device: str = ""


@dataclass(frozen=True)
class Disk:
    """A disk's record, as far as merging goes."""

    ref: str
    image: str
    hidden: bool
    size: int
    holders: tuple[Holder, ...] = ()


@dataclass(frozen=True)
class Merge:
    """One base that can go, now or later.

    :ivar vdi: the base's record.
    :ivar child_vdi: the record of its one child.
    :ivar parent: the image below the base; "" if the base is the root.
    :ivar grandchildren: the images directly on the child.
    :ivar images: base, child and all on top of them: nobody else may change them meanwhile.
    :ivar vms: the VMs whose disks and snapshots those are.
    :ivar guest: the one guest that has them open.
    :ivar depth: the longest chain through them.
    :ivar size: bytes to move at most, by the files' sizes.
    :ivar blocked: why it cannot be done now; "" if it can.
    """

    sr: str
    vdi: str
    child_vdi: str
    base: str
    child: str
    parent: str
    grandchildren: tuple[str, ...]
    images: frozenset[str]
    vms: frozenset[str]
    guest: Holder | None
    depth: int
    size: int
    blocked: str = ""

    @property
    def active(self) -> bool:
        """Whether the child is the file that a guest writes to."""
        return self.guest is not None and not self.grandchildren


def plan(
    sr: str, children: Mapping[str, Collection[str]], disks: Iterable[Disk], read: Collection[str] = ()
) -> list[Merge]:
    """The merges of a repository, the most pressing first: long chains, then what moves least.

    :param children: for every image, those directly on it.
    :param read: images that somebody reads just now, for an export or a copy.
    """
    tree = _Tree(children, disks)
    found = [tree.merge(sr, disk) for disk in tree.disks.values() if disk.hidden]
    merges = [_checked(merge, tree, read) for merge in found if merge is not None]
    return sorted(merges, key=lambda merge: (-max(merge.depth, PRIORITY_DEPTH - 1), merge.size, merge.base))


def choose(merge: Merge, commit_size: int, stream_size: int) -> Kind | str:
    """How to do it, given the bytes that either way has to move; a sentence if it had better wait.

    Without a guest always by commit: qemu-img's commit was killed hundreds of times and never lost a byte.
    """
    if merge.guest is None:
        return "commit"
    if not merge.active:
        return "stream" if stream_size < commit_size else "commit"
    if merge.parent or stream_size <= max(commit_size, SMALL):
        return "stream"
    return "The disk is small and what it builds on is large; they are merged when the VM is shut down."


def is_kind(answer: str) -> bool:
    """Whether `choose` chose."""
    return answer in ("commit", "stream")


def concerns(children: Mapping[str, Collection[str]], hidden: Iterable[str]) -> set[str]:
    """The images whose records `plan` looks at: hidden ones with one child, and all on top of them."""
    waiting = [image for image in hidden if len(children.get(image, ())) == 1]
    found: set[str] = set()
    while waiting:
        image = waiting.pop()
        if image not in found:
            found.add(image)
            waiting += children.get(image, ())
    return found


class _Tree:
    def __init__(self, children: Mapping[str, Collection[str]], disks: Iterable[Disk]) -> None:
        self.children = children
        self.parents = {child: parent for parent, on_it in children.items() for child in on_it}
        self.disks = {disk.image: disk for disk in disks}

    def merge(self, sr: str, base: Disk) -> Merge | None:
        """The merge of this base; None if none is due, or if the records do not know the images."""
        on_it = self.children.get(base.image, ())
        if len(on_it) != 1:
            return None
        (image,) = on_it
        child = self.disks.get(image)
        if child is None:
            return None
        images = {base.image} | self._above(image)
        holders = [holder for found in images if found in self.disks for holder in self.disks[found].holders]
        guests = [holder for holder in holders if holder.uuid]
        return Merge(
            sr=sr,
            vdi=base.ref,
            child_vdi=child.ref,
            base=base.image,
            child=image,
            parent=self.parents.get(base.image, ""),
            grandchildren=tuple(sorted(self.children.get(image, ()))),
            images=frozenset(images),
            vms=frozenset(holder.vm for holder in holders),
            guest=guests[0] if len(guests) == 1 else None,
            depth=self._below(base.image) + self._height(base.image),
            size=min(base.size, child.size),
            blocked="Several running VMs share it; it is merged when all but one are shut down." if guests[1:] else "",
        )

    def _above(self, image: str) -> set[str]:
        """The image and all on top of it."""
        return {found for level in self._levels(image) for found in level}

    def _height(self, image: str) -> int:
        return len(self._levels(image))

    def _levels(self, image: str) -> list[set[str]]:
        levels, seen = [{image}], {image}
        while following := {child for found in levels[-1] for child in self.children.get(found, ())} - seen:
            levels.append(following)
            seen |= following
        return levels

    def _below(self, image: str) -> int:
        count = 0
        while (image := self.parents.get(image, "")) and count <= len(self.parents):
            count += 1
        return count


def _checked(merge: Merge, tree: _Tree, read: Collection[str]) -> Merge:
    if merge.blocked:
        return merge
    if merge.images & set(read):
        return replace(merge, blocked="A copy or export reads it; it is merged afterwards.")
    unknown = merge.images - tree.disks.keys()
    if unknown:
        return replace(merge, blocked=f"The image {min(unknown)} on top of it has no record.")
    return merge
