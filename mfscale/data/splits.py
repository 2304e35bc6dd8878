"""Subsets of a dataset, and the part of each that is kept back for validation."""

import hashlib
from collections.abc import Mapping, Sequence

import numpy as np
from numpy.typing import NDArray

from mfscale.data.scratch import parts

SUBSETS = ("a", "b", "c", "t")
"""In the order of the codes in ``split_<split>.npy``."""

TRAINING_SUBSETS = ("a", "b", "c")
"""``t`` is for testing alone."""

NO_SUBSET = 255
"""Code of structures that a split leaves out."""

VALIDATION_SHARE = 0.1


def reserved_for_validation(bits: NDArray[np.uint64]) -> NDArray[np.bool_]:
    """Which structures are for validation: one in ten, by their own content.

    Depending on nothing else, the choice is the same in every split, for every method and seed,
    and stays when a dataset grows.

    Parameters
    ----------
    bits
        `mfscale.data.digests.leading_bits` of the structures, (k,).
    """
    return bits < np.uint64(int(VALIDATION_SHARE * 2**64))


def subsets_by_molecule(
    names: Sequence[str],
    molecule: NDArray[np.int32],
    counted: NDArray[np.bool_],
    shares: Mapping[str, float],
) -> NDArray[np.uint8]:
    """Divide structures into subsets so that no molecule is in two.

    Molecules are taken in the order of the SHA-256 of their names, and each goes whole to the
    subset that then lacks most of its share of the `counted` structures. A subset so ends within
    one molecule of its share, and the result depends on names and numbers alone.

    Parameters
    ----------
    names
        Molecules.
    molecule
        (S,) index of each structure's molecule.
    counted
        (S,) structures that the shares refer to (those with expensive labels).
    shares
        Subset → fraction of the counted structures.

    Returns
    -------
    (S,) subset codes
    """
    counts = np.zeros(len(names), dtype=np.int64)
    for part in parts(len(molecule)):
        counts += np.bincount(molecule[part][counted[part]], minlength=len(names))
    lacking = np.array([shares[subset] for subset in SUBSETS]) * counts.sum()
    subset_of = np.empty(len(names), dtype=np.uint8)
    for m in sorted(range(len(names)), key=lambda m: hashlib.sha256(names[m].encode()).digest()):
        subset_of[m] = lacking.argmax()
        lacking[subset_of[m]] -= counts[m]
    subset = np.empty(len(molecule), dtype=np.uint8)
    for part in parts(len(molecule)):
        subset[part] = subset_of[molecule[part]]
    return subset
