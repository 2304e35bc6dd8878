"""Division of imported structures into the subsets ``a``, ``b``, ``c`` and ``t``."""

from collections.abc import Mapping

import numpy as np
from numpy.typing import NDArray

from mfscale.data.digests import keyed
from mfscale.data.errors import DatasetError
from mfscale.data.splits import SUBSETS, TRAINING_SUBSETS

SHARES = {"a": 0.2, "b": 0.4, "c": 0.2, "t": 0.2}
"""About the paper's: its a, c and t are as large, its b is larger."""

_FORM = "a=1000,b=0.5: a number of structures, or a share below 1"


def parse_subsets(texts: list[str]) -> dict[str, float]:
    """Read ``a=1000,b=0.5``: subset → structures (1 or more) or their share (below 1).

    Raises
    ------
    DatasetError
        When it has another form.
    """
    asked: dict[str, float] = {}
    for part in filter(None, ",".join(texts).split(",")):
        name, _, value = part.partition("=")
        if name not in SUBSETS or name in asked:
            raise DatasetError(
                f"--subset {part!r}: name each of {', '.join(SUBSETS)} once; {_FORM}"
            )
        try:
            number = float(value)
        except ValueError:
            number = -1.0
        if not 0 <= number < 2**53 or (number >= 1 and number != int(number)):
            raise DatasetError(f"--subset {part!r}: {value!r} is neither; write {_FORM}")
        asked[name] = number
    return asked


def sizes_of(n: int, asked: Mapping[str, float]) -> dict[str, int]:
    """Structures of each subset, `n` in all: those asked for, the rest as `SHARES` has it.

    Raises
    ------
    DatasetError
        When more is asked for than there is, or all subsets are named and do not add up.
    """
    sizes = {s: round(v * n) if v < 1 else int(v) for s, v in asked.items()}
    left = n - sum(sizes.values())
    unnamed = [subset for subset in SUBSETS if subset not in asked]
    if left < 0 or (left and not unnamed):
        raise DatasetError(
            f"--subset: {n} structures are there, but the subsets named take {n - left}; name "
            f"fewer subsets and the others share what is left"
        )
    total = sum(SHARES[subset] for subset in unnamed)
    for k, subset in enumerate(unnamed):
        rest = sum(SHARES[s] for s in unnamed[k:])
        share = left if k == len(unnamed) - 1 or not total else round(left * SHARES[subset] / rest)
        sizes[subset] = share
        left -= share
    return sizes


def divide(
    bits: NDArray[np.uint64], pattern: NDArray[np.int64], sizes: Mapping[str, int], seed: int
) -> NDArray[np.uint8]:
    """Subset of each structure, drawn by a seed from the structures' own content.

    Structures with the same methods' labels are divided alike, as evenly as whole numbers allow, so
    that every subset has its share of each method's labels. The order of the source does not act.

    Parameters
    ----------
    bits
        (S,) `mfscale.data.digests.leading_bits` of the structures.
    pattern
        (S,) number that tells which methods labelled each.
    sizes
        Subset → structures, S in all.
    seed
        Any.

    Returns
    -------
    (S,) codes of `mfscale.data.splits.SUBSETS`
    """
    key = keyed(bits, seed)
    by_key = np.lexsort((key, pattern))
    _, start, count = np.unique(pattern[by_key], return_index=True, return_counts=True)
    rank = np.arange(len(by_key)) - np.repeat(start, count)
    place = np.empty(len(by_key))
    place[by_key] = (rank + 0.5) / np.repeat(count, count)
    order = np.lexsort((key, place))
    names = ("t", "a", "c", "b")
    codes = np.repeat(
        np.array([SUBSETS.index(name) for name in names], dtype=np.uint8),
        [sizes[name] for name in names],
    )
    subset = np.empty(len(order), dtype=np.uint8)
    subset[order] = codes
    return subset


def check_split(subset: NDArray[np.uint8], structures_of: Mapping[str, NDArray[np.int64]]) -> None:
    """Raise `DatasetError` unless every method can be trained on and tested.

    Parameters
    ----------
    subset
        (S,) codes.
    structures_of
        Method → structures with a label.
    """
    for method, structures in structures_of.items():
        there = in_subsets(subset, structures)
        if not there[-1] or not there[:-1].any():
            counts = ", ".join(f"{s} {n}" for s, n in zip(SUBSETS, there.tolist(), strict=True))
            raise DatasetError(
                f"method {method}: labels by subset would be {counts}; it needs some in t and "
                f"some in one of {', '.join(TRAINING_SUBSETS)}: import more labels, or set --subset"
            )


def in_subsets(subset: NDArray[np.uint8], structures: NDArray[np.int64]) -> NDArray[np.int64]:
    """How many (4,) of some structures are in each subset."""
    counts: NDArray[np.int64] = np.bincount(subset[structures], minlength=len(SUBSETS))
    return counts
