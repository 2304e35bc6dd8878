"""A stage's compiled code: for its training, and for its evaluations."""

import logging
from collections.abc import Mapping, Sequence

import torch
from torch import Tensor

from mfscale.data import LabelledSet, keys
from mfscale.models.headed import Batch
from mfscale.study import Stage
from mfscale.training.artefacts import Artefacts, kind_of_code
from mfscale.training.compiled import NotCompiledError, compiled_in_ev
from mfscale.training.evaluation import Evaluator, Output
from mfscale.training.examples import examples, of_unit_scale
from mfscale.training.potential import Potential, Predict

LOGGER = logging.getLogger("mfscale")


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

    def training(self, batches: Sequence[Batch], *, forces: bool) -> Predict | None:
        """What predicts in training; None, and a word why in the log, if it cannot be had."""
        return self._predict(batches, forces=forces, learning=True)

    def inference(self, evaluator: Evaluator, sets: Mapping[str, LabelledSet]) -> Predict | None:
        """What predicts energies and forces, without gradients by weights; None likewise."""
        batches = examples(self.potential, evaluator, sets)
        return self._predict(batches, forces=True, learning=False)

    def evaluation(self, evaluator: Evaluator, sets: Mapping[str, LabelledSet]) -> Output | None:
        """What computes energies and forces as they are evaluated; None likewise."""
        dtype = next(self.potential.network.parameters()).dtype
        predict = self.inference(evaluator, sets)
        return None if predict is None else _unscaled(predict, dtype)

    def _predict(self, batches: Sequence[Batch], *, forces: bool, learning: bool) -> Predict | None:
        potential, device = self.potential, batches[0][keys.POSITIONS].device
        heads = f"{len(potential.network.heads)} heads"
        names = " ".join(
            name for name, _ in potential.network.named_parameters()
        )  # with LoRA, more
        code = kind_of_code(self.stage, device=device.type, threads=torch.get_num_threads())
        try:
            return compiled_in_ev(
                potential.network,
                batches,
                described=f"{potential.spec.model_dump_json()} {heads} {names}",
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


def _unscaled(predict: Predict, dtype: torch.dtype) -> Output:
    """Energies and forces as the network gives them, by code that knows the batch's scale."""

    def output(batch: Batch) -> tuple[Tensor, Tensor]:
        energy, forces = predict(of_unit_scale(batch, dtype))
        if forces is None:
            raise ValueError("this code computes no forces")
        return energy, forces

    return output
