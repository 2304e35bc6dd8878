"""Which structures and labels of a spool are kept: duplicates merged, the unlabelled left out."""

from collections import Counter
from collections.abc import Collection, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from mfscale.data.errors import DatasetError
from mfscale.data.imports import kept_split
from mfscale.data.imports.matching import TOLERANCE_A, equal_structures
from mfscale.data.imports.method_keys import MethodKeys
from mfscale.data.imports.spool import Spool

Indices = NDArray[np.int64]

_SAME_EV = 1e-3


@dataclass(frozen=True, kw_only=True, eq=False)
class Selection:
    """What is kept of S structures that came.

    Attributes
    ----------
    rows
        (K,) rows of the spool, ascending: the first of each set of equal structures.
    labels
        Method → the rows (n,) whose label is kept, and the places (n,) within `rows` of their
        structures, ascending.
    dropped
        Reason → structures left out.
    duplicates
        Structures that repeat an earlier one and bring nothing that is kept.
    matched
        Structures that repeat an earlier one and bring it a label.
    contradictions
        Method → labels left out because an equal structure has another energy (by over 1 meV).
    without_forces
        Method → labels left out because they lack the forces that the method has.
    subset
        (K,) codes of the source's own subsets, see `mfscale.data.imports.kept_split`.
    in_two_subsets
        Structures that the source has in two subsets; the first is taken.
    """

    rows: Indices
    labels: dict[str, tuple[Indices, Indices]]
    dropped: Counter[str]
    duplicates: int
    matched: int
    contradictions: dict[str, int]
    without_forces: dict[str, int]
    subset: NDArray[np.uint8]
    in_two_subsets: int


def select(
    spool: Spool,
    methods: Sequence[MethodKeys],
    only_with: Collection[str],
    tolerance_a: float = TOLERANCE_A,
) -> Selection:
    """Merge equal structures and choose those that have a label.

    Parameters
    ----------
    spool
        Closed.
    methods
        Whose labels it has.
    only_with
        Methods that every kept structure must have a label of.
    tolerance_a
        How far coordinates of equal structures may be apart, Å.

    Raises
    ------
    DatasetError
        When a method has no label at all, or nothing is left.
    """
    group = _groups(spool, tolerance_a)
    n_groups = int(group.max(initial=-1)) + 1
    first_row = np.full(n_groups, len(group))
    np.minimum.at(first_row, group, np.arange(len(group)))
    repeats = first_row[group] != np.arange(len(group))
    brings = np.zeros(len(group), dtype=np.bool_)
    chosen: dict[str, tuple[Indices, Indices]] = {}
    contradictions, without_forces = {}, {}
    keep = np.zeros(n_groups, dtype=np.bool_)
    for method in methods:
        energy = spool.read(f"{method.name}_energy")
        labelled = np.isfinite(energy)
        if method.forces:
            bare = labelled & (spool.read(f"{method.name}_n_forces") == 0)
            without_forces[method.name] = int(bare.sum())
            if labelled.any() and bare.sum() == labelled.sum():
                raise DatasetError(
                    f"method {method.name}: no structure that has the energy {method.energy!r} has "
                    f"forces {method.forces!r}; correct the key, or leave forces out"
                )
            labelled &= ~bare
        rows = np.flatnonzero(labelled)
        groups, place = np.unique(group[rows], return_index=True)
        chosen[method.name] = rows[place], groups
        brings[rows[place]] = True
        kept_energy = np.full(n_groups, np.nan)
        kept_energy[groups] = energy[rows[place]]
        apart = np.abs(energy[rows] - kept_energy[group[rows]]) > _SAME_EV
        contradictions[method.name] = int(apart.sum())
        keep[groups] = True
    dropped = Counter({"no label": int((~keep).sum())})
    for name in only_with:
        has = np.zeros(n_groups, dtype=np.bool_)
        has[chosen[name][1]] = True
        dropped[f"no {name} label"] = int((keep & ~has).sum())
        keep &= has
    if not keep.any():
        raise DatasetError("no structure is left: " + ", ".join(_said(dropped)))
    order = np.flatnonzero(keep)[np.argsort(first_row[keep], kind="stable")]
    place_of = np.full(n_groups, -1)
    place_of[order] = np.arange(len(order))
    subset, in_two = kept_split.of_groups(spool.read("subset"), group, n_groups)
    return Selection(
        rows=first_row[order],
        labels={name: _placed(rows, place_of[groups]) for name, (rows, groups) in chosen.items()},
        dropped=+dropped,
        duplicates=int((repeats & ~brings).sum()),
        matched=int((repeats & brings).sum()),
        contradictions=contradictions,
        without_forces=without_forces,
        subset=subset[order],
        in_two_subsets=in_two,
    )


def _placed(rows: Indices, places: Indices) -> tuple[Indices, Indices]:
    kept = places >= 0
    order = np.argsort(places[kept], kind="stable")
    return rows[kept][order], places[kept][order]


def _groups(spool: Spool, tolerance_a: float) -> Indices:
    """Number (S,) of each structure's set of equal ones."""
    return equal_structures(
        kind=spool.read("kind"),
        projections=spool.read("projections"),
        positions=spool.read("positions"),
        first_atom=spool.first("n_atoms"),
        tolerance_a=tolerance_a,
    )


def _said(dropped: Counter[str]) -> list[str]:
    return [f"{n} have {reason}" for reason, n in dropped.items() if n]
