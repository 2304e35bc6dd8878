"""A stage's compiled code: for its training, and for its evaluations."""

import logging
from collections.abc import Mapping, Sequence

import numpy as np
import torch
from torch import Tensor

from mfscale.data import LabelledSet, keys
from mfscale.models.headed import Batch
from mfscale.study import Stage
from mfscale.training.artefacts import Artefacts, kind_of_code
from mfscale.training.compiled import NotCompiledError, compiled_in_ev
from mfscale.training.evaluation import Evaluator, Output
from mfscale.training.potential import Potential, Predict

LOGGER = logging.getLogger("mfscale")
_STRUCTURES = 20
"""In a batch that code for evaluation is made from, where memory allows."""


class StageCode:
    """Compiled code for the network of a stage, as it stands when it is asked for.

    Parameters
    ----------
    stage, potential
        Whose network.
    waits
        Whether to wait where another process is just making the code.
    """

    def __init__(self, stage: Stage, potential: Potential, *, waits: bool) -> None:
        self.stage = stage
        self.potential = potential
        self.waits = waits

    def training(self, examples: Sequence[Batch], *, forces: bool) -> Predict | None:
        """What predicts in training; None, and a word why in the log, if it cannot be had."""
        return self._predict(examples, forces=forces, learning=True)

    def evaluation(self, evaluator: Evaluator, sets: Mapping[str, LabelledSet]) -> Output | None:
        """What computes energies and forces as they are evaluated; None likewise."""
        (name, chosen), *_ = sets.items()
        structures = np.concatenate([chosen.train, chosen.validation])
        head = self.potential.head_index(name)
        dtype = next(self.potential.network.parameters()).dtype
        most = min(_STRUCTURES, evaluator.chunk)
        examples = [
            _of_unit_scale(evaluator.batch(some, head), dtype)
            for some in (structures[:most], structures[3 : 3 + most])
        ]
        predict = self._predict(examples, forces=True, learning=False)
        return None if predict is None else _unscaled(predict, dtype)

    def _predict(
        self, examples: Sequence[Batch], *, forces: bool, learning: bool
    ) -> Predict | None:
        potential, device = self.potential, examples[0][keys.POSITIONS].device
        code = kind_of_code(self.stage, device=device.type, threads=torch.get_num_threads())
        try:
            return compiled_in_ev(
                potential.network,
                examples,
                described=f"{potential.spec.model_dump_json()} {len(potential.network.heads)}",
                n_elements=len(potential.elements),
                forces=forces,
                artefacts=Artefacts(code),
                learning=learning,
                waits=self.waits,
            )
        except NotCompiledError as error:
            done = "trains" if learning else "is evaluated"
            LOGGER.warning("stage %s %s eagerly (%s)", self.stage.id, done, error)
            return None


def _of_unit_scale(batch: Batch, dtype: torch.dtype) -> Batch:
    return {**batch, keys.SCALE: torch.ones_like(batch[keys.N_ATOMS], dtype=dtype)}


def _unscaled(predict: Predict, dtype: torch.dtype) -> Output:
    """Energies and forces as the network gives them, by code that knows the batch's scale."""

    def output(batch: Batch) -> tuple[Tensor, Tensor]:
        energy, forces = predict(_of_unit_scale(batch, dtype))
        if forces is None:
            raise ValueError("this code computes no forces")
        return energy, forces

    return output
