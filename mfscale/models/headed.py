"""A backbone with one readout per head: what every architecture is turned into."""

from abc import ABC, abstractmethod
from collections.abc import Collection, Mapping

import torch
from torch import Tensor, nn

from mfscale.data import keys

Batch = Mapping[str, Tensor]

_PREFIX = "head-"
"""Before a head's name where it names a module, which may not be called ``type`` or ``keys``."""


class Backbone(nn.Module, ABC):
    """Turns a batch into per-atom features that readouts read.

    A family's backbone returns a mapping of its own; only its own readouts look inside.
    """

    @abstractmethod
    def forward(self, batch: Batch) -> dict[str, Tensor]:
        """Features of every atom of `batch`, keyed as the family likes."""

    @abstractmethod
    def set_mean_neighbours(self, mean_neighbours: float) -> None:
        """Normalise sums over neighbours by the mean neighbour number of the root's labels."""


class HeadedModel(nn.Module):
    """A shared backbone and one readout per head.

    Energies come out in units of the energy scale and without offsets: `mfscale.training` knows
    those. `readouts` maps head → module taking the backbone's features to per-atom energies (N,).
    """

    def __init__(self, backbone: Backbone, readouts: Mapping[str, nn.Module]) -> None:
        super().__init__()
        self.backbone = backbone
        self.heads = tuple(readouts)
        self.readouts = nn.ModuleDict({_PREFIX + head: r for head, r in readouts.items()})

    def readout(self, head: str) -> nn.Module:
        """The readout of one head."""
        return self.readouts[_PREFIX + head]

    def forward(self, batch: Batch) -> Tensor:
        """Energy of each structure through its own head.

        Parameters
        ----------
        batch
            Canonical keys (`mfscale.data.keys`); ``head`` (B,) chooses among `heads`.

        Returns
        -------
        Tensor
            (B,) in units of the energy scale, in the network's dtype.
        """
        features = self.backbone(batch)
        structure = batch[keys.STRUCTURE]
        if len(self.readouts) == 1:
            atom_energy: Tensor = next(iter(self.readouts.values()))(features)
        else:
            each = torch.stack([readout(features) for readout in self.readouts.values()])
            atom_energy = each.gather(0, batch[keys.HEAD][structure].unsqueeze(0)).squeeze(0)
        total = atom_energy.new_zeros(batch[keys.N_ATOMS].shape[0])
        return total.index_add(0, structure, atom_energy)


def energy_and_forces(
    model: HeadedModel, batch: Batch, *, create_graph: bool
) -> tuple[Tensor, Tensor]:
    """Energies (B,) and forces (N, 3), the negative gradient of the energies' sum.

    `create_graph` keeps the graph, so that a loss on the forces can be differentiated.
    """
    positions = batch[keys.POSITIONS].detach().requires_grad_()
    energy = model({**batch, keys.POSITIONS: positions})
    (gradient,) = torch.autograd.grad(energy.sum(), positions, create_graph=create_graph)
    return energy, -gradient


def copy_readout(state: Mapping[str, Tensor], source: str, target: str) -> dict[str, Tensor]:
    """The weights of head `source` in a model's `state`, renamed to those of head `target`."""
    prefix = f"readouts.{_PREFIX}{source}."
    return {
        f"readouts.{_PREFIX}{target}.{name.removeprefix(prefix)}": tensor
        for name, tensor in state.items()
        if name.startswith(prefix)
    }


def set_trainable(model: HeadedModel, trainable: str, heads: Collection[str]) -> list[nn.Parameter]:
    """Freeze all but the trainable part and return its parameters.

    Parameters
    ----------
    model
        Changed in place.
    trainable
        ``all``: the backbone and the readouts of `heads`; ``readout``: those readouts alone.
    heads
        That learn; the readouts of the others stay as they are.
    """
    model.backbone.requires_grad_(trainable == "all")
    for head in model.heads:
        model.readout(head).requires_grad_(head in heads)
    return [p for p in model.parameters() if p.requires_grad and p.numel() > 0]
