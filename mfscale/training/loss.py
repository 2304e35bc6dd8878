"""The training loss: per-atom energies, and forces where they are labelled."""

from collections.abc import Sequence
from dataclasses import dataclass

import torch
from torch import Tensor
from torch.nn import functional

from mfscale.data import keys
from mfscale.models.headed import Batch
from mfscale.study import Hyperparameters


@dataclass(frozen=True)
class Labels:
    """How many labels the means of a batch's loss are taken over.

    Attributes
    ----------
    energies
        Structures.
    force_components
        () labelled ones; None if there are no forces.
    """

    energies: int
    force_components: Tensor | None


def labels_of(parts: Sequence[Batch]) -> Labels:
    """The labels of a batch that is given in parts."""
    components = [(~torch.isnan(p[keys.FORCES])).sum() for p in parts if keys.FORCES in p]
    return Labels(
        sum(len(part[keys.ENERGY]) for part in parts),
        torch.stack(components).sum() if components else None,
    )


def loss(
    energy_ev: Tensor,
    forces_ev_a: Tensor | None,
    batch: Batch,
    settings: Hyperparameters,
    of: Labels | None = None,
) -> Tensor:
    """Weighted mean penalty of a batch, or the share of it that a part of the batch has.

    ``energy_weight · mean over structures of w·penalty(ΔE / n_atoms)
    + force_weight · mean over labelled force components of w·penalty(ΔF)``, with w the weight of
    each structure's head. The energy term does not depend on whether forces are there.

    Parameters
    ----------
    energy_ev
        (B,) predicted energies without offsets.
    forces_ev_a
        (N, 3) predicted forces; None where no head of the step learns forces.
    batch
        With labels: ``energy`` (B,) without offsets, ``forces`` (N, 3) NaN where unlabelled,
        ``weight`` (B,).
    settings
        Weights and penalty.
    of
        The whole batch's labels, where `batch` is a part of it: the parts' losses, and so their
        gradients, then add up to those of the whole. Unset: `batch` is the whole.
    """
    of = of or labels_of([batch])
    weight = batch[keys.WEIGHT]
    per_atom = (energy_ev - batch[keys.ENERGY]) / batch[keys.N_ATOMS]
    total = settings.energy_weight * (weight * _penalty(per_atom, settings)).sum() / of.energies
    if forces_ev_a is None or of.force_components is None:
        return total
    labels = batch[keys.FORCES]
    labelled = ~torch.isnan(labels)
    misses = torch.where(labelled, forces_ev_a - labels, 0.0)
    weights = weight[batch[keys.STRUCTURE]].unsqueeze(-1)
    mean = (weights * _penalty(misses, settings)).sum() / of.force_components.clamp(min=1)
    return total + settings.force_weight * mean


def _penalty(misses: Tensor, settings: Hyperparameters) -> Tensor:
    if settings.loss == "huber":
        delta = settings.huber_delta_ev
        return functional.huber_loss(
            misses, torch.zeros_like(misses), reduction="none", delta=delta
        )
    return misses.square()
