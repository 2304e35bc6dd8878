"""Energy offsets per element."""

import numpy as np
from numpy.typing import NDArray


def fit_offsets(
    composition: NDArray[np.float64], energies: NDArray[np.float64]
) -> NDArray[np.float64]:
    """Energy offsets per element that leave the smallest squared residual.

    Solves min ‖energies − composition·μ‖² in float64; where the compositions do not determine μ
    (an element that never occurs, or two that always occur together), the smallest μ of those
    that do equally well.

    Parameters
    ----------
    composition
        (k, n_elements) atoms of each element.
    energies
        (k,) eV, finite.

    Returns
    -------
    (n_elements,) eV per atom
    """
    counts = np.asarray(composition, dtype=np.float64)
    solution = np.linalg.lstsq(counts, np.asarray(energies, dtype=np.float64))
    return np.asarray(solution[0], dtype=np.float64)
