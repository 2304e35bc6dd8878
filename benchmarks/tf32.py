"""What TF32 would do to errors: its matrix products imitated on a processor.

``python benchmarks/tf32.py OUT.json [--steps N] [--seeds N]`` trains NequIP (``small``, 256 DFT
labels with forces) in single precision, and with products of numbers rounded as a GPU's TF32 rounds
them: to ten bits of mantissa, summed in single precision. Every model is tested in
single precision, and those trained so are tested with such products too. Of speed it tells nothing.
"""

import argparse
import contextlib
import json
import platform
import tempfile
from collections.abc import Sequence
from importlib.metadata import version
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor
from torch.utils._python_dispatch import TorchDispatchMode
from torch.utils._pytree import tree_map_only

from mfscale.cli._catalogue import catalogue
from mfscale.study import Stage, expand, parse_study
from mfscale.training import POTENTIAL, load_potential, run_stage
from mfscale.training.evaluation import Prediction
from mfscale.training.labelled import labelled

STUDY = """
name: tf32
dataset: chno3
seed: {{zip: replicate, values: {seeds}}}
data_seed: {{zip: replicate, values: {seeds}}}
model: {{architecture: nequip, size: small}}
training: {{max_steps: {steps}, validate_every: 50, patience: 1000, batch_size: 16}}
strategies:
  direct:
    - heads: {{dft: {{subset: b, size: 256, validation: 32}}}}
"""
DROPPED_BITS = 13
"""Of the 23 of a single-precision mantissa."""
PRODUCTS = tuple(
    getattr(torch.ops.aten, name).default for name in ("mm", "bmm", "addmm", "baddbmm")
)


class Tf32(TorchDispatchMode):  # type: ignore[no-untyped-call]
    """Matrix products of rounded numbers, in forward and backward passes alike."""

    def __torch_dispatch__(
        self,
        func: Any,  # noqa: ANN401 - torch's signature
        types: Sequence[type],
        args: tuple[Any, ...] = (),
        kwargs: dict[str, Any] | None = None,
    ) -> Any:  # noqa: ANN401
        """Round what is multiplied; what is added to it is not."""
        if func in PRODUCTS:
            added = len(args) - 2
            args = (*args[:added], *tree_map_only(Tensor, rounded, args[added:]))
        return func(*args, **(kwargs or {}))


def rounded(tensor: Tensor) -> Tensor:
    """To ten bits of mantissa, halves to even."""
    if tensor.dtype != torch.float32:
        return tensor
    bits = tensor.contiguous().view(torch.int32)
    odd = (bits >> DROPPED_BITS) & 1
    whole = (bits + (1 << (DROPPED_BITS - 1)) - 1 + odd) & -(1 << DROPPED_BITS)
    return whole.view(torch.float32)


def predicted(stage: Stage, folder: Path, *, imitated: bool) -> tuple[Prediction, Prediction]:
    """What a finished stage's model predicts of the test structures, and their labels."""
    there = labelled(stage, torch.device("cpu"))
    potential, _ = load_potential(folder / POTENTIAL)
    test = there.evaluator.test
    with Tf32() if imitated else contextlib.nullcontext():
        found = there.evaluator.predict(potential, "dft", test)
    dataset = there.dataset
    return found, Prediction(dataset.energies("dft", test), dataset.forces("dft", test))


def misses(one: Prediction, other: Prediction) -> dict[str, float]:
    """Mean absolute differences of total energies and force components."""
    energy = np.nanmean(np.abs(one.energies_ev - other.energies_ev))
    forces = np.nanmean(np.abs(one.forces_ev_a - other.forces_ev_a))
    return {"energy_mev": 1e3 * float(energy), "forces_mev_per_a": 1e3 * float(forces)}


def main() -> None:
    """Train, test, print and write."""
    parser = argparse.ArgumentParser(description=str(__doc__).partition("\n")[0])
    parser.add_argument("out", type=Path)
    parser.add_argument("--steps", type=int, default=600)
    parser.add_argument("--seeds", type=int, default=3)
    asked = parser.parse_args()
    torch.set_num_threads(1)
    text = STUDY.format(seeds=list(range(asked.seeds)), steps=asked.steps)
    stages = expand(parse_study(text, source="tf32.yaml"), catalogue()).stages.values()
    found = []
    for stage in stages:
        with tempfile.TemporaryDirectory() as name:
            single, imitated = Path(name) / "single", Path(name) / "imitated"
            run_stage(stage, checkpoint_dir=lambda _, folder=single: folder)
            with Tf32():
                run_stage(stage, checkpoint_dir=lambda _, folder=imitated: folder)
            plain, labels = predicted(stage, single, imitated=False)
            found.append(
                {
                    "seed": stage.seed,
                    "error, trained and tested in single precision": misses(plain, labels),
                    "error, trained with TF32's products": misses(
                        predicted(stage, imitated, imitated=False)[0], labels
                    ),
                    "what TF32's products change in the first one's predictions": misses(
                        predicted(stage, single, imitated=True)[0], plain
                    ),
                }
            )
        print(json.dumps(found[-1], indent=2), flush=True)
    content = {
        "steps": asked.steps,
        "stages": found,
        "versions": {p: version(p) for p in ("mfscale", "torch", "nequip")},
        "processor": platform.machine(),
    }
    asked.out.write_text(json.dumps(content, indent=2) + "\n", encoding="utf-8")


if __name__ == "__main__":
    main()
