"""NequIP, from the `nequip` package, as a backbone and readouts.

*Readout* means the final linear map from the scalars of the last interaction block to an atom's
energy (``per_atom_energy_readout`` in NequIP); everything before it is the backbone. NequIP's own
scale, shift, sum and force modules are left out: one implementation serves all architectures.

Allegro is built within the same framework (`mfscale.models.allegro`), as a backbone of its own.
"""

import contextlib
import warnings
from abc import abstractmethod
from collections.abc import Iterator, Mapping, Sequence
from typing import Any, ClassVar

import torch
from nequip.data import AtomicDataDict
from nequip.model import NequIPGNNModel
from nequip.nn import ConvNetLayer, ScalarMLP, SequentialGraphNetwork, replace_submodules
from nequip.nn._tp_scatter_base import TensorProductScatter  # it has no public name
from nequip.nn.norm import AvgNumNeighborsNorm
from nequip.utils import torch_default_dtype
from nequip.utils.global_state import set_global_state
from torch import Tensor, nn

from mfscale.data import keys
from mfscale.models.fidelity import KINDS
from mfscale.models.headed import Backbone, Batch, HeadedModel, edge_vectors
from mfscale.models.ladder import Setting

READOUT = "per_atom_energy_readout"
"""What NequIP calls its readout; all before it is the backbone."""


class FrameworkBackbone(Backbone):
    """A model of NequIP's framework up to its readout.

    Attributes
    ----------
    embedding, field
        The layer that leaves the scalars of elements, and where it leaves them.
    """

    embedding: ClassVar[str]
    field: ClassVar[str]

    def __init__(self, layers: SequentialGraphNetwork) -> None:
        super().__init__()
        self.layers = layers
        self.embedding_width = layers.get_submodule(self.embedding).irreps_out[self.field].dim

    def forward(self, batch: Batch, shift: Tensor | None = None) -> dict[str, Tensor]:
        """The framework's own dictionary, holding all that the last layer leaves to a readout."""
        features = {
            AtomicDataDict.POSITIONS_KEY: batch[keys.POSITIONS],
            AtomicDataDict.EDGE_INDEX_KEY: batch[keys.EDGE_INDEX],
            AtomicDataDict.ATOM_TYPE_KEY: batch[keys.SPECIES],
            AtomicDataDict.BATCH_KEY: batch[keys.STRUCTURE],
            AtomicDataDict.NUM_NODES_KEY: batch[keys.N_ATOMS],
        }
        if keys.EDGE_SHIFT in batch:  # else the framework takes the vectors from the positions
            features[AtomicDataDict.EDGE_VECTORS_KEY] = edge_vectors(batch)
        for name, layer in self.layers.named_children():
            features = layer(features)
            if name == self.embedding and shift is not None:
                features[self.field] = self.shifted(features, shift)
        return features

    @abstractmethod
    def shifted(self, features: dict[str, Tensor], shift: Tensor) -> Tensor:
        """The scalars of elements, with `shift` (N, embedding_width) of each atom added."""

    def set_mean_neighbours(self, mean_neighbours: float) -> None:
        """Divide sums over neighbours by √(mean neighbour number), as the framework does."""
        for module in self.modules():
            if isinstance(module, AvgNumNeighborsNorm):
                module.norm_const.fill_(mean_neighbours**-0.5)


class NequipBackbone(FrameworkBackbone):
    """A NequIP up to its readout."""

    embedding = "type_embed"
    field = AtomicDataDict.NODE_FEATURES_KEY

    def shifted(self, features: dict[str, Tensor], shift: Tensor) -> Tensor:
        """Node features (N, embedding_width)."""
        return features[self.field] + shift

    def blocks(self) -> list[list[nn.Module]]:
        """Convolutions; the layers before them are embeddings."""
        layers = list(self.layers.children())
        first = sum(not isinstance(layer, ConvNetLayer) for layer in layers)
        return [layers[: first + 1], *([layer] for layer in layers[first + 1 :])]

    def use_cuequivariance(self, method: str) -> None:
        """In convolutions."""
        from mfscale.models.products import Convolution  # noqa: PLC0415 - an optional package

        def new(old: TensorProductScatter) -> nn.Module:
            return _Messages(old.tp, Convolution(old.tp, method, old.model_dtype))

        replace_submodules(self.layers, TensorProductScatter, new)


class _Messages(nn.Module):
    """A convolution as NequIP calls it, beside e3nn's product, whose buffers are of the state."""

    def __init__(self, tp: nn.Module, convolution: nn.Module) -> None:
        super().__init__()
        self.tp = tp
        self.convolution = convolution

    def forward(
        self,
        x: Tensor,
        edge_attr: Tensor,
        edge_weight: Tensor,
        edge_dst: Tensor,
        edge_src: Tensor,
    ) -> Tensor:
        """Sums over the edges of each atom."""
        summed: Tensor = self.convolution(x, edge_attr, edge_weight, edge_src, edge_dst)
        return summed


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
    fidelity: str,
) -> HeadedModel:
    """Build a NequIP model for all heads."""
    of_package = arguments(settings, elements=elements, dtype=dtype, cutoff_a=cutoff_a, seed=seed)
    with in_framework(dtype):
        whole = NequIPGNNModel(avg_num_neighbors=1.0, do_derivatives=False, **of_package)
        layers = layers_before(READOUT, whole.model.func)
        return KINDS[fidelity](NequipBackbone(layers), heads, lambda: NequipReadout(layers))


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
