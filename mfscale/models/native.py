"""Write a trained model in the format of its architecture's own package."""

import importlib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import numpy.typing as npt

from mfscale.models.errors import ModelError
from mfscale.models.fidelity import FidelityEmbedding
from mfscale.models.headed import HeadedModel
from mfscale.models.ladder import Setting
from mfscale.models.surroundings import leaving_no_trace


@dataclass(frozen=True, kw_only=True)
class Trained:
    """A network and all that turns its output into energies.

    Attributes
    ----------
    network
        Its output is in units of the head's energy scale, without offsets.
    settings, elements, cutoff_a, mean_neighbours
        What it was built from, as for `mfscale.models.build.build`.
    energy_scale_ev
        Head → eV.
    offsets_ev
        Head → (n_elements,) float64, eV per atom, in the order of `elements`.
    """

    network: HeadedModel
    settings: Mapping[str, Setting]
    elements: Sequence[str]
    cutoff_a: float
    mean_neighbours: float
    energy_scale_ev: Mapping[str, float]
    offsets_ev: Mapping[str, npt.NDArray[np.float64]]


_WRITERS = {"nequip": "native_nequip", "allegro": "native_nequip", "mace": "native_mace"}


def write_native(architecture: str, trained: Trained, path: Path, head: str) -> None:
    """Write `trained` to `path`.

    MACE's format holds all heads; NequIP's and Allegro's hold one, `head`.

    Raises
    ------
    ModelError
        If the package refuses, or its format cannot hold the network, which has no place for a
        method as an input; the message says why and what to do.
    """
    if isinstance(trained.network, FidelityEmbedding):
        raise ModelError(
            f"{architecture}'s own format cannot hold a model with a fidelity embedding; "
            "export it without --native"
        )
    with leaving_no_trace():
        writer = importlib.import_module(f"mfscale.models.{_WRITERS[architecture]}")
        writer.write(architecture, trained, path, head)
