"""Neighbour graphs of a dataset: computed once per cutoff, cached, memory-mapped by all workers."""

import contextlib
import math
import os
import shutil
import uuid
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

from mfscale.data import ragged
from mfscale.data.appended import AppendedArray
from mfscale.data.arrays import open_array
from mfscale.data.dataset import Dataset
from mfscale.data.errors import DatasetError
from mfscale.data.periodic import periodic_pairs
from mfscale.data.scratch import parts

CACHE_VARIABLE = "MFSCALE_CACHE"
"""Environment variable that names another cache directory."""

_ATOMS_PER_CALL = 20_000
# Candidates are searched a little too far and then judged by distances in the molecule's own
# coordinates: which edges exist must not depend on where a molecule was moved for the search.
_MARGIN_A = 1e-3


@dataclass(frozen=True, eq=False)
class Graphs:
    """Directed edges of every structure of a dataset: all pairs of atoms closer than the cutoff.

    Attributes
    ----------
    cutoff_a
        Å.
    first_atom
        (S + 1,): structure s holds atoms first_atom[s] to first_atom[s + 1] − 1.
    first_edge
        (S + 1,): structure s holds edges first_edge[s] to first_edge[s + 1] − 1.
    neighbours
        (E, 2) int16 or int32: centre i and neighbour j of each edge, counted from the structure's
        first atom, in ascending order of (i, j).
    shifts
        (E, 3) int32: cell vectors by which the neighbour is moved; None for a dataset
        without periodic structures.
    """

    cutoff_a: float
    first_atom: NDArray[np.int64]
    first_edge: NDArray[np.int64]
    neighbours: NDArray[Any]
    shifts: NDArray[Any] | None = None

    def mean_neighbours(self, structures: ArrayLike) -> float:
        """Mean number of neighbours of an atom, over all atoms of the structures (at least one)."""
        rows = np.asarray(structures, dtype=np.int64)
        edges = (self.first_edge[rows + 1] - self.first_edge[rows]).sum()
        atoms = (self.first_atom[rows + 1] - self.first_atom[rows]).sum()
        return float(edges / atoms)


def neighbour_graphs(dataset: Dataset, cutoff: float, *, cache: Path | None = None) -> Graphs:
    """Open the neighbour graphs of a dataset, computing them where the cache has none.

    Graphs are published by an atomic rename, so that any number of processes may ask at once and
    one that is killed leaves nothing half written. A damaged cache entry is replaced.

    Parameters
    ----------
    dataset
        Whose structures (by content: datasets with equal structures share graphs).
    cutoff
        Å.
    cache
        Where to keep graphs; by default ``$MFSCALE_CACHE``, or else the user's cache directory.

    Raises
    ------
    DatasetError
        When the cutoff is no positive length, or the cache cannot be written.
    """
    if not (math.isfinite(cutoff) and cutoff > 0):
        raise DatasetError(f"cutoff {cutoff} Å is impossible; choose a positive length")
    cutoff = float(cutoff)
    directory = (cache or cache_directory()) / "graphs" / f"{dataset.digest[:32]}-{cutoff}"
    try:
        return _open(directory, dataset, cutoff)
    except DatasetError:
        pass
    building = directory.with_name(f"{directory.name}.{uuid.uuid4().hex}")
    try:
        building.mkdir(parents=True)
        _build(building, dataset, cutoff)
        built = _open(building, dataset, cutoff)
        return _publish(building, directory, built, dataset)
    except OSError as error:
        raise DatasetError(
            f"{directory}: neighbour graphs cannot be written ({error.strerror}); set "
            f"{CACHE_VARIABLE} to a writable directory"
        ) from None
    finally:
        shutil.rmtree(building, ignore_errors=True)


def cache_directory() -> Path:
    """Where graphs and compiled code are kept: ``$MFSCALE_CACHE``, or else the user's cache."""
    from platformdirs import user_cache_path  # noqa: PLC0415 - not needed where a cache is given

    named = os.environ.get(CACHE_VARIABLE)
    return Path(named).expanduser() if named else user_cache_path("mfscale", appauthor=False)


