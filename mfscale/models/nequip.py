"""NequIP, from the `nequip` package, as a backbone and readouts.

*Readout* means the final linear map from the scalars of the last interaction block to an atom's
energy (``per_atom_energy_readout`` in NequIP); everything before it is the backbone. NequIP's own
scale, shift, sum and force modules are left out: one implementation serves all architectures.

Allegro is built within the same framework (`mfscale.models.allegro`) and shares the backbone.
"""

import contextlib
import warnings
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

import torch
from nequip.data import AtomicDataDict
from nequip.model import NequIPGNNModel
from nequip.nn import ScalarMLP, SequentialGraphNetwork
from nequip.nn.norm import AvgNumNeighborsNorm
from nequip.utils import torch_default_dtype
from nequip.utils.global_state import set_global_state
from torch import Tensor, nn

from mfscale.data import keys
from mfscale.models.headed import Backbone, Batch, HeadedModel
from mfscale.models.ladder import Setting

READOUT = "per_atom_energy_readout"
"""What NequIP calls its readout; all before it is the backbone."""


class NequipBackbone(Backbone):
    """A model of NequIP's framework up to its readout."""

    def __init__(self, layers: SequentialGraphNetwork) -> None:
        super().__init__()
        self.layers = layers

    def forward(self, batch: Batch) -> dict[str, Tensor]:
        """The framework's own dictionary, holding all that the last layer leaves to a readout."""
        features: dict[str, Tensor] = self.layers(
            {
                AtomicDataDict.POSITIONS_KEY: batch[keys.POSITIONS],
                AtomicDataDict.EDGE_INDEX_KEY: batch[keys.EDGE_INDEX],
                AtomicDataDict.ATOM_TYPE_KEY: batch[keys.SPECIES],
                AtomicDataDict.BATCH_KEY: batch[keys.STRUCTURE],
                AtomicDataDict.NUM_NODES_KEY: batch[keys.N_ATOMS],
            }
        )
        return features

    def set_mean_neighbours(self, mean_neighbours: float) -> None:
        """Divide sums over neighbours by √(mean neighbour number), as the framework does."""
        for module in self.modules():
            if isinstance(module, AvgNumNeighborsNorm):
                module.norm_const.fill_(mean_neighbours**-0.5)


class NequipReadout(nn.Module):
    """A linear map from the last block's scalars to per-atom energies; starts at zero.

    A readout of zeros makes step 0 the offset-only baseline exactly.
    """

    def __init__(self, layers: SequentialGraphNetwork) -> None:
        super().__init__()
        self.linear = ScalarMLP(
            output_dim=1,
            field=AtomicDataDict.NODE_FEATURES_KEY,
            out_field=AtomicDataDict.PER_ATOM_ENERGY_KEY,
            irreps_in=layers.irreps_out,
        )
        for parameter in self.linear.parameters():
            nn.init.zeros_(parameter)

    def forward(self, features: dict[str, Tensor]) -> Tensor:
        """Per-atom energies (N,)."""
        scalars = features[AtomicDataDict.NODE_FEATURES_KEY]
        energy: Tensor = self.linear.mlp_module(scalars)
        return energy.squeeze(-1)


def build(
    settings: Mapping[str, Setting],
    *,
    elements: Sequence[str],
    heads: Sequence[str],
    dtype: torch.dtype,
    cutoff_a: float,
    seed: int,
) -> HeadedModel:
    """Build a NequIP model with one readout per head."""
    of_package = arguments(settings, elements=elements, dtype=dtype, cutoff_a=cutoff_a, seed=seed)
    with in_framework(dtype):
        whole = NequIPGNNModel(avg_num_neighbors=1.0, do_derivatives=False, **of_package)
        layers = layers_before(READOUT, whole.model.func)
        return HeadedModel(NequipBackbone(layers), {head: NequipReadout(layers) for head in heads})


def arguments(
    settings: Mapping[str, Setting],
    *,
    elements: Sequence[str],
    dtype: torch.dtype,
    cutoff_a: float,
    seed: int,
) -> dict[str, Any]:
    """What NequIP's own model is built from, apart from normalisation, units and forces."""
    return {
        **settings,
        "seed": seed,
        "model_dtype": str(dtype).removeprefix("torch."),
        "type_names": list(elements),
        "r_max": cutoff_a,
    }


def layers_before(readout: str, whole: SequentialGraphNetwork) -> SequentialGraphNetwork:
    """The layers of a whole network of the framework up to the one called `readout`."""
    modules = dict(whole.named_children())
    names = list(modules)
    return SequentialGraphNetwork({name: modules[name] for name in names[: names.index(readout)]})


@contextlib.contextmanager
def in_framework(dtype: torch.dtype) -> Iterator[None]:
    """Build modules of `dtype`, constants included, without a word.

    Silences advice about scales and shifts, which are ours to set, and about TorchScript.
    """
    with warnings.catch_warnings():
        warnings.filterwarnings("ignore", message="Found `per_type_energy")
        warnings.filterwarnings("ignore", category=DeprecationWarning, module="torch.jit")
        set_global_state()
        with torch_default_dtype(dtype):
            yield
