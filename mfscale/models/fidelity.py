"""How a head's method enters a network: by a readout of its own, or as an input of the network."""

from collections.abc import Callable, Collection, Mapping, Sequence

import torch
from torch import Tensor, nn

from mfscale.data import keys
from mfscale.models.headed import Backbone, Batch, HeadedModel

_PREFIX = "head-"
"""Before a head's name where it names a module, which may not be called ``type`` or ``keys``."""

_SHARED = "shared"
"""What the one readout of all heads is called."""

_OF_HEADS = ("readouts", "fidelities")
"""Where in a model's state the names of heads are: the second word after one of these."""


class ReadoutPerHead(HeadedModel):
    """One readout per head; the backbone does not know the head."""

    def __init__(
        self, backbone: Backbone, heads: Sequence[str], make_readout: Callable[[], nn.Module]
    ) -> None:
        super().__init__(backbone, heads, {_PREFIX + head: make_readout() for head in heads})

    def readout(self, head: str) -> nn.Module:
        """The head's own."""
        return self.readouts[_PREFIX + head]

    def of_heads(self, heads: Collection[str]) -> list[nn.Parameter]:
        """The readouts of `heads`."""
        return [p for head in self.heads if head in heads for p in self.readout(head).parameters()]

    def atom_energies(self, batch: Batch) -> Tensor:
        """Per-atom energies (N,): all readouts read all atoms, of which each head keeps its own."""
        features = self.backbone(batch)
        each: list[Tensor] = [readout(features) for readout in self.readouts.values()]
        if len(each) == 1:
            return each[0]
        head = batch[keys.HEAD][batch[keys.STRUCTURE]]
        return torch.stack(each).gather(0, head.unsqueeze(0)).squeeze(0)


class FidelityEmbedding(HeadedModel):
    """One readout for all heads, and a learned vector per head among the backbone's inputs.

    The vector of an atom's head is added to its scalars before the first interaction, so that the
    method conditions the whole network, as in SevenNet-MF (arXiv:2409.07947). Vectors start at
    zero: then all heads are one.
    """

    def __init__(
        self, backbone: Backbone, heads: Sequence[str], make_readout: Callable[[], nn.Module]
    ) -> None:
        super().__init__(backbone, heads, {_SHARED: make_readout()})
        self.fidelities = nn.ParameterDict(
            {_PREFIX + head: torch.zeros(backbone.embedding_width) for head in heads}
        )

    def readout(self, head: str) -> nn.Module:  # noqa: ARG002 - it is every head's
        """The shared one."""
        return self.readouts[_SHARED]

    def of_heads(self, heads: Collection[str]) -> list[nn.Parameter]:
        """The shared readout, and the vectors of `heads`."""
        vectors = [self.fidelities[_PREFIX + head] for head in self.heads if head in heads]
        return [*self.readouts.parameters(), *vectors]

    def atom_energies(self, batch: Batch) -> Tensor:
        """Per-atom energies (N,)."""
        vectors = torch.stack([self.fidelities[_PREFIX + head] for head in self.heads])
        shift = vectors[batch[keys.HEAD][batch[keys.STRUCTURE]]]
        energy: Tensor = self.readouts[_SHARED](self.backbone(batch, shift))
        return energy


KINDS = {"readout": ReadoutPerHead, "embedding": FidelityEmbedding}
"""What a model's ``fidelity`` stands for."""


def inherited_state(
    before: Mapping[str, Tensor], fresh: Mapping[str, Tensor], sources: Mapping[str, str | None]
) -> dict[str, Tensor]:
    """The state a child starts from: what heads share from its parent, the rest head by head.

    Parameters
    ----------
    before
        State of the parent.
    fresh
        Initial state of a network with the child's heads; may be empty if all are inherited.
    sources
        Child's head → the parent's head whose readout or vector it takes; None: a fresh one.

    Returns
    -------
    dict
        Copies, for the network that gets them may be the one they come from.
    """
    state = {name: tensor for name, tensor in before.items() if _head_of(name) is None}
    for head, source in sources.items():
        origin, owner = (fresh, head) if source is None else (before, source)
        state |= {_renamed(name, head): t for name, t in origin.items() if _head_of(name) == owner}
    return {name: tensor.clone() for name, tensor in state.items()}


def _head_of(name: str) -> str | None:
    """Which head a tensor of a state belongs to; None if to all."""
    place, owner = name.split(".", 2)[:2]
    own = place in _OF_HEADS and owner.startswith(_PREFIX)
    return owner.removeprefix(_PREFIX) if own else None


def _renamed(name: str, head: str) -> str:
    place, _, *inner = name.split(".", 2)
    return ".".join([place, _PREFIX + head, *inner])
