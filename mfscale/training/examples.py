"""Some batches of a stage's labels, to compare ways of computing its network on."""

from collections.abc import Mapping

import numpy as np
import torch

from mfscale.data import LabelledSet, keys
from mfscale.models.headed import Batch
from mfscale.training.evaluation import Evaluator
from mfscale.training.potential import Potential

_STRUCTURES = 20
"""In a batch, where memory allows."""


def examples(
    potential: Potential, evaluator: Evaluator, sets: Mapping[str, LabelledSet]
) -> list[Batch]:
    """Two batches as they are evaluated, of different sizes, for the first head of a stage.

    One of few labels.
    """
    (name, chosen), *_ = sets.items()
    structures = np.concatenate([chosen.train, chosen.validation])
    head = potential.head_index(name)
    dtype = next(potential.network.parameters()).dtype
    most = min(_STRUCTURES, evaluator.chunk)
    return [
        of_unit_scale(evaluator.batch(some, head), dtype)
        for some in (structures[:most], structures[3 : 3 + most])
        if len(some)
    ]


def of_unit_scale(batch: Batch, dtype: torch.dtype) -> Batch:
    """A batch of which energies come in units of the energy scale."""
    return {**batch, keys.SCALE: torch.ones_like(batch[keys.N_ATOMS], dtype=dtype)}
