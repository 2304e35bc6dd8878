"""The labels of one method: which structures have one, their energies, perhaps their forces."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Self

import numpy as np
from numpy.typing import NDArray

from mfscale.data import ragged
from mfscale.data.header import Method


@dataclass(frozen=True, eq=False)
class ForceLabels:
    """Forces of n labels, on F atoms in all.

    Attributes
    ----------
    first
        (n + 1,): label k holds rows first[k] to first[k + 1] − 1 of `values`.
    values
        (F, 3) eV/Å.
    digest
        (n, 16) content digest of each label's forces; (n, 32) of a difference, both methods'.
    """

    first: NDArray[np.int64]
    values: NDArray[np.float32]
    digest: NDArray[np.uint8]

    def gather(
        self,
        label: NDArray[np.int64],
        labelled: NDArray[np.bool_],
        n_atoms: NDArray[np.int64],
    ) -> NDArray[np.float32]:
        """Forces (sum of atoms, 3) on structures of `n_atoms` (k,), found by `Labels.find`."""
        forces = np.full((int(n_atoms.sum()), 3), np.nan, dtype=np.float32)
        source = ragged.ranges(self.first[label], n_atoms[labelled])
        forces[labelled.repeat(n_atoms)] = self.values[source]
        return forces


@dataclass(frozen=True, eq=False)
class Labels:
    """Labels of one method.

    Attributes
    ----------
    structures
        (n,) labelled structures, ascending.
    energy
        (n,) eV.
    forces
        None for a method without.
    """

    structures: NDArray[np.int64]
    energy: NDArray[np.float64]
    forces: ForceLabels | None

    @classmethod
    def of(cls, method: Method, arrays: Mapping[str, NDArray[Any]]) -> Self:
        """Pick a method's labels from a dataset's arrays."""
        forces = None
        if method.has_forces:
            names = ("first_force", "forces", "forces_digest")
            forces = ForceLabels(*(arrays[f"{method.name}_{name}"] for name in names))
        return cls(arrays[f"{method.name}_structure"], arrays[f"{method.name}_energy"], forces)

    def minus(self, low: "Labels", n_atoms: NDArray[np.int64]) -> "Labels":
        """The difference to another method's labels, on the structures that have both.

        Parameters
        ----------
        low
            What is subtracted.
        n_atoms
            (S,) atoms of every structure of the dataset.

        Returns
        -------
        Labels
            With forces where both methods have them; the forces of a difference are known by the
            digests of both.
        """
        structures = np.intersect1d(self.structures, low.structures, assume_unique=True)
        mine, theirs = self.find(structures)[0], low.find(structures)[0]
        forces = None
        if self.forces and low.forces:
            atoms = n_atoms[structures]
            every = np.ones(len(structures), dtype=np.bool_)
            values = self.forces.gather(mine, every, atoms) - low.forces.gather(
                theirs, every, atoms
            )
            digest = np.concatenate([self.forces.digest[mine], low.forces.digest[theirs]], axis=1)
            forces = ForceLabels(ragged.offsets(atoms), values, digest)
        return Labels(structures, self.energy[mine] - low.energy[theirs], forces)

    def find(self, rows: NDArray[np.int64]) -> tuple[NDArray[np.int64], NDArray[np.bool_]]:
        """Look structures up: the label of each labelled one, and which are labelled, (k,)."""
        label = np.searchsorted(self.structures, rows)
        labelled = np.zeros(len(rows), dtype=np.bool_)
        inside = label < len(self.structures)
        labelled[inside] = self.structures[label[inside]] == rows[inside]
        return label[labelled], labelled

    def energies(self, rows: NDArray[np.int64]) -> NDArray[np.float64]:
        """Energies of structures, (k,) in eV; NaN where there is no label."""
        label, labelled = self.find(rows)
        energies = np.full(len(rows), np.nan)
        energies[labelled] = self.energy[label]
        return energies
