"""Gathers from ragged arrays: rows of unequal length stored end to end."""

import numpy as np
from numpy.typing import NDArray


def ranges(starts: NDArray[np.int64], counts: NDArray[np.int64]) -> NDArray[np.int64]:
    """Concatenate ``arange(start, start + count)`` over all rows.

    Parameters
    ----------
    starts, counts
        (k,) each.

    Returns
    -------
    (sum of counts,)
    """
    ends = counts.cumsum()
    total = int(ends[-1]) if ends.size else 0
    places: NDArray[np.int64] = np.arange(total) + (starts - ends + counts).repeat(counts)
    return places


def offsets(counts: NDArray[np.int64]) -> NDArray[np.int64]:
    """Where each row begins, and where the last one ends: (k,) counts → (k + 1,)."""
    first = np.zeros(len(counts) + 1, dtype=np.int64)
    np.cumsum(counts, out=first[1:])
    return first
