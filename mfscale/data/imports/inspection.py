"""A look at labels for what is likely wrong: far outliers, and energies in another unit."""

from collections.abc import Mapping
from dataclasses import dataclass
from itertools import combinations

import numpy as np
from numpy.typing import NDArray

from mfscale.data.composition import fit_offsets
from mfscale.data.dataset import Dataset
from mfscale.data.imports.method_keys import UNITS

OUTLIER = 15.0
"""Robust standard deviations (1.4826 × median absolute deviation) beyond which a label is one."""

_AT_MOST = 50_000
_FEWEST = 20


@dataclass(frozen=True, kw_only=True)
class Outliers:
    """Labels of a method that are far from the rest, per atom, after offsets per element."""

    method: str
    count: int
    examples: tuple[int, ...]


def residuals(dataset: Dataset, method: str) -> tuple[NDArray[np.int64], NDArray[np.float64]]:
    """Structures (n,) with a label, and energies per atom (n,) in eV after offsets per element.

    The offsets are fitted to at most 50,000 labels, evenly spaced.
    """
    structures = dataset.labelled_structures(method)
    some = structures[:: -(-len(structures) // _AT_MOST)]
    offsets = fit_offsets(dataset.composition(some), dataset.energies(method, some))
    left = np.empty(len(structures))
    for begin in range(0, len(structures), _AT_MOST):
        rows = structures[begin : begin + _AT_MOST]
        energies = dataset.energies(method, rows) - dataset.composition(rows) @ offsets
        left[begin : begin + _AT_MOST] = energies / dataset.n_atoms(rows)
    return structures, left


def outliers(method: str, structures: NDArray[np.int64], per_atom: NDArray[np.float64]) -> Outliers:
    """Labels farther than `OUTLIER` robust standard deviations from the median."""
    distance = np.abs(per_atom - np.median(per_atom))
    far = distance > OUTLIER * max(1.4826 * float(np.median(distance)), 1e-6)
    worst = structures[far][np.argsort(-distance[far], kind="stable")]
    return Outliers(method=method, count=int(far.sum()), examples=tuple(worst[:3].tolist()))


def unit_doubts(dataset: Dataset, left: Mapping[str, NDArray[np.float64]]) -> list[str]:
    """Sentences on methods whose energies or forces look like another unit than they are taken for.

    Three signs: total energies that in eV are what all-electron energies are in hartree; residuals
    of two methods that differ by the ratio of two units; forces of two methods that differ by 10.

    Parameters
    ----------
    left
        Method → `residuals`, (n,) in eV per atom.
    """
    doubts = [said for method in left if (said := _looks_like_hartree(dataset, method))]
    for one, other in combinations(left, 2):
        doubts += _apart(dataset, left, one, other)
    return doubts


def _looks_like_hartree(dataset: Dataset, method: str) -> str | None:
    """All-electron energies of atoms are about −Z^2.4 / 2 hartree: within a tenth for Z to 20."""
    structures = dataset.labelled_structures(method)[:2000]
    from ase.data import atomic_numbers  # noqa: PLC0415 - many commands need no ASE

    z = np.array([atomic_numbers[symbol] for symbol in dataset.elements], dtype=np.float64)
    expected = dataset.composition(structures) @ (-(z**2.4) / 2)
    ratio = float(np.median(dataset.energies(method, structures) / expected))
    if len(structures) < _FEWEST or not 0.9 < ratio < 1.1:
        return None
    return f"energies of {method} look like hartree, taken for eV (try unit=Ha)"


def _apart(
    dataset: Dataset, left: Mapping[str, NDArray[np.float64]], one: str, other: str
) -> list[str]:
    """Whether two methods' labels of the same structures differ by a factor of units."""
    rows, i, j = np.intersect1d(
        dataset.labelled_structures(one),
        dataset.labelled_structures(other),
        assume_unique=True,
        return_indices=True,
    )
    if len(rows) < _FEWEST:
        return []
    doubts = []
    a, b = left[one][i], left[other][j]
    a, b = a - np.median(a), b - np.median(b)
    spread = float(np.median(np.abs(a)) / max(float(np.median(np.abs(b))), 1e-12))
    if np.corrcoef(a, b)[0, 1] > 0.5 and (unit := _nearest_unit(spread)):
        doubts.append(
            f"energies of {one} vary {spread:.3g} times as much as those of {other}, which is the "
            f"ratio of {unit} (check the unit of both)"
        )
    if dataset.has_forces(one) and dataset.has_forces(other):
        some = rows[:2000]
        sizes = [float(np.median(np.abs(dataset.forces(m, some)))) for m in (one, other)]
        ratio = sizes[0] / max(sizes[1], 1e-12)
        if not 0.1 < ratio < 10:
            doubts.append(f"forces of {one} are {ratio:.3g} times those of {other}")
    return doubts


def _nearest_unit(ratio: float) -> str | None:
    """Units whose ratio this is within a third; methods may well differ by the 4 of kcal to kJ."""
    for one, other in combinations(UNITS, 2):
        factor = UNITS[one] / UNITS[other]
        for expected, name in ((factor, f"{one} to {other}"), (1 / factor, f"{other} to {one}")):
            if not 0.1 < expected < 10 and 0.7 < ratio / expected < 1.4:
                return name
    return None
