"""Rows for the nodes of a tree that grows to the right, packed as closely as no touching and no crossing allow.

Each branch is laid out by itself; then branches of one parent move up under each other until some depth forbids more.
A parent stands in the middle of its children, weighed by their leaves. Two nodes of one depth are a row apart at least.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass


@dataclass(slots=True)
class _Branch:
    """A branch that is laid out: its outline by depth, deepest first, so that a parent is added at the end.

    What is stored is less by ``shift`` than what is meant: a whole branch moves in one step.
    """

    tops: list[float]
    bottoms: list[float]
    least: float
    shift: float = 0.0


def rows(children: Mapping[str, Sequence[str]], order: Sequence[str], first: str) -> dict[str, float]:
    """The row of every node, from 0.

    :param order: every node after its parent, brothers from top to bottom.
    :param first: a leaf whose row nothing else may share or rise above, the end of the uppermost branch.
    """
    branches: dict[str, _Branch] = {}
    leaves: dict[str, int] = {}
    #: where a node stands in the frame of its branch, and where that frame starts in its parent's
    inside: dict[str, float] = {}
    offset: dict[str, float] = {}
    above_all = {first}
    for key in reversed(order):
        below = children[key]
        if not below:
            branches[key], leaves[key], inside[key] = _Branch([0.0], [0.0], 0.0), 1, 0.0
            continue
        leaves[key] = sum(leaves[child] for child in below)
        if below[0] in above_all:
            above_all.add(key)
        packed = _packed([branches.pop(child) for child in below], below, offset, strict=key in above_all)
        middle = sum((inside[child] + offset[child]) * leaves[child] for child in below) / leaves[key]
        packed.tops.append(middle - packed.shift)
        packed.bottoms.append(middle - packed.shift)
        packed.least = min(packed.least, middle)
        branches[key], inside[key] = packed, middle
    return _absolute(children, order, inside, offset)


def _packed(parts: list[_Branch], keys: Sequence[str], offset: dict[str, float], *, strict: bool) -> _Branch:
    """The branches of one parent in one frame, that of the first."""
    whole = parts[0]
    offset[keys[0]] = 0.0
    for key, part in zip(keys[1:], parts[1:], strict=True):
        common = min(len(whole.tops), len(part.tops))
        down = max(
            whole.bottoms[-1 - level] + whole.shift + 1 - part.tops[-1 - level] - part.shift for level in range(common)
        )
        if strict:
            down = max(down, whole.least + 1 - part.least)
        offset[key] = down
        part.shift += down
        whole = _merged(whole, part, common, part.least + down)
    return whole


def _merged(upper: _Branch, lower: _Branch, common: int, lower_least: float) -> _Branch:
    """One outline around both: the upper one's tops and the lower one's bottoms where both are."""
    least = min(upper.least, lower_least)
    if len(upper.tops) >= len(lower.tops):
        for level in range(1, common + 1):
            upper.bottoms[-level] = lower.bottoms[-level] + lower.shift - upper.shift
        upper.least = least
        return upper
    for level in range(1, common + 1):
        lower.tops[-level] = upper.tops[-level] + upper.shift - lower.shift
    lower.least = least
    return lower


def _absolute(
    children: Mapping[str, Sequence[str]],
    order: Sequence[str],
    inside: Mapping[str, float],
    offset: Mapping[str, float],
) -> dict[str, float]:
    frame = {order[0]: 0.0}
    found: dict[str, float] = {}
    for key in order:
        found[key] = frame[key] + inside[key]
        for child in children[key]:
            frame[child] = frame[key] + offset[child]
    least = min(found.values())
    return {key: row - least for key, row in found.items()}
