"""Which structures are one: the same atoms in the same order, coordinates apart by at most ε."""

import hashlib
from functools import lru_cache

import numpy as np
from numpy.typing import NDArray

from mfscale.data import ragged
from mfscale.data.imports.record import Box

TOLERANCE_A = 1e-4
"""Coordinates written with four decimals still agree."""

_AT_ONCE = 50_000

Indices = NDArray[np.int64]


def kind_of(numbers: NDArray[np.int64], box: Box | None = None) -> int:
    """Hash of the atomic numbers in their order, and of the periodic directions and cell.

    Structures of two kinds are never one. Cells are one when they agree to five digits.
    """
    content = numbers.astype("|u1").tobytes()
    if box:
        digits = " ".join(
            f"{x + 0.0:.5g}" for x in np.where(np.abs(box.cell) < 1e-6, 0, box.cell).flat
        )
        content += digits.encode() + box.pbc.tobytes()
    return int.from_bytes(hashlib.blake2b(content, digest_size=8).digest(), "little")


def projections(positions: NDArray[np.float64]) -> NDArray[np.float64]:
    """Two numbers (2,) in Å that change by no more than the positions (n, 3) do as a whole."""
    projected: NDArray[np.float64] = _directions(len(positions)) @ positions.reshape(-1)
    return projected


def equal_structures(
    *,
    kind: NDArray[np.uint64],
    projections: NDArray[np.float64],
    positions: NDArray[np.float64],
    first_atom: Indices,
    tolerance_a: float,
) -> Indices:
    """Number (S,) of each structure's set of equal ones.

    Equal ones have projections within ε √(3n) of one another (Cauchy and Schwarz), so that only
    near ones in the order of the first projection are compared, by all coordinates. A chain of
    equal pairs is one set.

    Parameters
    ----------
    kind, projections
        (S,) and (S, 2) of `kind_of` and `projections`.
    positions, first_atom
        (A, 3) Å and (S + 1,).
    tolerance_a
        ε, Å.
    """
    from scipy.sparse import coo_array  # noqa: PLC0415 - an import alone needs it
    from scipy.sparse.csgraph import connected_components  # noqa: PLC0415 - likewise

    n = len(kind)
    order = np.lexsort((projections[:, 0], kind))
    kinds, along = kind[order], projections[order]
    reach = tolerance_a * np.sqrt(3.0 * np.diff(first_atom)[order]) + 1e-9
    one, other = [np.zeros(0, dtype=np.int64)], [np.zeros(0, dtype=np.int64)]
    near = np.arange(n)
    joined = np.arange(n)  # of a run of equal neighbours the first: clumps need no more comparing
    step = 0
    while near.size:
        step += 1
        near = near[near + step < n]
        after = near + step
        close = (kinds[near] == kinds[after]) & (along[after, 0] - along[near, 0] <= reach[near])
        near, after = near[close], after[close]
        candidates = (np.abs(along[after, 1] - along[near, 1]) <= reach[near]) & (
            joined[near] != joined[after]
        )
        pairs = np.stack([near[candidates], after[candidates]])
        same = _agree(order[pairs], positions, first_atom, tolerance_a)
        one.append(order[pairs[0, same]])
        other.append(order[pairs[1, same]])
        if step == 1:
            linked = np.zeros(n, dtype=np.bool_)
            linked[pairs[1, same]] = True
            joined = np.maximum.accumulate(np.where(linked, 0, np.arange(n)))
            # Of a run only the last looks on: it stands for the others.
            last = np.append(~linked[1:], True)
            near = near[last[near]] if n else near
    first, second = np.concatenate(one), np.concatenate(other)
    graph = coo_array((np.ones(len(first), np.int8), (first, second)), shape=(n, n))
    return np.asarray(connected_components(graph, directed=False)[1], dtype=np.int64)


def _agree(
    pairs: Indices, positions: NDArray[np.float64], first_atom: Indices, tolerance_a: float
) -> NDArray[np.bool_]:
    """Which pairs (2, k) of structures have no coordinate apart by more than the tolerance."""
    agree = np.ones(pairs.shape[1], dtype=np.bool_)
    for begin in range(0, len(agree), _AT_ONCE):
        one, other = pairs[:, begin : begin + _AT_ONCE]
        n_atoms = first_atom[one + 1] - first_atom[one]
        apart = np.abs(
            positions[ragged.ranges(first_atom[one], n_atoms)]
            - positions[ragged.ranges(first_atom[other], n_atoms)]
        ).max(axis=1)
        farthest = np.maximum.reduceat(apart, n_atoms.cumsum() - n_atoms)
        agree[begin : begin + _AT_ONCE] = farthest <= tolerance_a
    return agree


@lru_cache(maxsize=1024)
def _directions(n: int) -> NDArray[np.float64]:
    """Two orthogonal unit vectors (2, 3n), the same for all structures of n atoms."""
    drawn = np.random.default_rng(n).normal(size=(3 * n, 2))
    directions: NDArray[np.float64] = np.linalg.qr(drawn)[0].T
    return directions
