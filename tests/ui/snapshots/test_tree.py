"""The tree: nothing is lost, nothing crosses, and the way to Now is on top."""

from __future__ import annotations

import itertools
from collections.abc import Sequence
from datetime import UTC, datetime, timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from app.api import NULL, VM, Ref
from ui.snapshots.tree import BASE, NOW, Tree, between, build, neighbour, successor

START = datetime(2026, 11, 1, tzinfo=UTC)


def snapshots(**parents: str) -> dict[str, VM]:
    """Snapshots by key with their parents' keys, each a day younger than the one before."""
    return {
        key: VM(is_a_snapshot=True, snapshot_time=START + timedelta(days=day), parent=Ref(parent) if parent else NULL)
        for day, (key, parent) in enumerate(parents.items())
    }


def edges(tree: Tree) -> set[tuple[str, str]]:
    return {(node.parent, node.key) for node in tree.nodes.values() if node.parent}


def test_a_vm_without_snapshots_has_base_and_now() -> None:
    tree = build(NULL, {})
    assert tree.order == (BASE, NOW)
    assert tree.snapshots == ()
    assert tree.parent_of_now == BASE


def test_branches_hang_where_they_grew() -> None:
    tree = build("b", snapshots(a="", b="a", c="a", d="c"))
    assert edges(tree) == {(BASE, "a"), ("a", "b"), ("a", "c"), ("c", "d"), ("b", NOW)}
    assert tree.parent_of_now == "b"
    assert [tree.nodes[key].depth for key in ("a", "b", "d", NOW)] == [1, 2, 3, 3]


def test_the_way_to_now_is_the_upper_branch() -> None:
    tree = build("d", snapshots(a="", b="a", c="a", d="c"))
    assert tree.nodes["a"].children == ("c", "b")
    assert {key for key, node in tree.nodes.items() if node.on_path} == {BASE, "a", "c", "d", NOW}
    assert tree.nodes[NOW].row < tree.nodes["b"].row


def test_now_stands_above_what_else_grew_from_its_parent() -> None:
    tree = build("a", snapshots(a="", b="a"))
    assert tree.nodes["a"].children == (NOW, "b")


def test_other_branches_are_in_order_of_time() -> None:
    records = snapshots(late="", early="")
    records["late"] = VM(snapshot_time=START + timedelta(days=9))
    assert build(NULL, records).nodes[BASE].children == (NOW, "early", "late")


def test_hidden_ones_are_skipped_and_their_children_move_up() -> None:
    tree = build("c", snapshots(a="", b="a", c="b", d="c"), hidden={"b", "c"})
    assert edges(tree) == {(BASE, "a"), ("a", NOW), ("a", "d")}


def test_hidden_roots_leave_their_children_to_base() -> None:
    assert edges(build("b", snapshots(a="", b="a"), hidden={"a"})) == {(BASE, "b"), ("b", NOW)}


def test_a_parent_that_is_gone_makes_a_root() -> None:
    tree = build("gone", snapshots(a="gone", b="a"))
    assert edges(tree) == {(BASE, "a"), ("a", "b"), (BASE, NOW)}


@pytest.mark.parametrize("parents", [{"a": "a"}, {"a": "b", "b": "a"}, {"a": "c", "b": "a", "c": "b", "d": "b"}])
def test_a_circle_is_cut_at_its_oldest(parents: dict[str, str]) -> None:
    tree = build("b" if "b" in parents else "a", snapshots(**parents))
    assert set(tree.snapshots) == set(parents)
    assert tree.nodes["a"].parent == BASE


def test_a_thousand_in_a_row() -> None:
    keys = [f"s{n:04}" for n in range(1000)]
    records = snapshots(**dict(zip(keys, ["", *keys], strict=False)))
    tree = build(keys[-1], records)
    assert tree.snapshots == tuple(keys)
    assert tree.depth == 1001
    assert tree.lowest == 0
    assert build(keys[-1], records, hidden=set(keys[1:])).parent_of_now == keys[0]


