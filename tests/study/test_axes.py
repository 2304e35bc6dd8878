"""Axes: every combination once, zipped ones together, literal lists left alone."""

from collections import Counter
from math import prod
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from mfscale.study import StudyError
from mfscale.study.axes import combinations, count, find_axes, resolve

KEYS = st.text("abcdefgh", min_size=1, max_size=3)
LENGTHS = {"even": 2, "odd": 3}
SCALARS = st.none() | st.booleans() | st.integers(0, 99) | st.sampled_from(["x", "y"])
DISTINCT = st.lists(st.integers(), min_size=1, max_size=3, unique=True)
ZIPPED = st.sampled_from(sorted(LENGTHS)).map(
    lambda name: {"zip": name, "values": list(range(LENGTHS[name]))}
)
LITERALS = st.builds(lambda values: {"literal": values}, st.lists(st.integers(), max_size=3))
TREES = st.recursive(
    SCALARS | DISTINCT | ZIPPED | LITERALS,
    lambda inner: st.dictionaries(KEYS, inner, max_size=3),
    max_leaves=5,
)


def axis_leaves(tree: Any) -> list[Any]:  # noqa: ANN401 - plain values
    """Count the axes of a tree in another way than the code under test."""
    if isinstance(tree, list) or (isinstance(tree, dict) and "zip" in tree):
        return [tree]
    if isinstance(tree, dict) and "literal" not in tree:
        return [leaf for value in tree.values() for leaf in axis_leaves(value)]
    return []


def all_resolved(tree: Any) -> list[Any]:  # noqa: ANN401
    axes = find_axes(tree)
    return [resolve(tree, chosen) for chosen in combinations(axes)]


@given(st.dictionaries(KEYS, TREES, max_size=3))
def test_axes_multiply_and_a_zip_group_counts_once(tree: dict[str, Any]) -> None:
    leaves = axis_leaves(tree)
    free = [len(leaf) for leaf in leaves if isinstance(leaf, list)]
    groups = {leaf["zip"] for leaf in leaves if isinstance(leaf, dict)}
    expected = prod(free) * prod(LENGTHS[name] for name in groups)
    chosen = list(combinations(find_axes(tree)))
    assert count(find_axes(tree)) == len(chosen) == expected
    # No two alike: the values of each axis differ, by how they were drawn.
    assert len({tuple(sorted(each.items())) for each in chosen}) == expected


@given(st.dictionaries(KEYS, TREES, max_size=3))
def test_every_value_of_an_axis_turns_up_equally_often(tree: dict[str, Any]) -> None:
    axes = find_axes(tree)
    chosen = list(combinations(axes))
    for axis in axes:
        often = Counter(each[axis.path] for each in chosen)
        assert set(often) == set(axis.values)
        assert len(set(often.values())) == 1


@given(st.dictionaries(KEYS, SCALARS | st.dictionaries(KEYS, SCALARS, max_size=2), max_size=3))
def test_a_tree_without_axes_is_its_own_only_combination(tree: dict[str, Any]) -> None:
    assert all_resolved(tree) == [tree]


def test_the_last_axis_turns_fastest() -> None:
    found = all_resolved({"seed": [0, 1], "heads": {"cc": {"size": [50, 200], "subset": "a"}}})
    assert [(each["seed"], each["heads"]["cc"]["size"]) for each in found] == [
        (0, 50),
        (0, 200),
        (1, 50),
        (1, 200),
    ]


def test_zipped_axes_advance_together_and_multiply_with_the_rest() -> None:
    tree = {
        "cc": {"zip": "mix", "values": [100, 50]},
        "dft": {"zip": "mix", "values": [0, 500]},
        "seed": [0, 1, 2],
    }
    mixes = Counter((each["cc"], each["dft"]) for each in all_resolved(tree))
    assert mixes == {(100, 0): 3, (50, 500): 3}


def test_a_literal_list_is_one_value() -> None:
    assert all_resolved({"cuts": {"literal": [1, 2]}, "seed": [0, 1]}) == [
        {"cuts": [1, 2], "seed": 0},
        {"cuts": [1, 2], "seed": 1},
    ]


def test_a_literal_may_be_a_value_of_an_axis() -> None:
    assert all_resolved({"cuts": [{"literal": [1, 2]}, 3]}) == [{"cuts": [1, 2]}, {"cuts": 3}]


@given(st.integers(1, 5), st.integers(1, 5))
def test_zipped_axes_must_be_equally_long(first: int, second: int) -> None:
    tree = {
        "seed": {"zip": "s", "values": list(range(first))},
        "data_seed": {"zip": "s", "values": list(range(second))},
    }
    if first == second:
        assert len(all_resolved(tree)) == first
        return
    with pytest.raises(StudyError, match=f"'s'.*seed has {first}, data_seed has {second}"):
        all_resolved(tree)


@pytest.mark.parametrize(
    "axis",
    [
        {"zip": "s"},
        {"zip": "s", "values": []},
        {"zip": "s", "values": 3},
        {"zip": 1, "values": [1]},
        {"zip": "", "values": [1]},
        {"zip": "s", "values": [1], "size": 2},
    ],
)
def test_a_malformed_zip_says_how_it_is_written(axis: dict[str, Any]) -> None:
    with pytest.raises(StudyError, match=r"^model\.size: .*\{zip: NAME, values: \["):
        find_axes({"model": {"size": axis}})


def test_an_empty_axis_is_named_by_its_place() -> None:
    with pytest.raises(StudyError, match=r"^model\.size: the list is empty"):
        find_axes({"model": {"size": []}})
