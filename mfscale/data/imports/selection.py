"""Which structures and labels of a spool are kept: duplicates merged, the unlabelled left out."""

from collections import Counter
from collections.abc import Collection, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from mfscale.data.errors import DatasetError
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
        Structures that repeat an earlier one of the same source.
    matched
        Structures that repeat one of another source: their labels join.
    contradictions
        Method → labels left out because an equal structure has another energy (by over 1 meV).
    without_forces
        Method → labels left out because they lack the forces that the method has.
    """

    rows: Indices
    labels: dict[str, tuple[Indices, Indices]]
    dropped: Counter[str]
    duplicates: int
    matched: int
    contradictions: dict[str, int]
    without_forces: dict[str, int]


def select(spool: Spool, methods: Sequence[MethodKeys], only_with: Collection[str]) -> Selection:
    """Merge equal structures and choose those that have a label.

    Parameters
    ----------
    spool
        Closed.
    methods
        Whose labels it has.
    only_with
        Methods that every kept structure must have a label of.

    Raises
    ------
    DatasetError
        When a method has no label at all, or nothing is left.
    """
    group = _groups(spool.read("key"), spool.read("shifted_key"))
    n_groups = int(group.max(initial=-1)) + 1
    first_row = np.full(n_groups, len(group))
    np.minimum.at(first_row, group, np.arange(len(group)))
    source = spool.read("source")
    repeats = first_row[group] != np.arange(len(group))
    elsewhere = int((source[repeats] != source[first_row[group[repeats]]]).sum())
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
    return Selection(
        rows=first_row[order],
        labels={name: _placed(rows, place_of[groups]) for name, (rows, groups) in chosen.items()},
        dropped=+dropped,
        duplicates=int(repeats.sum()) - elsewhere,
        matched=elsewhere,
        contradictions=contradictions,
        without_forces=without_forces,
    )


def _placed(rows: Indices, places: Indices) -> tuple[Indices, Indices]:
    kept = places >= 0
    order = np.argsort(places[kept], kind="stable")
    return rows[kept][order], places[kept][order]


def _groups(key: NDArray[np.uint64], shifted: NDArray[np.uint64]) -> Indices:
    """Number (S,) of each structure's set: structures that share a key of either grid are one."""
    from scipy.sparse import coo_array  # noqa: PLC0415 - an import alone needs it
    from scipy.sparse.csgraph import connected_components  # noqa: PLC0415 - likewise

    one = np.unique(key, return_inverse=True)[1]
    other = np.unique(shifted, return_inverse=True)[1]
    a, b = int(one.max(initial=-1)) + 1, int(other.max(initial=-1)) + 1
    graph = coo_array((np.ones(len(one), np.int8), (one, a + other)), shape=(a + b, a + b))
    number = connected_components(graph, directed=False)[1]
    return np.asarray(np.unique(number[one], return_inverse=True)[1], dtype=np.int64)


def _said(dropped: Counter[str]) -> list[str]:
    return [f"{n} have {reason}" for reason, n in dropped.items() if n]
