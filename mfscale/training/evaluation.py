"""Errors of a potential: every head against every method that has labels, in meV and meV/Å."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import partial
from typing import Literal

import numpy as np
import numpy.typing as npt
import torch

from mfscale.data import Dataset, Graphs, LabelledSet, collate, fit_offsets, keys
from mfscale.models.headed import Batch, energy_and_forces
from mfscale.training.potential import Potential
from mfscale.training.transfer import batch_on

Floats = npt.NDArray[np.float64]
Moment = Literal["start", "end", "baseline"]
Output = Callable[[Batch], tuple[torch.Tensor, torch.Tensor]]
"""A batch → a network's energies (B,) and forces (N, 3), in units of the energy scale."""
CHUNK = 256
"""Structures evaluated at once where memory allows."""


@dataclass(frozen=True)
class Evaluation:
    """One error of one head, as it stands in a result row."""

    head: str
    method: str
    subset: str
    moment: Moment
    metric: str
    value: float
    unit: str
    n: int


@dataclass(frozen=True)
class StructureErrors:
    """Errors of one head against one method on k test structures, by columns of a store's table.

    Attributes
    ----------
    structure, n_atoms
        Index in the dataset and number of atoms, (k,).
    energy_error_mev
        Predicted minus reference total energy, (k,).
    forces_mae_mev_per_a
        MAE of each structure's force components, (k,); None if the method has no forces.
    """

    structure: npt.NDArray[np.int64]
    n_atoms: npt.NDArray[np.int64]
    head: str
    method: str
    energy_error_mev: Floats
    forces_mae_mev_per_a: Floats | None


@dataclass(frozen=True)
class Prediction:
    """Total energies (k,) in eV and forces (atoms of all k, 3) in eV/Å, both float64."""

    energies_ev: Floats
    forces_ev_a: Floats


def nothing(batch: Batch) -> tuple[torch.Tensor, torch.Tensor]:
    """What a network gives whose readouts are all fresh."""
    positions = batch[keys.POSITIONS]
    return positions.new_zeros(len(batch[keys.N_ATOMS])), torch.zeros_like(positions)


