"""Element offsets of each head, fitted in float64 and removed before a network sees an energy.

Labels of different methods lie hundreds of eV apart (all-electron against valence-only totals);
wrong offsets are the commonest way for a fine-tuning to fail.
"""

import numpy as np
import numpy.typing as npt

from mfscale.data import fit_offsets

Floats = npt.NDArray[np.float64]


def from_residuals(
    composition: Floats,
    energies_ev: Floats,
    predicted_ev: Floats,
    parent_offsets_ev: Floats,
    *,
    ridge: float,
) -> Floats:
    """The parent's offsets, shifted by a ridge fit to what its predictions miss.

    The parent already explains the variation between structures, so few labels fix the shift. The
    ridge pulls a shift that the labels do not determine (an element they lack) to zero; relative
    to the mean eigenvalue of the normal matrix, so that repeating every label changes nothing.

    Parameters
    ----------
    composition, energies_ev
        (k, n_elements) atoms of each element; (k,) total energies, eV.
    predicted_ev
        (k,) the parent's predictions, its offsets included.
    parent_offsets_ev
        (n_elements,) of the parent's head.
    ridge
        Dimensionless; 0 is least squares of minimum norm.
    """
    residuals = energies_ev - predicted_ev
    penalty = ridge * np.trace(composition.T @ composition) / composition.shape[1]
    rows = np.vstack([composition, np.sqrt(penalty) * np.eye(composition.shape[1])])
    shift = fit_offsets(rows, np.concatenate([residuals, np.zeros(composition.shape[1])]))
    return parent_offsets_ev + shift
