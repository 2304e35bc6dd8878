"""Build a model of any architecture by name."""

import importlib
from collections.abc import Mapping, Sequence

import torch

from mfscale.models.headed import HeadedModel
from mfscale.models.ladder import Setting, check_installed
from mfscale.models.surroundings import leaving_no_trace


def build(
    architecture: str,
    settings: Mapping[str, Setting],
    *,
    elements: Sequence[str],
    heads: Sequence[str],
    dtype: torch.dtype,
    cutoff_a: float,
    seed: int,
    fidelity: str = "readout",
) -> HeadedModel:
    """Build a network with freshly initialised weights.

    The file ``mfscale/models/<architecture>.py`` builds it, and is imported only now: each needs a
    package of its own.

    Parameters
    ----------
    architecture, settings
        A family, and its settings as in `mfscale.models.ladder`.
    elements
        Symbols; a batch's ``species`` index into them.
    heads
        Names, in the order of a batch's ``head``.
    dtype
        ``torch.float32`` or ``torch.float64``.
    cutoff_a
        Neighbour cutoff, Å.
    seed
        Of the initial weights; equal seeds give equal weights.
    fidelity
        How a head's method enters: ``readout``, one per head, or ``embedding``, one readout for all
        heads and a vector per head as an input of the network (`mfscale.models.fidelity`).

    Raises
    ------
    ModelError
        If the architecture's package is not installed; the message says what to type.
    """
    check_installed(architecture)
    with leaving_no_trace():
        family = importlib.import_module(f"mfscale.models.{architecture}")
        model: HeadedModel = family.build(
            settings,
            elements=elements,
            heads=heads,
            dtype=dtype,
            cutoff_a=cutoff_a,
            seed=seed,
            fidelity=fidelity,
        )
    return model