class Evaluator:
    """Compares predictions with the labels of one dataset and split, `chunk` structures at once."""

    def __init__(
        self,
        dataset: Dataset,
        graphs: Graphs,
        split: str,
        device: torch.device,
        chunk: int = CHUNK,
    ) -> None:
        self.dataset = dataset
        self.graphs = graphs
        self.device = device
        self.chunk = chunk
        self.test = dataset.test_structures(split=split)

    def evaluate(
        self,
        potential: Potential,
        sets: dict[str, LabelledSet],
        moment: Moment,
        output: Output | None = None,
    ) -> tuple[list[Evaluation], list[StructureErrors]]:
        """Errors of every head on the test subset, and of those in `sets` on their validation part.

        `output` computes what the network would, where there is a quicker way.

        A head is compared with its own method as it is. Against another method the energies of
        both are compared after removing a least-squares offset per element, fitted to their
        difference on the structures compared, for the methods' scales differ by design. A head
        that learned a difference to a lower method is tested by what it gives on top of that
        method's labels, where there are any.
        """
        found: list[Evaluation] = []
        per_structure: list[StructureErrors] = []
        for head, scale in potential.heads.items():
            predicted = self.predict(potential, head, self.test, output)
            if scale.minus is not None:
                predicted = self._on_top_of(scale.minus, predicted)
            for method in self.dataset.methods:
                aligned = method != scale.method
                compared = self._compare(method, self.test, predicted, aligned=aligned)
                found += compared.summary(head, method, "t", moment)
                per_structure.append(compared.by_structure(head, method))
        return found + self.validate(potential, sets, moment, output), per_structure

    def validate(
        self,
        potential: Potential,
        sets: Mapping[str, LabelledSet],
        moment: Moment,
        output: Output | None = None,
    ) -> list[Evaluation]:
        """Errors of the heads in `sets` on their own validation parts, and of nothing else."""
        found: list[Evaluation] = []
        for head, labelled in sets.items():
            predicted = self.predict(potential, head, labelled.validation, output)
            compared = self._compare(labelled.method, labelled.validation, predicted, aligned=False)
            subset = f"{labelled.subset}/validation"
            found += compared.summary(head, potential.heads[head].method, subset, moment)
        return found

    def predict(
        self,
        potential: Potential,
        head: str,
        structures: npt.NDArray[np.int64],
        output: Output | None = None,
    ) -> Prediction:
        """Predict through `head`; totals are assembled in float64."""
        index, offsets = potential.head_index(head), potential.heads[head].offsets_ev
        if output is nothing:  # which needs no batches
            return self._of_offsets(offsets, structures)
        output = output or partial(energy_and_forces, potential.network, create_graph=False)
        energies, forces = [], []
        for start in range(0, len(structures), self.chunk):
            batch = self.batch(structures[start : start + self.chunk], index)
            energy, force = map(_array, output(batch))  # nothing that keeps the graph alive
            energies.append(energy)
            forces.append(force)
        scale = potential.heads[head].energy_scale_ev
        return Prediction(
            energies_ev=scale * np.concatenate(energies)
            + self.dataset.composition(structures) @ offsets,
            forces_ev_a=scale * np.concatenate(forces),
        )

    def batch(self, structures: npt.NDArray[np.int64], head: int) -> dict[str, torch.Tensor]:
        """Structures as a network takes them, on the device, for the head of a number."""
        batch = batch_on(collate(self.dataset, self.graphs, structures), self.device)
        return {**batch, keys.HEAD: torch.full_like(batch[keys.N_ATOMS], head)}

    def baseline(self, head: str, method: str, labelled: LabelledSet) -> list[Evaluation]:
        """Errors of nothing but element offsets, fitted to the head's training labels.

        `method` is the head's; of a difference, the offsets come on top of the lower method.
        """
        offsets = fit_offsets(
            self.dataset.composition(labelled.train),
            self.dataset.energies(labelled.method, labelled.train),
        )
        found: list[Evaluation] = []
        for subset, structures in (
            ("t", self.test),
            (f"{labelled.subset}/validation", labelled.validation),
        ):
            predicted = self._of_offsets(offsets, structures)
            compared = self._compare(labelled.method, structures, predicted, aligned=False)
            found += compared.summary(head, method, subset, "baseline")
        return found

    def _of_offsets(self, offsets: Floats, structures: npt.NDArray[np.int64]) -> Prediction:
        """Energies of nothing but element offsets, and no forces."""
        composition = self.dataset.composition(structures)
        return Prediction(
            energies_ev=composition @ offsets, forces_ev_a=np.zeros((int(composition.sum()), 3))
        )

    def _on_top_of(self, method: str, difference: Prediction) -> Prediction:
        """Predictions for the test structures, given what they add to a method's labels.

        NaN where the method has no label; no forces where it has none.
        """
        energies = self.dataset.energies(method, self.test)
        forces = np.full_like(difference.forces_ev_a, np.nan)
        if self.dataset.methods[method].has_forces:
            forces = self.dataset.forces(method, self.test).astype(np.float64)
        return Prediction(
            energies_ev=energies + difference.energies_ev,
            forces_ev_a=forces + difference.forces_ev_a,
        )

    def _compare(
        self,
        method: str,
        structures: npt.NDArray[np.int64],
        predicted: Prediction,
        *,
        aligned: bool,
    ) -> "Comparison":
        composition = self.dataset.composition(structures)
        n_atoms = composition.sum(axis=1).astype(np.int64)
        difference = predicted.energies_ev - self.dataset.energies(method, structures)
        labelled = ~np.isnan(difference)
        misses = difference[labelled]
        if aligned and len(misses):
            misses = misses - composition[labelled] @ fit_offsets(composition[labelled], misses)
        forces = None
        if self.dataset.has_forces(method):
            missed = predicted.forces_ev_a - self.dataset.forces(method, structures)
            forces = missed[np.repeat(labelled, n_atoms)]
            forces = None if np.isnan(forces).any() else forces
        return Comparison(structures[labelled], n_atoms[labelled], misses, forces)


def _array(tensor: torch.Tensor) -> Floats:
    return tensor.detach().double().cpu().numpy()


@dataclass(frozen=True)
class Comparison:
    """Prediction minus label on the structures that have one: eV (k,), eV/Å (atoms, 3)."""

    structures: npt.NDArray[np.int64]
    n_atoms: npt.NDArray[np.int64]
    energy_ev: Floats
    forces_ev_a: Floats | None

    def summary(self, head: str, method: str, subset: str, moment: Moment) -> list[Evaluation]:
        """MAE and RMSE of total energy, energy per atom and force components; [] if no labels."""
        if not len(self.structures):
            return []
        misses = [
            ("energy", "meV", 1e3 * self.energy_ev),
            ("energy", "meV/atom", 1e3 * self.energy_ev / self.n_atoms),
        ]
        if self.forces_ev_a is not None:
            misses.append(("forces", "meV/Å", 1e3 * self.forces_ev_a))
        return [
            Evaluation(
                head=head,
                method=method,
                subset=subset,
                moment=moment,
                metric=f"{quantity}_{name}",
                value=value,
                unit=unit,
                n=len(self.structures),
            )
            for quantity, unit, miss in misses
            for name, value in (
                ("mae", float(np.abs(miss).mean())),
                ("rmse", float(np.sqrt(np.square(miss).mean()))),
            )
        ]

    def by_structure(self, head: str, method: str) -> StructureErrors:
        """The errors of each structure."""
        forces = None
        if self.forces_ev_a is not None and len(self.structures):
            first = np.concatenate([[0], np.cumsum(self.n_atoms)[:-1]])
            sums = np.add.reduceat(np.abs(self.forces_ev_a).sum(axis=1), first)
            forces = 1e3 * sums / (3 * self.n_atoms)
        return StructureErrors(
            self.structures, self.n_atoms, head, method, 1e3 * self.energy_ev, forces
        )
