"""What deleting frees, against the plain definition: an image is needed if a held one is it or is built on it."""

from __future__ import annotations

import random
from collections.abc import Collection

from hypothesis import given
from hypothesis import strategies as st

from app.ops.chain_health import Chains, Memory, Owner, health, together


@st.composite
def forests(draw: st.DrawFn) -> Chains:
    """Images built on each other, some of them hidden. A hidden one has something built on it, as the engine keeps."""
    count = draw(st.integers(1, 14))
    parents = {"0": ""}
    for number in range(1, count):
        parents[str(number)] = draw(st.sampled_from(["", *(str(n) for n in range(number))]))
    inner = sorted(set(parents.values()) - {""})
    hidden = draw(st.sets(st.sampled_from(inner))) if inner else set()
    return Chains(parents, {image: 1 << int(image) for image in parents}, frozenset(hidden))


def needed(chains: Chains, held: Collection[str]) -> set[str]:
    found = set()
    for image in held:
        while image:
            found.add(image)
            image = chains.parents[image]
    return found


def held(chains: Chains) -> set[str]:
    return set(chains.parents) - set(chains.hidden)


@given(forests(), st.data())
def test_what_is_freed_is_what_nobody_needs_any_more(chains: Chains, data: st.DataObject) -> None:
    before = held(chains)
    doomed = data.draw(st.sets(st.sampled_from(sorted(before)))) if before else set()
    expected = needed(chains, before) - needed(chains, before - doomed)
    assert chains.freed(doomed) == expected
    order = sorted(doomed)
    random.Random(1).shuffle(order)
    assert chains.freed(order) == expected
    assert chains.size(chains.freed(doomed)) == sum(1 << int(image) for image in expected)


@given(forests(), st.data())
def test_the_parts_add_up(chains: Chains, data: st.DataObject) -> None:
    doomed = frozenset(data.draw(st.sets(st.sampled_from(sorted(held(chains)))))) if held(chains) else frozenset()
    found = health(chains, [Owner(disks=doomed, owned=doomed)])
    assert found.exclusive + found.shared == chains.size(needed(chains, doomed))
    assert found.depth == max((len(chains.chain(image)) for image in doomed), default=0)
    assert found.missing == 0


@given(forests(), st.data())
def test_a_merge_is_due_where_one_child_is_left(chains: Chains, data: st.DataObject) -> None:
    doomed = data.draw(st.sets(st.sampled_from(sorted(held(chains))))) if held(chains) else set()
    gone = chains.freed(doomed)
    left = Chains({i: p for i, p in chains.parents.items() if i not in gone}, {}, (chains.hidden | doomed) - gone)  # type: ignore[operator]
    due = left.merges(left.parents) - chains.merges(chains.parents)
    below = chains.below(doomed)
    assert chains.merges_after(doomed) == due & below


@given(forests(), st.data())
def test_a_missing_image_breaks_all_above_it(chains: Chains, data: st.DataObject) -> None:
    lost = data.draw(st.sampled_from(sorted(chains.parents)))
    rest = Chains({image: parent for image, parent in chains.parents.items() if image != lost}, {}, chains.hidden)
    for image in chains.parents:
        assert rest.is_broken(image) == (lost in needed(chains, [image]))


def test_a_circle_is_broken_and_ends() -> None:
    chains = Chains({"a": "b", "b": "a"}, {"a": 1, "b": 1})
    assert chains.is_broken("a")
    assert chains.chain("a") == ("a", "b")


def test_memory_goes_with_its_last_name() -> None:
    one, other = Owner(memory=(Memory(5, 100, 2),)), Owner(memory=(Memory(5, 100, 2), Memory(6, 7, 1)))
    chains = Chains({}, {})
    assert [health(chains, owners).exclusive for owners in ([one], [other], [one, other])] == [0, 7, 107]


def test_figures_of_repositories_are_added() -> None:
    a, b = Chains({"a": "", "b": "a"}, {"a": 1, "b": 2}), Chains({"c": ""}, {"c": 4})
    found = together([health(a, [Owner(frozenset("b"), frozenset("b"))]), health(b, [Owner(frozenset("c"))])])
    assert (found.depth, found.exclusive, found.shared) == (2, 2, 5)
