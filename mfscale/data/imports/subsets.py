"""Division of imported structures into the subsets ``a``, ``b``, ``c`` and ``t``."""

from collections import Counter
from collections.abc import Mapping

import numpy as np
from numpy.typing import NDArray

from mfscale.data.digests import keyed
from mfscale.data.errors import DatasetError
from mfscale.data.scratch import Scratch, parts
from mfscale.data.splits import NO_SUBSET, SUBSETS, TRAINING_SUBSETS

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
    bits: NDArray[np.uint64],
    pattern: NDArray[np.int64],
    sizes: Mapping[str, int],
    seed: int,
    scratch: Scratch,
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
    scratch
        For arrays of one number a structure.

    Returns
    -------
    (S,) codes of `mfscale.data.splits.SUBSETS`
    """
    n = len(bits)
    key, place = scratch.zeros(n, np.uint64), scratch.zeros(n, np.float64)
    counts: Counter[int] = Counter()
    for part in parts(n):
        key[part] = keyed(bits[part], seed)
        of, there = np.unique(pattern[part], return_counts=True)
        counts.update(dict(zip(of.tolist(), there.tolist(), strict=True)))
    known = np.array(sorted(counts), dtype=np.int64)
    count = np.array([counts[k] for k in known.tolist()], dtype=np.int64)
    start = count.cumsum() - count
    by_key = scratch.order(pattern, key)
    for part in parts(n):
        of = np.searchsorted(known, pattern[by_key[part]])
        rank = np.arange(part.start, part.stop) - start[of]
        place[by_key[part]] = (rank + 0.5) / count[of]
    names = ("t", "a", "c", "b")
    codes = np.array([SUBSETS.index(name) for name in names], dtype=np.uint8)
    ends = np.cumsum([sizes[name] for name in names])
    subset = np.empty(n, dtype=np.uint8)
    order = scratch.order(place, key)
    for part in parts(n):
        ranks = np.arange(part.start, part.stop)
        subset[order[part]] = codes[np.searchsorted(ends, ranks, side="right")]
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
    counts = np.zeros(NO_SUBSET + 1, dtype=np.int64)
    for part in parts(len(structures)):
        counts += np.bincount(subset[structures[part]], minlength=len(counts))
    return counts[: len(SUBSETS)]