def _open(directory: Path, dataset: Dataset, cutoff: float) -> Graphs:
    """Map cached graphs; `DatasetError` when there are none or they cannot be whole."""
    first_edge = open_array(directory / "first_edge.npy")
    neighbours = open_array(directory / "neighbours.npy")
    if (
        first_edge.shape != (dataset.n_structures + 1,)
        or first_edge.dtype != np.int64
        or neighbours.shape != (first_edge[-1], 2)
        or neighbours.dtype not in (np.int16, np.int32)
    ):
        raise DatasetError(f"{directory}: not the graphs of dataset {dataset.name}; delete it")
    shifts = open_array(directory / "shifts.npy") if dataset.periodic else None
    if shifts is not None and shifts.shape != (len(neighbours), 3):
        raise DatasetError(f"{directory}: not the graphs of dataset {dataset.name}; delete it")
    return Graphs(cutoff, dataset.first_atom, first_edge, neighbours, shifts)


def _publish(building: Path, directory: Path, built: Graphs, dataset: Dataset) -> Graphs:
    """Rename `building` to `directory`, unless whole graphs are there by now: then take those.

    `built` maps files that a rename leaves in place, so it stays good whatever others do.
    """
    for _ in range(2):
        with contextlib.suppress(OSError):
            building.rename(directory)
            return built
        with contextlib.suppress(DatasetError):
            return _open(directory, dataset, built.cutoff_a)
        # What is there is damaged: out of the way by a rename, which one process alone wins.
        damaged = building.with_name(f"{building.name}.damaged")
        with contextlib.suppress(FileNotFoundError):
            directory.rename(damaged)
        shutil.rmtree(damaged, ignore_errors=True)
    return built


def _build(directory: Path, dataset: Dataset, cutoff: float) -> None:
    """Write `Graphs.first_edge`, `Graphs.neighbours` and, of a periodic dataset, `Graphs.shifts`.

    Edges go to the files block by block: of a million structures they take gigabytes.
    """
    first_atom, n_structures = dataset.first_atom, dataset.n_structures
    most = max(
        np.diff(first_atom[part.start : part.stop + 1]).max() for part in parts(n_structures)
    )
    dtype = np.dtype(np.int16 if most < 2**15 else np.int32)
    find = _periodic_edges if dataset.periodic else _edges
    n_edges = 0
    with contextlib.ExitStack() as files:
        whole = np.dtype(np.int64)
        first_edge = files.enter_context(AppendedArray(directory / "first_edge.npy", whole))
        first_edge.append(np.zeros(1))
        neighbours = files.enter_context(AppendedArray(directory / "neighbours.npy", dtype, 2))
        if dataset.periodic:
            shifted = np.dtype(np.int32)
            shifts = files.enter_context(AppendedArray(directory / "shifts.npy", shifted, 3))
        for structures in _blocks(dataset):
            of_each, local, shift = find(dataset, structures, cutoff)
            first_edge.append(n_edges + of_each.cumsum())
            n_edges += len(local)
            neighbours.append(local)
            if dataset.periodic:
                shifts.append(shift)


def _periodic_edges(
    dataset: Dataset, structures: NDArray[np.int64], cutoff: float
) -> tuple[NDArray[np.int64], NDArray[np.int64], NDArray[np.int64]]:
    """As `_edges`, structure by structure: each has a cell of its own."""
    cells, pbc = dataset.cells(structures)
    found = [
        edges_of(dataset.positions([structure]), cell, along, cutoff)
        for structure, cell, along in zip(structures.tolist(), cells, pbc, strict=True)
    ]
    n_edges = np.array([len(edges) for edges, _ in found], dtype=np.int64)
    edges, shifts = (np.concatenate(parts) for parts in zip(*found, strict=True))
    return n_edges, edges, shifts


