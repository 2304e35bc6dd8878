"""Build a model of any architecture by name."""

from collections.abc import Mapping, Sequence

import torch

from mfscale.models import nequip
from mfscale.models.headed import HeadedModel
from mfscale.models.ladder import Setting

_FAMILIES = {"nequip": nequip.build}


def build(
    architecture: str,
    settings: Mapping[str, Setting],
    *,
    elements: Sequence[str],
    heads: Sequence[str],
    dtype: torch.dtype,
    cutoff_a: float,
    seed: int,
) -> HeadedModel:
    """Build a network with freshly initialised weights.

    Parameters
    ----------
    architecture, settings
        A family, and its settings as in `mfscale.models.ladder`.
    elements
        Symbols; a batch's ``species`` index into them.
    heads
        One readout each.
    dtype
        ``torch.float32`` or ``torch.float64``.
    cutoff_a
        Neighbour cutoff, Å.
    seed
        Of the initial weights; equal seeds give equal weights.
    """
    return _FAMILIES[architecture](
        settings, elements=elements, heads=heads, dtype=dtype, cutoff_a=cutoff_a, seed=seed
    )
