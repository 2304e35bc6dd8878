"""Pairs of atoms and their periodic images."""

import numpy as np
from numpy.typing import NDArray

_MOST_BINS = 1e6


def periodic_pairs(
    positions: NDArray[np.float64],
    cell: NDArray[np.float64],
    pbc: NDArray[np.bool_],
    cutoff: float,
) -> tuple[NDArray[np.int64], NDArray[np.int64], NDArray[np.int64]]:
    """Centres, neighbours and shifts of all pairs closer than the cutoff, both ways.

    An atom may be the neighbour of its own images, and of several images of another.

    Parameters
    ----------
    positions, cell
        (N, 3) and (3, 3) Å, a cell vector a row; atoms may lie outside the cell.
    pbc
        (3,) directions that are periodic.
    cutoff
        Å.

    Returns
    -------
    i, j, S: (E,), (E,) and (E, 3); the edge's vector is r_j − r_i + S·cell.
    """
    if pbc.all() and abs(np.linalg.det(cell)) / cutoff**3 < _MOST_BINS:
        from matscipy.neighbours import neighbour_list  # noqa: PLC0415 - as for molecules

        i, j, shift = neighbour_list(
            "ijS", positions=positions, cell=cell, pbc=pbc.tolist(), cutoff=cutoff
        )
    else:
        from ase.neighborlist import primitive_neighbor_list  # noqa: PLC0415 - few need it

        i, j, shift = primitive_neighbor_list(
            "ijS", pbc, cell, positions, cutoff, self_interaction=False
        )
    return i.astype(np.int64), j.astype(np.int64), shift.astype(np.int64).reshape(-1, 3)


def is_usable(cell: NDArray[np.float64], pbc: NDArray[np.bool_]) -> bool:
    """Whether a cell (3, 3) spans the periodic directions, with vectors of 0.5 to 10⁴ Å."""
    from ase.geometry import complete_cell  # noqa: PLC0415 - few need it

    if cell.shape != (3, 3) or not (np.abs(cell) < 1e4).all():
        return False
    spanned = cell[pbc]
    lengths = np.linalg.norm(spanned, axis=1)
    if (lengths < 0.5).any():
        return False
    whole = complete_cell(np.where(pbc[:, None], cell, 0.0))
    volume = abs(np.linalg.det(whole)) / np.prod(np.linalg.norm(whole, axis=1))
    return bool(volume > 1e-2)
