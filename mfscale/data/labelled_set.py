"""The draw of a labelled set: which structures one head learns from, in which order."""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from mfscale.data.digests import keyed


@dataclass(frozen=True, kw_only=True, eq=False)
class LabelledSet:
    """What one head learns from.

    Attributes
    ----------
    method, subset, split, forces, data_seed
        As asked for.
    train
        (size,) structures in the order of the draw.
    validation
        (n_validation,) structures; the same for every seed and size.
    digest
        SHA-256 of the content, in hexadecimal: elements, structures, energies and (if asked for)
        forces, in order. Neither the dataset's name nor labels outside the set act on it.
    """

    method: str
    subset: str
    split: str
    forces: bool
    data_seed: int
    train: NDArray[np.int64]
    validation: NDArray[np.int64]
    digest: str


def draw(
    labelled: NDArray[np.int64],
    bits: NDArray[np.uint64],
    kept_back: NDArray[np.bool_],
    size: int,
    n_validation: int,
    data_seed: int,
) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
    """Draw training and validation structures from those of a subset that have a label.

    Training structures come in an order keyed by the seed and each structure's own digest. So
    draws nest in size, methods agree on the structures they share, and new labels interleave
    without reordering the old ones. Validation structures come in the order of their digests.

    Parameters
    ----------
    labelled
        (n,) labelled structures of the subset.
    bits
        (n,) `mfscale.data.digests.leading_bits` of each.
    kept_back
        (n,) which are for validation.
    size, n_validation
        How many to draw; at most what the subset holds.
    data_seed
        Chooses the draw.

    Returns
    -------
    (size,) and (n_validation,)
    """
    train, validation = labelled[~kept_back], labelled[kept_back]
    train_order = np.argsort(keyed(bits[~kept_back], data_seed), kind="stable")
    validation_order = np.argsort(bits[kept_back], kind="stable")
    return train[train_order[:size]], validation[validation_order[:n_validation]]
