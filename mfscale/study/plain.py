"""A guard between YAML and the rest: a study is a small tree of plain values."""

from collections.abc import Iterator

from mfscale.study.errors import StudyError
from mfscale.study.messages import Path, dotted, shown

LARGEST_TREE = 100_000
"""Values, aliases followed: a few nested YAML anchors can stand for billions of them."""

DEEPEST = 20
"""Levels; the syntax needs about ten, and an anchor may contain itself."""

_LARGEST_NUMBER = 2**63
"""What the columns of the results hold."""


def require_plain(tree: object) -> None:
    """Check that `tree` holds nothing but mappings with text keys, lists, numbers, text and null.

    Raises
    ------
    StudyError
        For anything else YAML can express, with its place: dates, binary, sets, keys that are
        numbers, unprintable characters, whole numbers beyond 64 bits, a tree too deep or large.
    """
    for count, (path, value) in enumerate(_walk(tree, ())):
        if count == LARGEST_TREE:
            raise StudyError(
                f"more than {LARGEST_TREE:,} values, YAML aliases followed; shorten the study"
            )
        if complaint := _complaint(value, len(path)):
            raise StudyError(f"{dotted(path)}: {complaint}" if path else complaint)


def _complaint(value: object, depth: int) -> str | None:
    match value:
        case dict() | list() if depth > DEEPEST:
            return f"nested more than {DEEPEST} deep; a study needs about ten levels"
        case dict():
            wrong = [key for key in value if not (isinstance(key, str) and key.isprintable())]
            return f"the key {shown(wrong[0])} is not text; put it in quotes" if wrong else None
        case str() if not value.isprintable():
            return f"{shown(value)} has characters that cannot be printed; type it again"
        case int() if abs(value) >= _LARGEST_NUMBER:
            return "the number is too large; give one that fits 64 bits"
        case list() | str() | int() | float() | None:
            return None
    return f"{shown(value)} is neither a number nor text; put it in quotes if text is meant"


def _walk(tree: object, path: Path) -> Iterator[tuple[Path, object]]:
    """Every value of a tree, a parent before what it holds."""
    yield path, tree
    if isinstance(tree, dict):
        for key, value in tree.items():
            yield from _walk(value, (*path, key))
    elif isinstance(tree, list):
        for index, value in enumerate(tree):
            yield from _walk(value, (*path, index))
