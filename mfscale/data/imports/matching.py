"""Which structures are one: the same atoms in the same order, coordinates apart by at most ε."""

import hashlib
from functools import lru_cache

import numpy as np
from numpy.typing import NDArray

from mfscale.data import ragged
from mfscale.data.imports.record import Box
from mfscale.data.scratch import Scratch, parts

TOLERANCE_A = 1e-4
"""Coordinates written with four decimals still agree."""

_PAIRS_AT_ONCE = 5_000

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
    scratch: Scratch,
) -> Indices:
    """The first (S,) of each structure's set of equal ones: itself, if it repeats none.

    Equal ones have projections within ε √(3n) of one another (Cauchy and Schwarz), so that only
    near ones in the order of the first projection are compared, by all coordinates. Pairs that
    chain make one set. Of neighbours in that order, each equal to the next, the last alone looks
    further: should a clump be wider than ε, it may so come apart at its edges.

    Parameters
    ----------
    kind, projections
        (S,) and (S, 2) of `kind_of` and `projections`.
    positions, first_atom
        (A, 3) Å and (S + 1,).
    tolerance_a
        ε, Å.
    scratch
        For arrays of one number a structure.
    """
    n = len(kind)
    order = scratch.order(kind, projections[:, 0])
    kinds, along = scratch.zeros(n, np.uint64), scratch.zeros((n, 2), np.float64)
    reach, above = scratch.zeros(n, np.float64), scratch.zeros(n, np.int64)
    for part in parts(n):
        rows = order[part]
        kinds[part], along[part] = kind[rows], projections[rows]
        n_atoms = first_atom[rows + 1] - first_atom[rows]
        reach[part] = tolerance_a * np.sqrt(3.0 * n_atoms) + 1e-9
        above[part] = np.arange(part.start, part.stop)

    def compared(near: Indices, step: int) -> tuple[Indices, Indices]:
        """Of places in the order: which have the one `step` after in reach, which are equal."""
        near = near[near + step < n]
        after = near + step
        close = (kinds[near] == kinds[after]) & (along[after, 0] - along[near, 0] <= reach[near])
        near, after = near[close], after[close]
        candidates = (np.abs(along[after, 1] - along[near, 1]) <= reach[near]) & (
            above[near] != above[after]
        )
        pairs = order[np.stack([near[candidates], after[candidates]])]
        return near, near[candidates][_agree(pairs, positions, first_atom, tolerance_a)]

    linked = scratch.zeros(n + 1, np.bool_)  # to the one before
    for part in parts(n):
        _, equal = compared(np.arange(part.start, part.stop), 1)
        linked[equal + 1] = True
    begin = 0
    for part in parts(n):  # of a run of equal neighbours the first: clumps need no more comparing
        begins = np.where(linked[part], begin, above[part])
        above[part] = np.maximum.accumulate(begins)
        begin = above[part.stop - 1]
    for part in parts(n):
        # Of a run only the last looks on: it stands for the others.
        near = part.start + np.flatnonzero(~linked[part.start + 1 : part.stop + 1])
        step = 1
        while near.size:
            step += 1
            near, equal = compared(near, step)
            _unite(above, equal, equal + step)
    earliest, first = scratch.zeros(n, np.int64), scratch.zeros(n, np.int64)
    for part in parts(n):
        above[part] = _root(above, np.arange(part.start, part.stop))
        earliest[part] = n
    for part in parts(n):
        np.minimum.at(earliest, above[part], order[part])
    for part in parts(n):
        first[order[part]] = earliest[above[part]]
    return first


def _unite(above: Indices, one: Indices, other: Indices) -> None:
    """Make one set of each pair's two; a set is known by its lowest member, at or above it."""
    while one.size:
        roots = _root(above, one), _root(above, other)
        above[one], above[other] = roots  # long chains are walked but once
        apart = roots[0] != roots[1]
        one, other = roots[0][apart], roots[1][apart]
        np.minimum.at(above, np.maximum(one, other), np.minimum(one, other))


def _root(above: Indices, members: Indices) -> Indices:
    """The lowest member of each one's set."""
    higher = above[members]
    while (higher != members).any():
        members, higher = higher, above[higher]
    return members


def _agree(
    pairs: Indices, positions: NDArray[np.float64], first_atom: Indices, tolerance_a: float
) -> NDArray[np.bool_]:
    """Which pairs (2, k) of structures have no coordinate apart by more than the tolerance."""
    agree = np.ones(pairs.shape[1], dtype=np.bool_)
    for part in parts(len(agree), _PAIRS_AT_ONCE):
        one, other = pairs[:, part]
        n_atoms = first_atom[one + 1] - first_atom[one]
        apart = np.abs(
            positions[ragged.ranges(first_atom[one], n_atoms)]
            - positions[ragged.ranges(first_atom[other], n_atoms)]
        ).max(axis=1)
        farthest = np.maximum.reduceat(apart, n_atoms.cumsum() - n_atoms)
        agree[part] = farthest <= tolerance_a
    return agree


@lru_cache(maxsize=1024)
def _directions(n: int) -> NDArray[np.float64]:
    """Two orthogonal unit vectors (2, 3n), the same for all structures of n atoms."""
    drawn = np.random.default_rng(n).normal(size=(3 * n, 2))
    directions: NDArray[np.float64] = np.linalg.qr(drawn)[0].T
    return directions
