"""A batch taken in parts is the same step: losses, gradients, whole stages."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from torch import Tensor

from mfscale.data import Dataset
from mfscale.models import LADDER
from mfscale.study import Stage
from mfscale.training import StageResult, run_stage
from mfscale.training.initial import root_potential
from mfscale.training.labelled import labelled
from mfscale.training.loss import labels_of, loss
from mfscale.training.potential import Potential, in_ev
from mfscale.training.samples import Samples, make_samples

Plan = Callable[..., list[Stage]]

CC = {"subset": "a", "size": 16, "validation": 8, "weight": 3.0}
DFT = {"subset": "b", "size": 24, "validation": 8}
HEADS: dict[str, dict[str, Any]] = {
    "energies": {"cc": CC},
    "forces": {"dft": DFT},
    "both": {"cc": CC, "dft": DFT},
}


def samples_of(stage: Stage, device: str = "cpu") -> tuple[Potential, Samples]:
    """A root's fresh potential, moved off its start, and its training samples."""
    there = labelled(stage, torch.device(device))
    potential = root_potential(stage, there.sets, there.evaluator)
    generator = torch.Generator().manual_seed(0)
    with torch.no_grad():  # a fresh readout is zero, and hands no gradient on
        for parameter in potential.network.parameters():
            noise = torch.randn(parameter.shape, generator=generator, dtype=parameter.dtype)
            parameter.add_(noise.to(parameter.device), alpha=0.1)
    heads = {n: (stage.heads[n], chosen, chosen.train) for n, chosen in there.sets.items()}
    dataset, graphs = there.dataset, there.graphs
    return potential, make_samples(dataset, graphs, potential, heads, torch.device(device))


def stepped(
    stage: Stage, potential: Potential, samples: Samples, chosen: np.ndarray, n: int
) -> tuple[float, list[Tensor]]:
    """Loss and gradients of a step that takes its batch in `n` parts."""
    parts = samples.parts(chosen, n)
    parameters = [p for p in potential.network.parameters() if p.numel()]
    for parameter in parameters:
        parameter.grad = None
    forces = samples.forces_ev_a is not None
    total = 0.0
    for part in parts:
        energy, force = in_ev(potential.network, part, forces=forces, create_graph=True)
        value = loss(energy, force, part, stage.hyperparameters, of=labels_of(parts))
        value.backward()
        total += value.item()
    return total, [torch.zeros_like(p) if p.grad is None else p.grad.clone() for p in parameters]


@pytest.mark.slow
@pytest.mark.parametrize("heads", HEADS)
@pytest.mark.parametrize("architecture", LADDER)
def test_parts_add_up_to_the_whole(few: Dataset, plan: Plan, architecture: str, heads: str) -> None:
    """In double precision to rounding, heads with and without forces in any part of a batch."""
    model = {"architecture": architecture, "dtype": "float64"}
    (stage,) = plan(few, {"heads": HEADS[heads]}, model=model)
    potential, samples = samples_of(stage)
    order = np.random.default_rng(1).permutation(len(samples))
    in_order = np.arange(8, min(24, len(samples)))  # of two heads, each half has labels of one
    for chosen in (order[:11], in_order):
        whole, gradients = stepped(stage, potential, samples, chosen, 1)
        size = max(float(g.abs().max()) for g in gradients)
        assert size > 0
        for n in (2, 3, 1000):
            assert len(samples.parts(chosen, n)) == min(n, len(chosen))
            in_parts, found = stepped(stage, potential, samples, chosen, n)
            assert in_parts == pytest.approx(whole, rel=1e-12)
            for a, b in zip(found, gradients, strict=True):
                torch.testing.assert_close(a, b, rtol=1e-10, atol=1e-12 * size)


@pytest.mark.parametrize("heads", HEADS)
def test_a_stage_trained_in_parts_ends_as_one_in_whole_batches(
    few: Dataset, plan: Plan, tmp_path: Path, heads: str
) -> None:
    """The same curve and the same errors; the row says in how many parts it was."""
    (stage,) = plan(few, {"heads": HEADS[heads]}, model={"dtype": "float64"})

    def run(parts: int) -> StageResult:
        return run_stage(
            stage, checkpoint_dir=lambda s: tmp_path / str(parts) / s, batch_parts=parts
        )

    whole, in_parts = run(1), run(3)
    assert (whole.row["batch_parts"], in_parts.row["batch_parts"]) == (1, 3)
    for name in ("validation_loss", "train_loss", "validation_energy_mae_mev"):
        expected = [getattr(point, name) for point in whole.curve[1:]]
        found = [getattr(point, name) for point in in_parts.curve[1:]]
        assert found == pytest.approx(expected, rel=1e-8)
    errors = [e["value"] for e in whole.row["evaluations"]]
    assert [e["value"] for e in in_parts.row["evaluations"]] == pytest.approx(errors, rel=1e-6)
    assert in_parts.row["steps"] == whole.row["steps"]
