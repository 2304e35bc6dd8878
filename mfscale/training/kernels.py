"""Potentials whose products of tensors cuEquivariance computes, once it was seen to be right."""

import dataclasses
from collections.abc import Mapping, Sequence
from functools import partial

import torch

from mfscale.data import LabelledSet
from mfscale.models.errors import ModelError
from mfscale.models.headed import Batch, HeadedModel
from mfscale.training.agreement import disagreement, shaken
from mfscale.training.checkpoint import load_weights
from mfscale.training.errors import is_lost_gpu, is_out_of_memory
from mfscale.training.evaluation import Evaluator
from mfscale.training.examples import examples
from mfscale.training.potential import Potential, in_ev, kept_network


class NoKernelsError(Exception):
    """A network that cuEquivariance cannot compute, or not rightly; e3nn can."""


_seen: dict[tuple[str, int, str], str | None] = {}
"""By kind of network and device: why e3nn is to compute it; None if it need not."""


def with_cuequivariance(
    potential: Potential, evaluator: Evaluator, sets: Mapping[str, LabelledSet]
) -> Potential:
    """The same potential, with cuEquivariance in the place of e3nn, and weights of its own.

    The first of its kind in a process is compared with the one given: energies, forces, and the
    gradients of both by all weights.

    Parameters
    ----------
    potential
        As it stands before training.
    evaluator, sets
        What makes batches of a stage's labels, for the comparison.

    Raises
    ------
    NoKernelsError
        If its kernels are not installed, fail, or compute something else.
    """
    device = next(potential.network.parameters()).device
    kind = (potential.spec.model_dump_json(), len(potential.heads), str(device))
    if (known := _seen.get(kind)) is not None:
        raise NoKernelsError(known)
    batches = [] if kind in _seen else examples(potential, evaluator, sets)
    try:
        network = _network(potential, device)
        if kind not in _seen:
            _seen[kind] = _why_not(network, potential, batches)
    except Exception as error:
        if is_out_of_memory(error) or is_lost_gpu(error):  # nothing to say, nobody to go on
            raise
        known = str(error) if isinstance(error, ModelError) else f"{type(error).__name__}: {error}"
        _seen[kind] = known.splitlines()[0][:300]
    if (known := _seen[kind]) is not None:
        raise NoKernelsError(known)
    return dataclasses.replace(potential, network=network, kernels="cuequivariance")


def _network(potential: Potential, device: torch.device) -> HeadedModel:
    method = "uniform_1d" if device.type == "cuda" else "naive"
    heads = list(potential.heads)
    network = kept_network(potential.spec, potential.elements, heads, method).to(device)
    load_weights(network, potential.network.state_dict(), potential.mean_neighbours)
    return network


def _why_not(network: HeadedModel, potential: Potential, batches: Sequence[Batch]) -> str | None:
    """What speaks against a network that is to compute the same as a potential's own."""
    names = [name for name, _ in potential.network.named_parameters()]
    both = dict(network.named_parameters()), dict(potential.network.named_parameters())
    mine, right = ([parameters[name] for name in names] for parameters in both)
    ways = [
        partial(in_ev, one, forces=True, create_graph=True) for one in (network, potential.network)
    ]
    with shaken(mine), shaken(right):
        off = disagreement(ways[0], ways[1], batches, (mine, right), right[0].dtype)
    return off and f"cuEquivariance was {off}"
