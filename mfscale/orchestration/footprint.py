"""How much memory of a GPU a stage needs, estimated before anything of it has run."""

import math
from collections.abc import Mapping
from dataclasses import dataclass, field

from mfscale.orchestration.estimate import UNKNOWN, Extent, Kind, kind_of
from mfscale.study import Stage

PROCESS_BYTES = 6e8
"""Of CUDA and its libraries in each process: assumed, not measured."""

WEIGHT_COPIES = 12
"""Tensors of the network's size: weights, their average, best, and a spare; gradients; Adam's
moments; what clips, averages and loads them; a parent's network and one kept from another stage."""

EVALUATED_AT_ONCE = 256
"""Structures in one go while batches are whole: `mfscale.training.evaluation.CHUNK`."""

ATOMS_PER_A3 = 0.13
"""Of a dense molecular solid. Within the cutoff an atom has no more neighbours than that, nor than
its structure has other atoms."""

SAFETY = 1.5
"""Batches of large structures, scratch space of libraries, memory that is free but in pieces."""


@dataclass(frozen=True)
class Activations:
    """Bytes that a training step in single precision takes, by atom and by edge."""

    per_atom: float
    per_edge: float


@dataclass(frozen=True)
class Footprints:
    """What decides the memory of stages.

    Attributes
    ----------
    activations
        Kind (of dtype float32) → what a training step takes.
    n_parameters
        Architecture and size → parameters.
    extents
        Dataset and split → what is known of it.
    """

    activations: Mapping[Kind, Activations]
    n_parameters: Mapping[tuple[str, str], int]
    extents: Mapping[tuple[str, str], Extent] = field(default_factory=dict)

    def bytes_of(self, stage: Stage) -> float:
        """Of a GPU, for a stage whose batches are whole; infinite for a model nobody has measured.

        ``SAFETY · (weights + the larger of a training step's and an evaluation's activations) +
        PROCESS_BYTES``. An evaluation, forces included, takes no second derivatives and so about
        what a step on energies takes.
        """
        architecture, size, _, forces = kind_of(stage)
        n_parameters = self.n_parameters.get((architecture, size), 0)
        step, evaluation = (
            self.activations.get((architecture, size, "float32", second))
            for second in (forces, False)
        )
        if step is None or evaluation is None or not n_parameters:
            return math.inf
        labels = sum(head.size for head in stage.heads.values())
        activations = max(
            min(stage.hyperparameters.batch_size, labels) * self._of_structure(step, stage),
            EVALUATED_AT_ONCE * self._of_structure(evaluation, stage),
        )
        double = 2 if stage.model.dtype == "float64" else 1
        weights = 4 * WEIGHT_COPIES * n_parameters
        return SAFETY * double * (weights + activations) + PROCESS_BYTES

    def _of_structure(self, activations: Activations, stage: Stage) -> float:
        atoms = self.extents.get((stage.dataset, stage.split), UNKNOWN).mean_atoms
        within = ATOMS_PER_A3 * 4 / 3 * math.pi * stage.model.cutoff_a**3
        neighbours = min(max(atoms - 1, 0), within)
        return atoms * (activations.per_atom + neighbours * activations.per_edge)
