"""A backbone with readouts for its heads: what every architecture is turned into."""

from abc import ABC, abstractmethod
from collections.abc import Collection, Mapping, Sequence

import torch
from torch import Tensor, nn

from mfscale.data import keys

Batch = Mapping[str, Tensor]


class Backbone(nn.Module, ABC):
    """Turns a batch into per-atom features that readouts read.

    A family's backbone returns a mapping of its own; only its own readouts look inside.

    Attributes
    ----------
    embedding_width
        Scalar channels of the features that the first interaction starts from.
    """

    embedding_width: int

    @abstractmethod
    def forward(self, batch: Batch, shift: Tensor | None = None) -> dict[str, Tensor]:
        """Features of every atom of `batch`, keyed as the family likes.

        `shift` (N, embedding_width), if given, is added to the scalars of each atom before the
        first interaction.
        """

    @abstractmethod
    def blocks(self) -> list[list[nn.Module]]:
        """Modules by interaction block, from the structure to the readout.

        The first block includes all embeddings. Every parameter is in exactly one block.
        """

    @abstractmethod
    def set_mean_neighbours(self, mean_neighbours: float) -> None:
        """Normalise sums over neighbours by the mean neighbour number of the root's labels."""

    @abstractmethod
    def use_cuequivariance(self, method: str) -> None:
        """Let cuEquivariance compute products of tensors from now on, by one of its methods.

        Parameters, their names and what is computed stay the same. See `mfscale.models.products`.

        Raises
        ------
        ModelError
            If its kernels are not installed. What else it raises for products that they do not
            compute is its own.
        """


class HeadedModel(nn.Module, ABC):
    """A backbone with readouts; kinds differ in how a head's method enters the network.

    Energies come out in units of the energy scale and without offsets: `mfscale.training` knows
    those. `heads` are names, in the order of a batch's ``head``; `readouts` maps the name of a
    readout to a module that takes the backbone's features to per-atom energies (N,).
    """

    def __init__(
        self, backbone: Backbone, heads: Sequence[str], readouts: Mapping[str, nn.Module]
    ) -> None:
        super().__init__()
        self.backbone = backbone
        self.heads = tuple(heads)
        self.readouts = nn.ModuleDict(readouts)

    @abstractmethod
    def readout(self, head: str) -> nn.Module:
        """The readout of one head, its own or a shared one."""

    @abstractmethod
    def of_heads(self, heads: Collection[str]) -> list[nn.Parameter]:
        """What the labels of `heads` teach outside the backbone."""

    @abstractmethod
    def atom_energies(self, batch: Batch) -> Tensor:
        """Per-atom energies (N,), each through the head of its structure."""

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
        atom_energy = self.atom_energies(batch)
        total = atom_energy.new_zeros(batch[keys.N_ATOMS].shape[0])
        return total.index_add(0, batch[keys.STRUCTURE], atom_energy)


def leave_buffers_out(module: nn.Module) -> None:
    """Leave buffers out of a module's state, for settings decide them all, and they are large."""
    for part in module.modules():
        for name, buffer in list(part.named_buffers(recurse=False)):
            part.register_buffer(name, buffer, persistent=False)


def edge_vectors(batch: Batch) -> Tensor:
    """From each edge's centre to its neighbour, or to the neighbour's image: (E, 3) in Å."""
    positions, (centre, neighbour) = batch[keys.POSITIONS], batch[keys.EDGE_INDEX]
    vectors = positions[neighbour] - positions[centre]
    return vectors + batch[keys.EDGE_SHIFT] if keys.EDGE_SHIFT in batch else vectors


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
