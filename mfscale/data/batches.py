"""Batches: structures and their graphs gathered into plain dicts of the canonical keys."""

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

from mfscale.data import keys, ragged
from mfscale.data.dataset import Dataset
from mfscale.data.graphs import Graphs

Batch = dict[str, NDArray[Any]]


@dataclass(frozen=True, kw_only=True, eq=False)
class Packed:
    """Some structures held in memory, ready to be batched at every training step.

    K structures hold A atoms and E edges in all.

    Attributes
    ----------
    positions, species
        (A, 3) float64 in Å, (A,) int64.
    first_atom, n_atoms, first_edge, n_edges
        (K,) int64 each.
    neighbours
        (2, E) atoms i and j of each edge, counted from their structure's first atom.
    shifts
        (E, 3) Å: how far the neighbour's image is from it; None without periodic structures.
    """

    positions: NDArray[np.float64]
    species: NDArray[np.int64]
    first_atom: NDArray[np.int64]
    n_atoms: NDArray[np.int64]
    first_edge: NDArray[np.int64]
    n_edges: NDArray[np.int64]
    neighbours: NDArray[Any]
    shifts: NDArray[np.float64] | None = None

    def __len__(self) -> int:
        return len(self.n_atoms)

    def batch(self, members: ArrayLike) -> Batch:
        """One batch, without labels, under the keys of `mfscale.data.keys`.

        Parameters
        ----------
        members
            (B,) places within this pack, 0 to K − 1, in any order.
        """
        rows = np.asarray(members, dtype=np.int64)
        n_atoms, n_edges = self.n_atoms[rows], self.n_edges[rows]
        atoms = ragged.ranges(self.first_atom[rows], n_atoms)
        edges = ragged.ranges(self.first_edge[rows], n_edges)
        first = n_atoms.cumsum() - n_atoms
        shifts = {} if self.shifts is None else {keys.EDGE_SHIFT: self.shifts.take(edges, axis=0)}
        return shifts | {
            keys.POSITIONS: self.positions.take(atoms, axis=0),
            keys.SPECIES: self.species.take(atoms),
            keys.EDGE_INDEX: self.neighbours.take(edges, axis=1) + first.repeat(n_edges),
            keys.STRUCTURE: np.arange(len(rows)).repeat(n_atoms),
            keys.N_ATOMS: n_atoms,
        }

    def atom_rows(self, members: ArrayLike) -> NDArray[np.int64]:
        """Places (N,) of a batch's atoms within this pack: what gathers labels per atom."""
        rows = np.asarray(members, dtype=np.int64)
        return ragged.ranges(self.first_atom[rows], self.n_atoms[rows])


def pack(dataset: Dataset, graphs: Graphs, structures: ArrayLike) -> Packed:
    """Gather structures and their graphs into contiguous memory.

    Parameters
    ----------
    dataset, graphs
        Source; the graphs must be the dataset's own.
    structures
        (K,) structures in any order; one may appear more than once.
    """
    rows = np.asarray(structures, dtype=np.int64)
    n_atoms = dataset.n_atoms(rows)
    n_edges = graphs.first_edge[rows + 1] - graphs.first_edge[rows]
    edges = ragged.ranges(graphs.first_edge[rows], n_edges)
    shifts = None
    if graphs.shifts is not None:
        cells = dataset.cells(rows)[0].repeat(n_edges, axis=0)
        shifts = np.einsum("ek,ekx->ex", graphs.shifts[edges].astype(np.float64), cells)
    return Packed(
        positions=dataset.positions(rows),
        species=dataset.species(rows),
        first_atom=n_atoms.cumsum() - n_atoms,
        n_atoms=n_atoms,
        first_edge=n_edges.cumsum() - n_edges,
        n_edges=n_edges,
        neighbours=np.ascontiguousarray(graphs.neighbours[edges].T),
        shifts=shifts,
    )


def collate(dataset: Dataset, graphs: Graphs, structures: ArrayLike) -> Batch:
    """One batch of structures; to batch the same structures often, `pack` them once."""
    packed = pack(dataset, graphs, structures)
    return packed.batch(np.arange(len(packed)))
