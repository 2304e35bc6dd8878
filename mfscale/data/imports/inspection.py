"""A look at labels for what is likely wrong: far outliers, and energies in another unit."""

from collections.abc import Mapping
from dataclasses import dataclass
from itertools import combinations, permutations

import numpy as np
from numpy.typing import NDArray

from mfscale.data.composition import fit_offsets
from mfscale.data.dataset import Dataset
from mfscale.data.imports.method_keys import UNITS
from mfscale.data.scratch import Scratch, parts

OUTLIER = 15.0
"""Robust standard deviations (1.4826 × median absolute deviation) beyond which a label is one."""

_AT_MOST = 50_000
_FEWEST = 20
_EXAMPLES = 3
_CLOSE = 0.1
"""Logarithm of how far a ratio may be from that of two units."""


@dataclass(frozen=True, kw_only=True)
class Outliers:
    """Labels of a method that are far from the rest, per atom, after offsets per element."""

    method: str
    count: int
    examples: tuple[int, ...]


def residuals(
    dataset: Dataset, method: str, scratch: Scratch
) -> tuple[NDArray[np.int64], NDArray[np.float64]]:
    """Structures (n,) with a label, and energies per atom (n,) in eV after offsets per element.

    The offsets are fitted to at most 50,000 labels, evenly spaced.
    """
    structures = dataset.labelled_structures(method)
    some = structures[:: -(-len(structures) // _AT_MOST)]
    offsets = fit_offsets(dataset.composition(some), dataset.energies(method, some))
    left = scratch.zeros(len(structures), np.float64)
    for part in parts(len(structures)):
        rows = structures[part]
        energies = dataset.energies(method, rows) - dataset.composition(rows) @ offsets
        left[part] = energies / dataset.n_atoms(rows)
    return structures, left


def outliers(
    method: str,
    structures: NDArray[np.int64],
    per_atom: NDArray[np.float64],
    scratch: Scratch,
) -> Outliers:
    """Labels farther than `OUTLIER` robust standard deviations from the median."""
    distance = scratch.zeros(len(per_atom), np.float64)
    middle = scratch.median(per_atom)
    for part in parts(len(per_atom)):
        distance[part] = np.abs(per_atom[part] - middle)
    limit = OUTLIER * max(1.4826 * scratch.median(distance), 1e-6)
    count, worst = 0, np.zeros(0, dtype=np.int64)
    for part in parts(len(distance)):
        far = part.start + np.flatnonzero(distance[part] > limit)
        count += len(far)
        worst = np.append(worst, far)
        worst = worst[np.argsort(-distance[worst], kind="stable")][:_EXAMPLES]
    return Outliers(method=method, count=count, examples=tuple(structures[worst].tolist()))


def unit_doubts(dataset: Dataset, left: Mapping[str, NDArray[np.float64]]) -> list[str]:
    """Sentences on methods whose energies or forces look like another unit than they are taken for.

    Three signs: total energies that are in another unit what all electrons have; residuals
    of two methods that differ by the ratio of two units; forces of two methods that differ by 10.

    Parameters
    ----------
    left
        Method → `residuals`, (n,) in eV per atom.
    """
    doubts = [said for method in left if (said := _unit_of_total_energies(dataset, method))]
    for one, other in combinations(left, 2):
        doubts += _apart(dataset, left, one, other)
    return doubts


def _unit_of_total_energies(dataset: Dataset, method: str) -> str | None:
    """All-electron energies of atoms are about −Z^2.4 / 2 hartree: within a tenth for Z to 20.

    No method's are lower. Those without core electrons are a tenth of that, so that of units taken
    for a smaller one hartree alone is known.
    """
    structures = dataset.labelled_structures(method)[:2000]
    if len(structures) < _FEWEST:
        return None
    from ase.data import atomic_numbers  # noqa: PLC0415 - many commands need no ASE

    z = np.array([atomic_numbers[symbol] for symbol in dataset.elements], dtype=np.float64)
    expected = dataset.composition(structures) @ (-(z**2.4) / 2 * UNITS["Ha"])
    ratio = float(np.median(dataset.energies(method, structures) / expected))
    if ratio <= 0:
        return None
    mistaken = {
        (unit, taken): abs(np.log(ratio * UNITS[unit] / UNITS[taken]))
        for unit, taken in permutations(UNITS, 2)
        if UNITS[taken] > 2 * UNITS[unit] or (unit, taken) == ("Ha", "eV")
    }
    unit, taken = min(mistaken, key=mistaken.__getitem__)
    if mistaken[unit, taken] > _CLOSE:
        return None
    return (
        f"energies of {method} are {ratio:.3g} times what all electrons have, as of {unit} taken "
        f"for {taken}"
    )


def _apart(
    dataset: Dataset, left: Mapping[str, NDArray[np.float64]], one: str, other: str
) -> list[str]:
    """Whether two methods' labels differ by a factor of units, on 50,000 structures at most."""
    labelled = [dataset.labelled_structures(method) for method in (one, other)]
    if min(map(len, labelled)) < _FEWEST:
        return []
    rows, i, j = _shared(*labelled)
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


def _shared(
    one: NDArray[np.int64], other: NDArray[np.int64]
) -> tuple[NDArray[np.int64], NDArray[np.int64], NDArray[np.int64]]:
    """At most 50,000 structures that are in both, evenly spaced, and their places in each."""
    n_shared = sum(len(_places(one[part], other)[0]) for part in parts(len(one)))
    step, found, seen = max(1, -(-n_shared // _AT_MOST)), [], 0
    for part in parts(len(one)):
        i, j = _places(one[part], other)
        some = slice(-seen % step, None, step)
        found.append((part.start + i[some], j[some]))
        seen += len(i)
    i, j = (np.concatenate(places) for places in zip(*found, strict=True))
    return one[i], i, j


def _places(
    some: NDArray[np.int64], other: NDArray[np.int64]
) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
    """Places of the structures in both, of ascending ones."""
    place = np.searchsorted(other, some)
    there = np.flatnonzero(other[np.minimum(place, len(other) - 1)] == some)
    return there, place[there]


def _nearest_unit(ratio: float) -> str | None:
    """Units whose ratio this is within a third; methods may well differ by the 4 of kcal to kJ."""
    for one, other in combinations(UNITS, 2):
        factor = UNITS[one] / UNITS[other]
        for expected, name in ((factor, f"{one} to {other}"), (1 / factor, f"{other} to {one}")):
            if not 0.1 < expected < 10 and 0.7 < ratio / expected < 1.4:
                return name
    return None
