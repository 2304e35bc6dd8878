"""Whether forces are the slopes of the energies that they came with."""

from dataclasses import dataclass
from itertools import permutations

import numpy as np
from numpy.typing import NDArray

from mfscale.data import ragged
from mfscale.data.dataset import Dataset
from mfscale.data.imports.method_keys import FORCE_UNITS

_LABELS, _OF_A_KIND = 20_000, 40
_NEAR_A = 0.3
"""Root mean square displacement up to which two structures are compared."""

_FEWEST = 30
_CLEAR, _FACTOR, _SAME_FACTOR = 0.8, 1.4, 0.1
"""Agreement and ratio beyond which forces are in doubt; ln ratio within which units explain it."""

_LEAST_EV = 0.02
"""A smaller difference says nothing."""


@dataclass(frozen=True, kw_only=True)
class Slopes:
    """Energy differences of near structures against what their forces say that they are.

    Attributes
    ----------
    pairs
        Compared.
    ratio
        Median of the differences by forces over those by energies: 1 if all is well.
    agreement
        Rank correlation of the two.
    """

    pairs: int
    ratio: float
    agreement: float


def slopes(dataset: Dataset, method: str) -> Slopes | None:
    """Compare E₂ − E₁ with −½ (F₁ + F₂)·(r₂ − r₁), the trapezoidal rule, over near structures.

    Structures have the same atoms in the same order; of at most 20,000 labels up to 40 of a
    kind are looked at, each with the nearest of the others.

    Returns
    -------
    Slopes or None
        None where fewer than 30 pairs are near enough and differ.
    """
    from scipy.stats import spearmanr  # noqa: PLC0415 - an import alone needs it

    structures = dataset.labelled_structures(method)
    structures = structures[:: max(1, -(-len(structures) // _LABELS))]
    by_energy, by_forces = [np.zeros(0)], [np.zeros(0)]
    for members in _kinds(dataset, structures):
        n = len(members)
        r = dataset.positions(members).reshape(n, -1)
        f = dataset.forces(method, members).astype(np.float64).reshape(n, -1)
        e = dataset.energies(method, members)
        squared = ((r[:, None] - r[None]) ** 2).sum(axis=-1)
        np.fill_diagonal(squared, np.inf)
        one, other = np.arange(n), squared.argmin(axis=1)
        near = squared[one, other] < _NEAR_A**2 * r.shape[1] / 3
        one, other = one[near], other[near]
        work = -0.5 * ((f[one] + f[other]) * (r[other] - r[one])).sum(axis=1)
        by_energy.append(e[other] - e[one])
        by_forces.append(work)
    energy, forces = np.concatenate(by_energy), np.concatenate(by_forces)
    tell = np.abs(energy) > _LEAST_EV
    if tell.sum() < _FEWEST:
        return None
    return Slopes(
        pairs=int(tell.sum()),
        ratio=float(np.median(forces[tell] / energy[tell])),
        agreement=float(spearmanr(energy[tell], forces[tell]).statistic),
    )


def slope_doubt(method: str, found: Slopes) -> str | None:
    """A sentence where forces clearly follow the energies, but by another factor than 1."""
    if abs(found.agreement) < _CLEAR:
        return None
    over = f"over {found.pairs} pairs of near structures"
    if found.ratio < 0:
        return f"forces of {method} point uphill: energy differences say the opposite, {over}"
    if 1 / _FACTOR < found.ratio < _FACTOR:
        return None
    names = [
        f"{one} taken for {other}"
        for one, other in permutations(FORCE_UNITS, 2)
        if abs(np.log(FORCE_UNITS[other] / FORCE_UNITS[one] / found.ratio)) < _SAME_FACTOR
    ]
    known = f", as of {names[0]}" if names else ""
    return (
        f"forces of {method} are {found.ratio:.3g} times what energy differences say{known}, {over}"
    )


def _kinds(dataset: Dataset, structures: NDArray[np.int64]) -> list[NDArray[np.int64]]:
    """Molecules with the same atoms in the same order, those with at least two."""
    periodic = dataset.cells(structures)[1].any(axis=1)
    structures = structures[~periodic]
    numbers = dataset.atomic_numbers(structures).astype("|u1")
    first = ragged.offsets(dataset.n_atoms(structures)).tolist()
    found: dict[bytes, list[int]] = {}
    for k, structure in enumerate(structures.tolist()):
        members = found.setdefault(numbers[first[k] : first[k + 1]].tobytes(), [])
        if len(members) < _OF_A_KIND:
            members.append(structure)
    return [np.array(members) for members in found.values() if len(members) > 1]
