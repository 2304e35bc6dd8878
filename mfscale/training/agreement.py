"""Whether two ways to compute a network give the same, weights and gradients included."""

from collections.abc import Iterator, Sequence
from contextlib import contextmanager

import torch
from torch import Tensor, nn

from mfscale.models.headed import Batch
from mfscale.training.potential import Predict

TOLERANCE = {torch.float32: 1e-4, torch.float64: 1e-10}
"""By how much energies, forces and gradients may differ, relative to their norm."""


def disagreement(
    ours: Predict,
    theirs: Predict,
    batches: Sequence[Batch],
    learning: tuple[Sequence[nn.Parameter], Sequence[nn.Parameter]],
    dtype: torch.dtype,
) -> str | None:
    """By how much two ways differ in energies, forces or gradients; None if within `TOLERANCE`.

    Parameters
    ----------
    ours, theirs
        The ways, of the same weights; `theirs` is taken to be right.
    batches
        What they are compared on.
    learning
        Of each way, the parameters by which gradients of a loss are compared, in the same order;
        none where gradients are not wanted.
    dtype
        That the network computes in, whatever it gives.
    """
    mine, right = learning
    for batch in batches:
        for found, wanted in zip(
            _found(ours, batch, mine), _found(theirs, batch, right), strict=True
        ):
            miss, norm = float((found - wanted).norm()), float(wanted.norm())
            if not miss <= TOLERANCE[dtype] * norm:
                return f"off by {miss:.1e} of {norm:.1e}"
    return None


@contextmanager
def shaken(parameters: Sequence[nn.Parameter]) -> Iterator[None]:
    """Add some noise to parameters while the block runs, the same to equal shapes in equal order.

    For the weights of a fresh readout are zero, which would hide a lot.
    """
    before = [p.detach().clone() for p in parameters]
    generator = torch.Generator().manual_seed(0)
    with torch.no_grad():
        for parameter in parameters:
            noise = torch.randn(parameter.shape, generator=generator, dtype=parameter.dtype)
            parameter.add_(noise.to(parameter.device), alpha=0.1)
    try:
        yield
    finally:
        with torch.no_grad():
            for parameter, value in zip(parameters, before, strict=True):
                parameter.copy_(value)


def _found(predict: Predict, batch: Batch, parameters: Sequence[nn.Parameter]) -> list[Tensor]:
    """Energies, forces, and the gradients of the sum of both's squares, if there are parameters."""
    energy, forces = predict(batch)
    found = [energy] if forces is None else [energy, forces]
    if not parameters:
        return [tensor.detach() for tensor in found]
    total = torch.stack([tensor.square().sum() for tensor in found]).sum()
    gradients = torch.autograd.grad(total, parameters, allow_unused=True, materialize_grads=True)
    return [tensor.detach() for tensor in found] + [torch.cat([g.flatten() for g in gradients])]
