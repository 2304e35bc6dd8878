"""What a picture of a dataset shows: labels, elements, sizes, energies, and shared structures."""

from collections.abc import Mapping
from dataclasses import dataclass
from itertools import combinations
from typing import TypeVar

import numpy as np
from numpy.typing import NDArray

from mfscale.data.composition import fit_offsets
from mfscale.data.dataset import Dataset
from mfscale.data.imports.inspection import residuals
from mfscale.data.scratch import Scratch, parts
from mfscale.data.splits import SUBSETS

_AT_MOST = 50_000

_T = TypeVar("_T", bound=np.generic)


@dataclass(frozen=True, kw_only=True, eq=False)
class Coverage:
    """What `coverage` found.

    Attributes
    ----------
    labels
        Method → subset → labels, of one split.
    elements
        Symbol → share of the structures that hold it.
    n_atoms
        Method → atoms (k,) of structures with a label; of many an even choice.
    energies_ev
        Method → energies per atom (k,) in eV, after offsets per element.
    shared
        Two methods → structures that both have labelled; a method twice → its labels.
    differences_mev
        ``method − reference``, the dearest method → meV per atom (k,), after offsets per element.
    """

    name: str
    split: str
    n_structures: int
    labels: Mapping[str, Mapping[str, int]]
    elements: Mapping[str, float]
    n_atoms: Mapping[str, NDArray[np.int64]]
    energies_ev: Mapping[str, NDArray[np.float64]]
    shared: Mapping[tuple[str, str], int]
    differences_mev: Mapping[str, NDArray[np.float64]]


def coverage(dataset: Dataset, split: str = "random") -> Coverage:
    """Count and measure what a picture shows, in one split's subsets."""
    codes = dataset.subset_codes(split)
    structures = {method: dataset.labelled_structures(method) for method in dataset.methods}
    counts = {m: np.bincount(codes[rows], minlength=256) for m, rows in structures.items()}
    pairs = [(m, m) for m in structures] + list(combinations(structures, 2))
    return Coverage(
        name=dataset.name,
        split=split,
        n_structures=dataset.n_structures,
        labels={
            m: {subset: int(count[k]) for k, subset in enumerate(SUBSETS)}
            for m, count in counts.items()
        },
        elements=_elements(dataset),
        n_atoms={m: dataset.n_atoms(_some(rows)) for m, rows in structures.items()},
        energies_ev={m: _some(residuals(dataset, m, Scratch())[1]) for m in structures},
        shared={
            (one, other): len(
                np.intersect1d(structures[one], structures[other], assume_unique=True)
            )
            for one, other in pairs
        },
        differences_mev=_differences(dataset, structures),
    )


def _elements(dataset: Dataset) -> dict[str, float]:
    holding = np.zeros(len(dataset.elements))
    for part in parts(dataset.n_structures):
        rows = np.arange(part.start, part.stop)
        holding += (dataset.composition(rows) > 0).sum(axis=0)
    shares = (holding / dataset.n_structures).tolist()
    return dict(zip(dataset.elements, shares, strict=True))


def _differences(
    dataset: Dataset, structures: Mapping[str, NDArray[np.int64]]
) -> dict[str, NDArray[np.float64]]:
    reference = max(dataset.methods.values(), key=lambda method: method.cost).name
    found = {}
    for method in structures:
        both = np.intersect1d(structures[method], structures[reference], assume_unique=True)
        if method == reference or not both.size:
            continue
        rows = _some(both)
        apart = dataset.energies(method, rows) - dataset.energies(reference, rows)
        composition = dataset.composition(rows)
        left = apart - composition @ fit_offsets(composition, apart)
        found[f"{method} − {reference}"] = 1000.0 * left / dataset.n_atoms(rows)
    return found


def _some(rows: NDArray[_T]) -> NDArray[_T]:
    """At most `_AT_MOST`, evenly spaced."""
    return rows[:: max(1, -(-len(rows) // _AT_MOST))]
