"""Which structures and labels of a spool are kept: duplicates merged, the unlabelled left out."""

from collections import Counter
from collections.abc import Collection, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from mfscale.data.errors import DatasetError
from mfscale.data.imports import kept_split
from mfscale.data.imports.matching import equal_structures
from mfscale.data.imports.method_keys import MethodKeys
from mfscale.data.imports.spool import Spool
from mfscale.data.scratch import Scratch, parts

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
    tolerance_a: float,
    scratch: Scratch,
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
    scratch
        Where the arrays of the selection lie.

    Raises
    ------
    DatasetError
        When a method has no label at all, or nothing is left.
    """
    first = equal_structures(
        kind=spool.read("kind"),
        projections=spool.read("projections"),
        positions=spool.read("positions"),
        first_atom=scratch.offsets(spool.read("n_atoms")),
        tolerance_a=tolerance_a,
        scratch=scratch,
    )
    n = len(first)
    brings, keep = scratch.zeros(n, np.bool_), scratch.zeros(n, np.bool_)
    chosen, contradictions, without_forces = {}, {}, {}
    for method in methods:
        found = _labels_of(method, spool, first, scratch)
        chosen[method.name] = found.row
        contradictions[method.name] = found.contradictions
        if method.forces:
            without_forces[method.name] = found.without_forces
        for part in parts(n):
            labelled = found.row[part] > 0
            brings[found.row[part][labelled] - 1] = True
            keep[part] |= labelled
    dropped = Counter({"no label": 0})
    duplicates = matched = 0
    for part in parts(n):
        repeats = first[part] != np.arange(part.start, part.stop)
        dropped["no label"] += int((~repeats & ~keep[part]).sum())
        duplicates += int((repeats & ~brings[part]).sum())
        matched += int((repeats & brings[part]).sum())
    for name in only_with:
        lack = f"no {name} label"
        for part in parts(n):
            has = chosen[name][part] > 0
            dropped[lack] += int((keep[part] & ~has).sum())
            keep[part] &= has
    if not keep.any():
        raise DatasetError("no structure is left: " + ", ".join(_said(dropped)))
    rows = _places(keep, scratch)
    subset, in_two = kept_split.of_sets(spool.read("subset"), first, scratch)
    return Selection(
        rows=rows,
        labels={name: _placed(row, rows, scratch) for name, row in chosen.items()},
        dropped=+dropped,
        duplicates=duplicates,
        matched=matched,
        contradictions=contradictions,
        without_forces=without_forces,
        subset=subset[rows],
        in_two_subsets=in_two,
    )


@dataclass(frozen=True, kw_only=True, eq=False)
class _Labels:
    """Labels of one method: of each set, at its first structure, 1 + the row of the label, or 0."""

    row: Indices
    contradictions: int
    without_forces: int


def _labels_of(method: MethodKeys, spool: Spool, first: Indices, scratch: Scratch) -> _Labels:
    """The first label of each set of equal structures, in the order in which they came."""
    energy = spool.read(f"{method.name}_energy")
    n_forces = spool.read(f"{method.name}_n_forces") if method.forces else None
    row = scratch.zeros(len(first), np.int64)
    n_labels = n_bare = contradictions = 0
    for part in parts(len(first)):
        labelled = np.isfinite(energy[part])
        n_labels += int(labelled.sum())
        if n_forces is not None:
            bare = labelled & (n_forces[part] == 0)
            n_bare += int(bare.sum())
            labelled &= ~bare
        rows = part.start + np.flatnonzero(labelled)
        of = first[rows]
        new = row[of] == 0
        sets, place = np.unique(of[new], return_index=True)
        row[sets] = 1 + rows[new][place]
        apart = np.abs(energy[rows] - energy[row[of] - 1]) > _SAME_EV
        contradictions += int(apart.sum())
    if n_labels and n_bare == n_labels:
        raise DatasetError(
            f"method {method.name}: no structure that has the energy {method.energy!r} has "
            f"forces {method.forces!r}; correct the key, or leave forces out"
        )
    return _Labels(row=row, contradictions=contradictions, without_forces=n_bare)


def _places(keep: NDArray[np.bool_], scratch: Scratch) -> Indices:
    """Where `keep` is true, ascending."""
    rows, k = scratch.zeros(int(np.count_nonzero(keep)), np.int64), 0
    for part in parts(len(keep)):
        there = part.start + np.flatnonzero(keep[part])
        rows[k : k + len(there)] = there
        k += len(there)
    return rows


def _placed(row: Indices, kept: Indices, scratch: Scratch) -> tuple[Indices, Indices]:
    """Rows of a method's labels of the structures kept, and the places of these among them."""
    rows, places = scratch.zeros(len(kept), np.int64), scratch.zeros(len(kept), np.int64)
    k = 0
    for part in parts(len(kept)):
        of = row[kept[part]]
        there = np.flatnonzero(of)
        rows[k : k + len(there)] = of[there] - 1
        places[k : k + len(there)] = part.start + there
        k += len(there)
    return rows[:k], places[:k]


def _said(dropped: Counter[str]) -> list[str]:
    return [f"{n} have {reason}" for reason, n in dropped.items() if n]
