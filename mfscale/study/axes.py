"""Axes of a study: find the lists in a tree of plain values, and make every combination.

A list where one value is expected is an axis, and axes multiply. `{zip: mix, values: [1, 2]}` is
an axis that advances together with every other axis of the same name, so that a mix of labels can
keep its cost constant. `{literal: [1, 2]}` is the list itself.
"""

import itertools
from collections.abc import Iterator
from dataclasses import dataclass
from math import prod
from typing import Any

from mfscale.study.errors import StudyError
from mfscale.study.messages import Path, dotted


@dataclass(frozen=True)
class Axis:
    """Values that take turns at one place of a tree; axes of one `group` advance together."""

    path: Path
    values: tuple[Any, ...]
    group: str | None


def find_axes(tree: Any, path: Path = ()) -> list[Axis]:  # noqa: ANN401 - plain YAML values
    """Every axis of `tree`, in the order of the file.

    Raises
    ------
    StudyError
        For an empty axis or a malformed `zip`.
    """
    if isinstance(tree, list):
        if not tree:
            raise StudyError(f"{dotted(path)}: the list is empty; give at least one value")
        return [Axis(path, tuple(tree), None)]
    if not isinstance(tree, dict) or _is_literal(tree):
        return []
    if "zip" in tree:
        return [_zipped(tree, path)]
    return [axis for key, value in tree.items() for axis in find_axes(value, (*path, key))]


def combinations(axes: list[Axis]) -> Iterator[dict[Path, Any]]:
    """Every combination of the axes' values, as path → value; the last axis turns fastest.

    Raises
    ------
    StudyError
        When axes of one `zip` group differ in length.
    """
    groups: dict[object, list[Axis]] = {}
    for axis in axes:
        groups.setdefault(axis.group or axis.path, []).append(axis)
    for name, members in groups.items():
        if len({len(axis.values) for axis in members}) > 1:
            lengths = ", ".join(f"{dotted(a.path)} has {len(a.values)}" for a in members)
            raise StudyError(f"axes zipped as {name!r} must be equally long: {lengths}")
    turns = [
        list(zip(*(axis.values for axis in members), strict=True)) for members in groups.values()
    ]
    paths = [axis.path for members in groups.values() for axis in members]
    for chosen in itertools.product(*turns):
        yield dict(zip(paths, itertools.chain.from_iterable(chosen), strict=True))


def count(axes: list[Axis]) -> int:
    """How many combinations `combinations` would make."""
    return prod({axis.group or axis.path: len(axis.values) for axis in axes}.values())


def resolve(tree: Any, chosen: dict[Path, Any], path: Path = ()) -> Any:  # noqa: ANN401
    """`tree` with each axis replaced by its chosen value and each literal by its list."""
    if path in chosen:
        tree = chosen[path]
    if isinstance(tree, dict):
        if _is_literal(tree):
            return tree["literal"]
        return {key: resolve(value, chosen, (*path, key)) for key, value in tree.items()}
    return tree


def _is_literal(tree: dict[Any, Any]) -> bool:
    return set(tree) == {"literal"}


def _zipped(tree: dict[Any, Any], path: Path) -> Axis:
    name, values = tree.get("zip"), tree.get("values")
    if (
        set(tree) != {"zip", "values"}
        or not isinstance(name, str)
        or not name
        or not isinstance(values, list)
        or not values
    ):
        raise StudyError(
            f"{dotted(path)}: a zipped axis is written {{zip: NAME, values: [first, second, …]}}"
        )
    return Axis(path, tuple(values), name)
