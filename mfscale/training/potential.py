"""A potential: a network with everything that turns its output into energies and forces."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from functools import lru_cache

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor

from mfscale.data import keys
from mfscale.models.build import build
from mfscale.models.draws import InitialWeights
from mfscale.models.headed import Batch, HeadedModel, energy_and_forces
from mfscale.models.ladder import Kernels
from mfscale.study import Model
from mfscale.training.errors import TrainingError

Predict = Callable[[Batch], tuple[Tensor, Tensor | None]]
"""A batch → energies (B,) in eV without offsets, and forces (N, 3) in eV/Å or none."""


@dataclass(frozen=True)
class HeadScale:
    """What a head's readout is measured from.

    Attributes
    ----------
    method
        What the head predicts.
    minus
        The method whose labels it is a difference to; None where it predicts totals.
    offsets_ev
        (n_elements,) float64, in the order of the potential's elements.
    energy_scale_ev
        Unit of the readout's output; set where the readout starts afresh, and inherited with it.
    """

    method: str
    offsets_ev: npt.NDArray[np.float64]
    energy_scale_ev: float
    minus: str | None = None


@dataclass(frozen=True)
class Potential:
    """E(structure; head) = head's scale · network + Σ over atoms of the head's element offset.

    Totals are float64 even where the network is float32, in which 4,000 eV resolve 0.5 meV.

    Attributes
    ----------
    network
        The weights; training changes them in place.
    spec
        What `network` was built from.
    elements
        Symbols in order of atomic number; a batch's ``species`` index into them.
    heads
        By name, in the order of ``network.heads``.
    mean_neighbours
        Normalises sums over neighbours; set at the root and inherited.
    kernels
        What computes the network's products of tensors; not kept with the weights.
    """

    network: HeadedModel
    spec: Model
    elements: tuple[str, ...]
    heads: Mapping[str, HeadScale]
    mean_neighbours: float
    kernels: Kernels = "e3nn"

    def head_index(self, head: str) -> int:
        """Position of `head`, as a batch's ``head`` wants it.

        Raises
        ------
        TrainingError
            If there is no such head; the message lists those there are.
        """
        if head not in self.heads:
            raise TrainingError(f"this model has no head {head!r}; it has: {', '.join(self.heads)}")
        return list(self.heads).index(head)


def in_ev(
    network: HeadedModel, batch: Batch, *, forces: bool, create_graph: bool
) -> tuple[Tensor, Tensor | None]:
    """Energies (B,) in eV without offsets and, if asked for, forces (N, 3) in eV/Å.

    `batch` holds each structure's ``scale``; `create_graph` is for a loss on the forces.
    """
    scale = batch[keys.SCALE]
    if not forces:
        energy: Tensor = network(batch)
        return scale * energy, None
    energy, force = energy_and_forces(network, batch, create_graph=create_graph)
    return scale * energy, scale[batch[keys.STRUCTURE]].unsqueeze(-1) * force


def new_network(
    spec: Model, elements: Sequence[str], heads: Sequence[str], seed: int
) -> HeadedModel:
    """A network of its own, with the initial weights that `seed` stands for."""
    return build(
        spec.architecture,
        spec.settings,
        elements=elements,
        heads=heads,
        dtype=torch_dtype(spec),
        cutoff_a=spec.cutoff_a,
        seed=seed,
        fidelity=spec.fidelity,
    )


def kept_network(
    spec: Model, elements: Sequence[str], heads: Sequence[str], cuequivariance: str | None = None
) -> HeadedModel:
    """The one network of its kind that this process keeps; its weights may be any stage's.

    It computes by a method of cuEquivariance if one is given (`mfscale.models.products`).
    Whoever asks loads weights into it before use: reloading takes a millisecond, rebuilding
    hundreds, and a compiled network must not be built twice.
    """
    kind = spec.model_dump_json(), tuple(elements), tuple(heads)
    return _kept(*kind).network if cuequivariance is None else _faster(*kind, cuequivariance)


def initial_state(
    spec: Model, elements: Sequence[str], heads: Sequence[str], seed: int
) -> dict[str, Tensor]:
    """The state of `new_network`, mostly without building it."""
    return _kept(spec.model_dump_json(), tuple(elements), tuple(heads)).state(seed)


@lru_cache(maxsize=8)
def _kept(
    spec: str, elements: tuple[str, ...], heads: tuple[str, ...]
) -> InitialWeights[HeadedModel]:
    model = Model.model_validate_json(spec)
    return InitialWeights(lambda seed: new_network(model, elements, heads, seed))


@lru_cache(maxsize=8)
def _faster(
    spec: str, elements: tuple[str, ...], heads: tuple[str, ...], method: str
) -> HeadedModel:
    network = new_network(Model.model_validate_json(spec), elements, heads, seed=0)
    network.backbone.use_cuequivariance(method)
    return network


def forget_networks() -> None:
    """Keep no network; those that are in use stay with their users."""
    _kept.cache_clear()
    _faster.cache_clear()


def torch_dtype(spec: Model) -> torch.dtype:
    """The network's floating-point type."""
    return {"float32": torch.float32, "float64": torch.float64}[spec.dtype]
