"""The snapshot tree of one VM, from its records alone: Base, snapshots, Now, and where each stands.

Rows and depths are plain numbers; the graph turns them into places. Nothing here knows Qt.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from collections.abc import Set as AbstractSet
from dataclasses import dataclass
from typing import Final, Literal

from app.api import VM
from ui.snapshots.layout import rows

#: the keys of the two nodes that are no snapshots; a snapshot's key is its reference
BASE: Final = "base"
NOW: Final = "now"

Direction = Literal["left", "right", "up", "down"]


@dataclass(frozen=True, slots=True)
class Node:
    """One node. Children stand from top to bottom; ``row`` grows downwards and may be a fraction."""

    key: str
    parent: str
    children: tuple[str, ...]
    depth: int
    row: float
    on_path: bool


@dataclass(frozen=True, slots=True)
class Tree:
    """All nodes by key, and their order from the root on, each before its children and upper children first."""

    nodes: Mapping[str, Node]
    order: tuple[str, ...]

    @property
    def snapshots(self) -> tuple[str, ...]:
        """The references shown, in that order."""
        return tuple(key for key in self.order if key not in (BASE, NOW))

    @property
    def parent_of_now(self) -> str:
        """The snapshot that the current state grew from; ``BASE`` if there is none."""
        return self.nodes[NOW].parent

    @property
    def lowest(self) -> float:
        """The row of its lowest node; the uppermost has 0."""
        return max(node.row for node in self.nodes.values())

    @property
    def depth(self) -> int:
        """The depth of its deepest node; Base has 0."""
        return max(node.depth for node in self.nodes.values())


def build(parent_of_now: str, snapshots: Mapping[str, VM], hidden: AbstractSet[str] = frozenset()) -> Tree:
    """The tree of a VM whose ``parent`` is ``parent_of_now`` and whose snapshots are these.

    A hidden snapshot is skipped, and what grew from it hangs on its nearest shown ancestor. A parent that is not
    among the snapshots makes a root; parents that go in a circle are cut at the oldest.
    """
    parents = _without_circles(snapshots)
    shown_parent = _nearest_shown(parents, hidden)
    above: dict[str, str] = {
        ref: shown_parent(parents[ref]) for ref in sorted(snapshots, key=_age(snapshots)) if ref not in hidden
    }
    above[NOW] = shown_parent(parent_of_now if parent_of_now in snapshots else "")
    path = _path(above)
    children: dict[str, list[str]] = {key: [] for key in (BASE, *above)}
    for key, parent in above.items():
        children[parent].append(key)
    for below in children.values():
        below.sort(key=lambda key: key not in path)
    return _placed(children, above, path)


def _age(snapshots: Mapping[str, VM]) -> Callable[[str], tuple[float, str]]:
    return lambda ref: (snapshots[ref].snapshot_time.timestamp(), ref)


def _without_circles(snapshots: Mapping[str, VM]) -> dict[str, str]:
    """The parent of each snapshot, "" for a root."""
    parents = {ref: str(vm.parent) if vm.parent in snapshots else "" for ref, vm in snapshots.items()}
    settled: set[str] = {""}
    for start in snapshots:
        trail: dict[str, None] = {}
        ref = start
        while ref not in settled and ref not in trail:
            trail[ref] = None
            ref = parents[ref]
        if ref in trail:
            seen = list(trail)
            circle = seen[seen.index(ref) :]
            parents[min(circle, key=_age(snapshots))] = ""
        settled.update(trail)
    return parents


def _nearest_shown(parents: Mapping[str, str], hidden: AbstractSet[str]) -> Callable[[str], str]:
    found: dict[str, str] = {"": BASE}

    def nearest(ref: str) -> str:
        passed: list[str] = []
        while ref not in found and ref in hidden:
            passed.append(ref)
            ref = parents[ref]
        answer = found.get(ref, ref)
        found.update(dict.fromkeys(passed, answer))
        return answer

    return nearest


def _path(above: Mapping[str, str]) -> set[str]:
    """Now and everything it grew from."""
    path, key = {BASE}, NOW
    while key != BASE:
        path.add(key)
        key = above[key]
    return path


def _placed(children: Mapping[str, list[str]], above: Mapping[str, str], path: AbstractSet[str]) -> Tree:
    order: list[str] = []
    depth = {BASE: 0}
    waiting = [BASE]
    while waiting:
        key = waiting.pop()
        order.append(key)
        for child in reversed(children[key]):
            depth[child] = depth[key] + 1
            waiting.append(child)
    row = rows(children, order, NOW)
    nodes = {
        key: Node(key, above.get(key, ""), tuple(children[key]), depth[key], row[key], key in path) for key in order
    }
    return Tree(nodes, tuple(order))


def neighbour(tree: Tree, key: str, direction: Direction) -> str:
    """The snapshot that an arrow key leads to from ``key``; ``key`` itself at an edge.

    Left is the parent, right the upper child, up and down the next one of the same column, brothers before cousins.
    """
    node = tree.nodes[key]
    if direction == "left":
        return node.parent if node.parent not in (BASE, "") else key
    if direction == "right":
        return next((child for child in node.children if child != NOW), key)
    column = [n for n in tree.nodes.values() if n.depth == node.depth and n.key not in (BASE, NOW)]
    further = [n for n in column if (n.row < node.row if direction == "up" else n.row > node.row)]
    return min(further, key=lambda n: abs(n.row - node.row), default=node).key


def between(tree: Tree, first: str, last: str) -> tuple[str, ...]:
    """The snapshots from one to another in the tree's order, both included."""
    order = tree.snapshots
    ends = sorted((order.index(first), order.index(last)))
    return order[ends[0] : ends[1] + 1]


def successor(order: tuple[str, ...], gone: AbstractSet[str]) -> str:
    """What to choose after ``gone`` disappeared from ``order``: the next one that is left, or else the one before."""
    last = max((place for place, key in enumerate(order) if key in gone), default=-1)
    after = next((key for key in order[last + 1 :] if key not in gone), "")
    return after or next((key for key in reversed(order[: max(last, 0)]) if key not in gone), "")
