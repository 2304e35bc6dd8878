"""Subsets that a source itself names: what its words mean, and one subset for each structure."""

import numpy as np
from numpy.typing import NDArray

from mfscale.data.splits import NO_SUBSET, SUBSETS

SPLIT = "source"
"""Name of the split that a source brings."""

_VALIDATION = 16
_WORDS = {
    **{name: name for name in SUBSETS},
    **dict.fromkeys(("train", "training"), "a"),
    **dict.fromkeys(("val", "valid", "validation"), "a/validation"),
    **dict.fromkeys(("test", "testing"), "t"),
}

WORDS = ", ".join(_WORDS)
"""What a source may call a subset; ``a/validation`` is the part of `a` kept for validation."""


def code_of(word: str) -> int | None:
    """Code of a subset, `NO_SUBSET` for an empty word, None for a word that means none.

    >>> code_of("b"), code_of("Test"), code_of("a/validation"), code_of("")
    (1, 3, 16, 255)
    """
    if not word:
        return NO_SUBSET
    name = _WORDS.get(word.strip().lower(), word)
    subset, _, part = name.partition("/")
    if subset not in SUBSETS or part not in {"", "validation"}:
        return None
    return SUBSETS.index(subset) + (_VALIDATION if part else 0)


def code_of_subset(subset: int, *, validation: bool) -> int:
    """Code of a subset's place in `SUBSETS`, or of none; `t` has no part for validation."""
    kept_back = validation and subset < SUBSETS.index("t")
    return subset + _VALIDATION if kept_back else subset


def word_of(code: int) -> str:
    """The word that `code_of` reads as this code."""
    if code == NO_SUBSET:
        return ""
    return SUBSETS[code % _VALIDATION] + ("/validation" if code >= _VALIDATION else "")


def of_groups(
    codes: NDArray[np.uint8], group: NDArray[np.int64], n_groups: int
) -> tuple[NDArray[np.uint8], int]:
    """Code of each set of equal structures: the first that any of them has.

    Parameters
    ----------
    codes, group
        (S,) code of each structure that came, and the set that it belongs to.
    n_groups
        Number of sets.

    Returns
    -------
    (n_groups,) codes, and how many sets were said to be in two places.
    """
    found = np.full(n_groups, NO_SUBSET, dtype=np.uint8)
    named = np.flatnonzero(codes != NO_SUBSET)
    groups, first = np.unique(group[named], return_index=True)
    found[groups] = codes[named[first]]
    apart = codes[named] != found[group[named]]
    return found, len(np.unique(group[named][apart]))


def subset_and_validation(
    codes: NDArray[np.uint8],
) -> tuple[NDArray[np.uint8], NDArray[np.bool_]]:
    """Codes of `mfscale.data.splits.SUBSETS`, and which structures are kept for validation."""
    named = codes != NO_SUBSET
    subset = np.where(named, codes % _VALIDATION, NO_SUBSET).astype(np.uint8)
    return subset, named & (codes >= _VALIDATION)