def edges_of(
    positions: NDArray[np.float64],
    cell: NDArray[np.float64],
    pbc: NDArray[np.bool_],
    cutoff: float,
) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
    """Edges (E, 2) of one structure, periodic or not, and their shifts (E, 3) in cell vectors."""
    if pbc.any():
        i, j, shift = periodic_pairs(positions, cell, pbc, cutoff + _MARGIN_A)
    else:
        near = close_pairs(positions, cutoff + _MARGIN_A)
        i, j = near[0].astype(np.int64), near[1].astype(np.int64)
        shift = np.zeros((len(i), 3), dtype=np.int64)
    distance = np.linalg.norm(positions[j] - positions[i] + shift @ cell, axis=1)
    order = np.lexsort((*shift.T[::-1], j, i))
    order = order[distance[order] < cutoff]
    return np.stack([i[order], j[order]], axis=1), shift[order]


def _blocks(dataset: Dataset) -> Iterator[NDArray[np.int64]]:
    """Divide the structures into runs of about `_ATOMS_PER_CALL` atoms."""
    first, begin = dataset.first_atom[:-1], 0
    while begin < len(first):
        beyond = (first[begin] // _ATOMS_PER_CALL + 1) * _ATOMS_PER_CALL
        end = int(np.searchsorted(first, beyond))
        yield np.arange(begin, end)
        begin = end


def _edges(
    dataset: Dataset, structures: NDArray[np.int64], cutoff: float
) -> tuple[NDArray[np.int64], NDArray[np.int64], NDArray[np.int64]]:
    """Edges of some molecules, found in one search with the molecules too far apart to meet.

    One call per structure would spend its time in the call.

    Returns
    -------
    Edges of each structure (k,), their local atoms (E, 2), and no shifts.
    """
    n_atoms = dataset.n_atoms(structures)
    first = ragged.offsets(n_atoms)
    positions = dataset.positions(structures)
    owner = np.arange(len(structures)).repeat(n_atoms)
    apart = positions + _row_of_shifts(positions, first, cutoff).repeat(n_atoms, axis=0)
    i, j = close_pairs(apart, cutoff + _MARGIN_A)
    distance = np.linalg.norm(positions[j] - positions[i], axis=1)
    i, j = i[distance < cutoff], j[distance < cutoff]
    order = np.lexsort((j, i))
    i, j = i[order].astype(np.int64), j[order].astype(np.int64)
    n_edges = np.bincount(owner[i], minlength=len(structures))
    local = np.stack([i, j], axis=1) - first[owner[i]][:, None]
    return n_edges, local, np.zeros((0, 3), dtype=np.int64)


def close_pairs(
    positions: NDArray[np.float64], cutoff: float
) -> tuple[NDArray[np.int32], NDArray[np.int32]]:
    """Centres and neighbours of all pairs of atoms within the cutoff, both ways, not periodic.

    Parameters
    ----------
    positions
        (N, 3) Å, at least one atom; a line or a plane of atoms will do.
    cutoff
        Å.
    """
    from matscipy.neighbours import neighbour_list  # noqa: PLC0415 - not when graphs are cached

    low = positions.min(axis=0)
    box = np.diag(positions.max(axis=0) - low + 1.0)
    i, j = neighbour_list(
        "ij", positions=positions, cell=box, cell_origin=low, pbc=[False] * 3, cutoff=cutoff
    )
    return i, j


def _row_of_shifts(
    positions: NDArray[np.float64], first: NDArray[np.int64], cutoff: float
) -> NDArray[np.float64]:
    """Shifts (k, 3) that line structures up along x, each out of reach of the one before."""
    low = np.minimum.reduceat(positions, first[:-1], axis=0)
    width = np.maximum.reduceat(positions[:, 0], first[:-1]) - low[:, 0]
    shifts = -low
    shifts[1:, 0] += np.cumsum(width[:-1] + 2 * (cutoff + _MARGIN_A))
    return shifts
