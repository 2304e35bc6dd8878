"""A dataset: structures, labels of several methods, and the labelled sets drawn from them."""

import hashlib
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

from mfscale.data import ragged
from mfscale.data.arrays import open_arrays
from mfscale.data.digests import leading_bits
from mfscale.data.errors import DatasetError
from mfscale.data.header import read_header
from mfscale.data.labelled_set import LabelledSet, draw
from mfscale.data.labels import ForceLabels, Labels
from mfscale.data.splits import SUBSETS, TRAINING_SUBSETS, reserved_for_validation

if TYPE_CHECKING:
    from ase import Atoms

Indices = NDArray[np.int64]

DIFFERENCE = " - "
"""Between two methods: ``cc - xtb`` is a label source, the first method minus the second."""


class Dataset:
    """Structures with labels by one or more methods, memory-mapped from a directory.

    Structures are known by their index, 0 to ``n_structures`` − 1. Wherever labels are asked for, a
    method may be a difference of two, ``cc - xtb``: its labels are those of structures that both
    methods have labelled, and it has forces where both do (Δ-learning). Opening reads array headers
    alone, and pickling sends the path alone, so that processes share one copy of the data.

    Parameters
    ----------
    path
        A directory in the format of `mfscale.data.arrays` and `mfscale.data.header`.

    Attributes
    ----------
    name, description, licence
        From ``dataset.json``.
    elements
        Symbols by ascending atomic number; ``species`` index into them.
    element_numbers
        (n_elements,) their atomic numbers.
    molecules
        Names (SMILES); ``molecule`` (n_structures,) indexes into them.
    methods
        By name.
    periodic
        Whether any structure is.
    splits
        The ways the structures are divided into subsets `a`, `b`, `c` and `t`.
    first_atom
        (n_structures + 1,): structure s holds atoms first_atom[s] to first_atom[s + 1] − 1.

    Raises
    ------
    DatasetError
        When the directory is no dataset, is damaged or was written by a newer mfscale.
    """

    def __init__(self, path: str | Path) -> None:
        self.path = Path(path).resolve()
        header = read_header(self.path)
        self._arrays = open_arrays(header, self.path)
        self._labels = {method.name: Labels.of(method, self._arrays) for method in header.methods}
        self.name = header.name
        self.description = header.description
        self.licence = header.licence
        self.elements = tuple(sorted(header.elements, key=header.elements.__getitem__))
        self.molecules = header.molecules
        self.methods = {method.name: method for method in header.methods}
        self.splits = tuple(header.splits)
        self.periodic = header.periodic
        self._own_validation = header.own_validation
        self.first_atom: Indices = self._arrays["first_atom"]
        self.molecule: NDArray[np.int32] = self._arrays["molecule"]
        self.n_structures = len(self.first_atom) - 1
        self._species_of = np.full(256, -1, dtype=np.int64)
        self.element_numbers = np.array(sorted(header.elements.values()), dtype=np.int64)
        self._species_of[self.element_numbers] = np.arange(len(self.elements))

    def __repr__(self) -> str:
        return f"Dataset({self.name!r}, {self.n_structures} structures, {list(self.methods)})"

    def __reduce__(self) -> tuple[Any, ...]:
        return Dataset, (self.path,)

    @cached_property
    def digest(self) -> str:
        """SHA-256 of the structures' content (not of labels, names or splits), in hexadecimal."""
        return hashlib.sha256(np.ascontiguousarray(self._arrays["digest"]).data).hexdigest()

    def n_atoms(self, structures: ArrayLike) -> Indices:
        """Atoms of each structure, (k,)."""
        rows = self._checked(structures)
        return self.first_atom[rows + 1] - self.first_atom[rows]

    def positions(self, structures: ArrayLike) -> NDArray[np.float64]:
        """Positions of the structures' atoms end to end, (sum of atoms, 3) in Å."""
        positions: NDArray[np.float64] = self._arrays["positions"][self._atoms(structures)]
        return positions

    def cells(self, structures: ArrayLike) -> tuple[NDArray[np.float64], NDArray[np.bool_]]:
        """Cells (k, 3, 3) in Å, a vector a row, and periodic directions (k, 3)."""
        rows = self._checked(structures)
        if not self.periodic:
            return np.zeros((len(rows), 3, 3)), np.zeros((len(rows), 3), dtype=np.bool_)
        return self._arrays["cell"][rows], self._arrays["pbc"][rows]

    def species(self, structures: ArrayLike) -> Indices:
        """Index into `elements` of the structures' atoms end to end, (sum of atoms,)."""
        species = self._species_of[self._arrays["numbers"][self._atoms(structures)]]
        if species.min(initial=0) < 0:
            raise DatasetError(
                f"{self.path / 'numbers.npy'}: holds elements that dataset.json does not name "
                f"({', '.join(self.elements)}); import the dataset again"
            )
        return species

    def atomic_numbers(self, structures: ArrayLike) -> Indices:
        """Atomic numbers of the structures' atoms end to end, (sum of atoms,)."""
        numbers: Indices = self._arrays["numbers"][self._atoms(structures)].astype(np.int64)
        return numbers

    def composition(self, structures: ArrayLike) -> NDArray[np.float64]:
        """Atoms of each element, (k, n_elements) in the order of `elements`."""
        n_atoms = self.n_atoms(structures)
        k, width = len(n_atoms), len(self.elements)
        cell = np.arange(k).repeat(n_atoms) * width + self.species(structures)
        return np.bincount(cell, minlength=k * width).reshape(k, width).astype(np.float64)

    def structure(self, index: int) -> "Atoms":
        """One structure as ASE atoms; ``info`` tells its source id, molecule, conformer, T."""
        from ase import Atoms  # noqa: PLC0415 - a third of a second that few commands need

        atoms = self._atoms([index])
        arrays = self._arrays
        (cell,), (pbc,) = self.cells([index])
        return Atoms(
            cell=cell,
            pbc=pbc,
            numbers=arrays["numbers"][atoms],
            positions=arrays["positions"][atoms],
            info={
                "source_id": int(arrays["source_id"][index]),
                "molecule": self.molecules[self.molecule[index]],
                "conformer": int(arrays["conformer"][index]),
                "temperature_K": float(arrays["temperature_K"][index]),
            },
        )

    def labelled_structures(self, method: str) -> Indices:
        """Structures that have a label of the method, ascending."""
        return self._labels_of(method).structures

    def energies(self, method: str, structures: ArrayLike) -> NDArray[np.float64]:
        """Total energies, (k,) in eV; NaN where the method has no label."""
        return self._labels_of(method).energies(self._checked(structures))

    def forces(self, method: str, structures: ArrayLike) -> NDArray[np.float32]:
        """Forces on the structures' atoms end to end, (sum of atoms, 3) in eV/Å.

        NaN where the method has no label; `DatasetError` where the method has no forces at all.
        """
        forces = self._forces_of(method)
        rows = self._checked(structures)
        return forces.gather(*self._labels[method].find(rows), self.n_atoms(rows))

    def has_forces(self, method: str) -> bool:
        """Whether labels of a method come with forces."""
        return self._labels_of(method).forces is not None

    def n_labels(self, method: str, subset: str, *, split: str = "random") -> tuple[int, int]:
        """Labels of a method in a subset: for training, and reserved for validation.

        `t` has neither: its labels are for testing, see `test_structures`.
        """
        labelled = self._labelled_in(method, subset, split)
        if subset not in TRAINING_SUBSETS:
            return 0, 0
        n_validation = int(self._kept_back(labelled, split).sum())
        return len(labelled) - n_validation, n_validation

    def labelled_set(
        self,
        method: str,
        subset: str,
        size: int,
        *,
        forces: bool,
        data_seed: int = 0,
        split: str = "random",
        n_validation: int,
    ) -> LabelledSet:
        """What one head learns from: `size` training labels and `n_validation` beside them.

        Smaller sets of a seed are the beginnings of larger ones, and sets of two methods hold the
        same structures as far as both methods have labelled them. Validation structures depend on
        neither seed nor size.

        Raises
        ------
        DatasetError
            For an unknown method, subset or split, the test subset, forces that the method lacks,
            or more labels than there are.
        """
        labelled = self._labelled_in(method, subset, split)
        if forces:
            self._forces_of(method)
        if subset not in TRAINING_SUBSETS:
            raise DatasetError(
                f"dataset {self.name}: subset {subset!r} is for testing alone; train on one of "
                f"{', '.join(TRAINING_SUBSETS)}"
            )
        self._check_size(method, subset, split, size, n_validation)
        train, validation = draw(
            labelled,
            self._bits(labelled),
            self._kept_back(labelled, split),
            size,
            n_validation,
            data_seed,
        )
        return LabelledSet(
            method=method,
            subset=subset,
            split=split,
            forces=forces,
            data_seed=data_seed,
            train=train,
            validation=validation,
            digest=self._content(method, train, validation, forces=forces),
        )

    def test_structures(self, *, split: str = "random") -> Indices:
        """Structures of `t` that have a label of at least one method, ascending."""
        labelled = [self._labelled_in(method, "t", split) for method in self.methods]
        return np.unique(np.concatenate([*labelled, np.empty(0, dtype=np.int64)]))

    def _content(self, method: str, train: Indices, validation: Indices, *, forces: bool) -> str:
        """SHA-256 of a labelled set: its structures, then their labels, in order."""
        structures = np.concatenate([train, validation])
        content = hashlib.sha256(f"{self.elements} {len(train)} {forces}".encode())
        content.update(self._arrays["digest"][structures].tobytes())
        label, _ = self._labels[method].find(structures)
        content.update(self._labels[method].energy[label].tobytes())
        if forces:
            content.update(self._forces_of(method).digest[label].tobytes())
        return content.hexdigest()

    def _check_size(
        self, method: str, subset: str, split: str, size: int, n_validation: int
    ) -> None:
        there = {s: self.n_labels(method, s, split=split) for s in TRAINING_SUBSETS}
        where = f"dataset {self.name}, {split} split: method {method!r}"
        having = ", ".join(f"{s} {n}" for s, (n, _) in there.items() if n)
        n_training, n_reserved = there[subset]
        if not 1 <= size <= n_training:
            raise DatasetError(
                f"{where} has {n_training} training labels in subset {subset!r}, so size {size} "
                f"is impossible; training labels by subset: {having or 'none'}"
            )
        if not 0 <= n_validation <= n_reserved:
            raise DatasetError(
                f"{where} has {n_reserved} validation labels in subset {subset!r}, so "
                f"n_validation {n_validation} is impossible; ask for 0 to {n_reserved}"
            )

    def _labelled_in(self, method: str, subset: str, split: str) -> Indices:
        """Structures of a subset that have a label of the method, ascending."""
        self._known("split", split, self.splits)
        self._known("subset", subset, SUBSETS)
        structures = self._labels_of(method).structures
        codes: NDArray[np.uint8] = self._arrays[f"split_{split}"][structures]
        inside: Indices = structures[codes == SUBSETS.index(subset)]
        return inside

    def _kept_back(self, structures: Indices, split: str) -> NDArray[np.bool_]:
        """Which structures of a training subset are for validation."""
        if split in self._own_validation:
            kept: NDArray[np.bool_] = self._arrays[f"validation_{split}"][structures]
            return kept
        return reserved_for_validation(self._bits(structures))

    def subset_codes(self, split: str = "random") -> NDArray[np.uint8]:
        """Subset of each structure, (n_structures,): its place in `SUBSETS`, 255 for none."""
        self._known("split", split, self.splits)
        codes: NDArray[np.uint8] = self._arrays[f"split_{split}"]
        return codes

    def structure_digests(self) -> NDArray[np.uint8]:
        """Content digest of each structure, (n_structures, 16)."""
        digests: NDArray[np.uint8] = self._arrays["digest"]
        return digests

    def reserved(self, split: str = "random") -> NDArray[np.bool_]:
        """Which structures (n_structures,) are for validation, if they are in `a`, `b` or `c`."""
        self._known("split", split, self.splits)
        return self._kept_back(np.arange(self.n_structures), split)

    def _atoms(self, structures: ArrayLike) -> Indices:
        """Atoms of the structures end to end."""
        rows = self._checked(structures)
        return ragged.ranges(self.first_atom[rows], self.n_atoms(rows))

    def _bits(self, structures: Indices) -> NDArray[np.uint64]:
        return leading_bits(self._arrays["digest"][structures])

    def _checked(self, structures: ArrayLike) -> Indices:
        rows = np.asarray(structures, dtype=np.int64)
        wrong = rows[(rows < 0) | (rows >= self.n_structures)]
        if wrong.size:
            raise DatasetError(
                f"dataset {self.name}: structure {wrong[0]} does not exist; choose from 0 to "
                f"{self.n_structures - 1}"
            )
        return rows

    def _labels_of(self, source: str) -> Labels:
        """The labels of a method, or of a difference of two, which is kept once it is asked for."""
        if source not in self._labels:
            high, minus, low = source.partition(DIFFERENCE)
            for method in (high, low) if minus else (source,):
                self._known("method", method, tuple(self.methods))
            every = np.diff(self.first_atom)
            self._labels[source] = self._labels[high].minus(self._labels[low], every)
        return self._labels[source]

    def _forces_of(self, method: str) -> ForceLabels:
        forces = self._labels_of(method).forces
        if forces is None:
            having = [name for name, known in self.methods.items() if known.has_forces]
            raise DatasetError(
                f"dataset {self.name}: method {method!r} has no forces; set forces: false, or "
                f"take a method that has them ({', '.join(having) or 'none here'})"
            )
        return forces

    def _known(self, what: str, value: str, choices: tuple[str, ...]) -> None:
        if value not in choices:
            raise DatasetError(
                f"dataset {self.name}: unknown {what} {value!r}; choose from {', '.join(choices)}"
            )