@st.composite
def any_records(draw: st.DrawFn) -> tuple[dict[str, VM], str, set[str]]:
    keys = [f"s{n}" for n in range(draw(st.integers(0, 24)))]
    parent = st.sampled_from([*keys, "", "gone"])
    records = snapshots(**{key: draw(parent) for key in keys})
    return records, draw(parent), set(draw(st.lists(st.sampled_from(keys)))) if keys else set()


@given(any_records())
def test_every_shown_snapshot_is_in_the_tree_once(given_: tuple[dict[str, VM], str, set[str]]) -> None:
    records, now, hidden = given_
    tree = build(now, records, hidden)
    assert sorted(tree.snapshots) == sorted(set(records) - hidden)
    assert set(tree.order) == set(tree.nodes)
    assert all(tree.order.index(parent) < tree.order.index(child) for parent, child in edges(tree))
    for key, node in tree.nodes.items():
        assert all(tree.nodes[child].parent == key for child in node.children)


@given(any_records())
def test_no_two_lines_cross_and_no_two_nodes_touch(given_: tuple[dict[str, VM], str, set[str]]) -> None:
    tree = build(given_[1], given_[0], given_[2])
    for depth in range(tree.depth + 1):
        column = sorted((n for n in tree.nodes.values() if n.depth == depth), key=lambda n: n.row)
        assert all(lower.row - upper.row > 0.999 for upper, lower in itertools.pairwise(column))
        parents = [tree.nodes[n.parent].row for n in column if n.parent]
        assert parents == sorted(parents)
        spans = _spans(tree, column[0].depth)
        assert all(lower[0] > upper[1] for upper, lower in itertools.pairwise(spans))


def _spans(tree: Tree, depth: int) -> Sequence[tuple[float, float]]:
    """The upright strokes between one column and the next: from the uppermost to the lowest child of each parent."""
    found = []
    for node in tree.nodes.values():
        if node.depth == depth and node.children:
            rows = [tree.nodes[child].row for child in node.children] + [node.row]
            found.append((min(rows), max(rows)))
    return sorted(found)


@given(any_records())
def test_now_is_above_everything_beside_its_way(given_: tuple[dict[str, VM], str, set[str]]) -> None:
    tree = build(given_[1], given_[0], given_[2])
    others = [n.row for n in tree.nodes.values() if n.key not in (BASE, NOW) and not n.on_path]
    assert tree.nodes[NOW].row == 0
    assert all(row > 0.999 for row in others)


def test_branches_move_up_under_each_other() -> None:
    """a - b - now, c, d: f hangs right below a, beside d."""
    tree = build("b", snapshots(a="", b="a", c="b", d="b", f=""))
    assert tree.nodes["f"].row == tree.nodes["a"].row + 1 == tree.nodes["d"].row


def test_a_thousand_on_one_parent() -> None:
    tree = build(NULL, snapshots(**{f"s{n:04}": "" for n in range(1000)}))
    assert tree.lowest == 1000


@pytest.fixture
def branched() -> Tree:
    """base - a - b - now
    |   - c
    d"""
    return build("b", snapshots(a="", b="a", c="a", d=""))


@pytest.mark.parametrize(
    ("key", "left", "right", "up", "down"),
    [("a", "a", "b", "a", "d"), ("b", "a", "b", "b", "c"), ("c", "a", "c", "b", "c"), ("d", "d", "d", "a", "d")],
)
def test_arrow_keys_follow_the_tree(branched: Tree, key: str, left: str, right: str, up: str, down: str) -> None:
    assert neighbour(branched, key, "left") == left
    assert neighbour(branched, key, "right") == right
    assert neighbour(branched, key, "up") == up
    assert neighbour(branched, key, "down") == down


def test_a_range_has_both_ends(branched: Tree) -> None:
    assert between(branched, "c", "a") == between(branched, "a", "c") == ("a", "b", "c")


@pytest.mark.parametrize(
    ("gone", "chosen"), [({"b"}, "c"), ({"d"}, "c"), ({"a", "b"}, "c"), ({"a", "b", "c", "d"}, ""), ({"x"}, "a")]
)
def test_after_a_deletion_the_next_is_chosen(gone: set[str], chosen: str) -> None:
    assert successor(("a", "b", "c", "d"), gone) == chosen
