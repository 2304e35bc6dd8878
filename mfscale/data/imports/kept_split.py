"""Subsets that a source itself names: what its words mean, and one subset for each structure."""

import numpy as np
from numpy.typing import NDArray

from mfscale.data.scratch import Scratch, parts
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


def of_sets(
    codes: NDArray[np.uint8], first: NDArray[np.int64], scratch: Scratch
) -> tuple[NDArray[np.uint8], int]:
    """Code of each set of equal structures: the first that any of them has.

    Parameters
    ----------
    codes, first
        (S,) code of each structure that came, and the first structure of its set.
    scratch
        Where the codes found lie.

    Returns
    -------
    (S,) codes, each at the first structure of its set, and how many sets were said to be in two
    places.
    """
    found, apart = scratch.zeros(len(first), np.uint8), scratch.zeros(len(first), np.bool_)
    found[:] = NO_SUBSET
    for part in parts(len(first)):
        named = np.flatnonzero(codes[part] != NO_SUBSET)
        code, of = codes[part][named], first[part][named]
        new = found[of] == NO_SUBSET
        sets, place = np.unique(of[new], return_index=True)
        found[sets] = code[new][place]
        apart[of[code != found[of]]] = True
    return found, int(np.count_nonzero(apart))


def subset_and_validation(
    codes: NDArray[np.uint8],
) -> tuple[NDArray[np.uint8], NDArray[np.bool_]]:
    """Codes of `mfscale.data.splits.SUBSETS`, and which structures are kept for validation."""
    named = codes != NO_SUBSET
    subset = np.where(named, codes % _VALIDATION, NO_SUBSET).astype(np.uint8)
    return subset, named & (codes >= _VALIDATION)
