"""The plan of merging, from records and chains alone."""

from __future__ import annotations

from app.ops.coalesce import SMALL, Disk, Holder, Merge, choose, concerns, plan

RUNNING = Holder("vm", "uuid", "disk0")
HALTED = Holder("vm")


def disk(image: str, *holders: Holder, size: int = 100) -> Disk:
    return Disk(f"ref-{image}", image, not holders, size, holders)


def children_of(parents: dict[str, str]) -> dict[str, frozenset[str]]:
    images = {*parents, *parents.values()} - {""}
    return {image: frozenset(child for child, parent in parents.items() if parent == image) for image in images}


def planned(parents: dict[str, str], *disks: Disk, read: tuple[str, ...] = ()) -> list[Merge]:
    return plan("sr", children_of(parents), disks, read)


def test_a_hidden_image_with_one_child_is_due() -> None:
    (merge,) = planned(
        {"base": "root", "child": "base", "leaf": "child"},
        disk("root", HALTED), disk("base"), disk("child", HALTED, size=30), disk("leaf", Holder("clone")),
    )  # fmt: skip
    assert (merge.base, merge.child, merge.parent, merge.grandchildren) == ("base", "child", "root", ("leaf",))
    assert merge.images == {"base", "child", "leaf"}
    assert merge.vms == {"vm", "clone"}
    assert (merge.depth, merge.size, merge.guest, merge.blocked) == (4, 30, None, "")


def test_what_has_two_children_none_or_a_name_is_not() -> None:
    assert planned({"a": "base", "b": "base"}, disk("base"), disk("a", HALTED), disk("b", HALTED)) == []
    assert planned({"base": ""}, disk("base")) == []
    assert planned({"a": "base"}, disk("base", HALTED), disk("a", HALTED)) == []
    assert planned({"a": "base"}, disk("base")) == []  # nobody knows the child


def test_two_guests_block_and_one_does_it() -> None:
    parents = {"child": "base", "one": "child", "two": "child"}
    other = Holder("clone", "uuid2", "disk0")
    disks = [disk("base"), disk("child", HALTED), disk("one", RUNNING)]
    (merge,) = planned(parents, *disks, disk("two", other))
    assert "Several running VMs" in merge.blocked and merge.guest is None
    (merge,) = planned(parents, *disks, disk("two", Holder("clone")))
    assert (merge.blocked, merge.guest, merge.active) == ("", RUNNING, False)


def test_a_reader_anywhere_above_blocks() -> None:
    disks = [disk("base"), disk("child", HALTED), disk("leaf", HALTED)]
    for image in ("base", "child", "leaf"):
        (merge,) = planned({"child": "base", "leaf": "child"}, *disks, read=(image,))
        assert "copy or export" in merge.blocked
    assert planned({"child": "base", "leaf": "child"}, *disks, read=("other",))[0].blocked == ""


def test_an_image_without_a_record_blocks() -> None:
    (merge,) = planned({"child": "base", "stranger": "child"}, disk("base"), disk("child", HALTED))
    assert "stranger" in merge.blocked


def test_long_chains_go_first_then_what_moves_least() -> None:
    parents = {f"l{n}": f"l{n - 1}" for n in range(1, 20)} | {"a": "ha", "b": "hb"}
    long = [disk(f"l{n}", HALTED) for n in range(20) if n != 5]
    merges = planned(
        parents,
        *long,
        disk("l5", size=900),
        disk("ha", size=20),
        disk("a", HALTED),
        disk("hb"),
        disk("b", HALTED, size=9),
    )
    assert [merge.base for merge in merges] == ["l5", "hb", "ha"]


def test_what_a_merge_concerns() -> None:
    children = children_of({"base": "root", "child": "base", "a": "child", "b": "child", "x": "two", "y": "two"})
    assert concerns(children, ["base", "two"]) == {"base", "child", "a", "b"}
    assert concerns(children_of({"a": "b", "b": "a"}), ["a"]) == {"a", "b"}


def test_images_in_a_circle_end() -> None:
    assert planned({"a": "b", "b": "a"}, disk("a"), disk("b", HALTED))[0].depth >= 2


def case(holder: Holder, *, leaf: bool, parent: str = "root") -> Merge:
    parents = {"base": parent, "child": "base"} | ({} if leaf else {"leaf": "child"})
    child = disk("child", holder if leaf else HALTED)
    disks = [
        disk("base"),
        child,
        *([] if leaf else [disk("leaf", holder)]),
        *([disk("root", HALTED)] if parent else []),
    ]
    (merge,) = planned(parents, *disks)
    return merge


def test_which_operation() -> None:
    assert choose(case(HALTED, leaf=True), 10**9, 1) == "commit"
    assert choose(case(RUNNING, leaf=False), 2, 1) == "stream"
    assert choose(case(RUNNING, leaf=False), 1, 2) == "commit"
    assert choose(case(RUNNING, leaf=False, parent=""), 1, 10**9) == "commit"
    assert choose(case(RUNNING, leaf=True), 1, 10**9) == "stream"  # never into the active layer's parent


def test_a_large_root_waits_for_the_guest_s_end() -> None:
    merge = case(RUNNING, leaf=True, parent="")
    assert merge.active
    assert choose(merge, 0, SMALL) == "stream"
    assert choose(merge, 2 * SMALL, 2 * SMALL) == "stream"
    assert "shut down" in choose(merge, SMALL, 2 * SMALL)
