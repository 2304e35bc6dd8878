"""MACE, from the `mace-torch` package, as a backbone and readouts.

*Readout* means all of MACE's per-layer readouts together: a linear map from each layer's scalars
but the last's, a perceptron from the last's. An atom's energy is the sum of what they give.
Everything before them is the backbone. MACE's own scale, shift, element energies, sum and force
modules are left out: one implementation serves all architectures.
"""

import contextlib
import io
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

import e3nn
import numpy as np
import torch
from ase.data import atomic_numbers
from e3nn import o3
from torch import Tensor, nn

from mfscale.data import keys
from mfscale.models.fidelity import KINDS
from mfscale.models.headed import Backbone, Batch, HeadedModel, edge_vectors, leave_buffers_out
from mfscale.models.ladder import Setting

with contextlib.redirect_stdout(io.StringIO()):  # it prints which accelerators are not installed
    from mace.modules import LinearReadoutBlock, NonLinearReadoutBlock, interaction_classes
    from mace.modules.models import ScaleShiftMACE

GATE = nn.functional.silu
"""Of the last layer's readout; MACE's default."""


class MaceBackbone(Backbone):
    """Embeddings, interactions and products of a MACE: node features after every layer."""

    atomic_numbers: Tensor

    def __init__(self, whole: ScaleShiftMACE) -> None:
        super().__init__()
        self.node_embedding = whole.node_embedding
        self.spherical_harmonics = whole.spherical_harmonics
        self.radial_embedding = whole.radial_embedding
        self.interactions = whole.interactions
        self.products = whole.products
        self.embedding_width = self.node_embedding.linear.irreps_out.dim
        self.register_buffer("atomic_numbers", whole.atomic_numbers)
        for interaction in self.interactions:  # a number of a module is a constant of compiled code
            mean = self.node_embedding.linear.weight.new_tensor(interaction.avg_num_neighbors)
            del interaction.avg_num_neighbors
            interaction.register_buffer("avg_num_neighbors", mean, persistent=False)
        leave_buffers_out(self)

    def forward(self, batch: Batch, shift: Tensor | None = None) -> dict[str, Tensor]:
        """Layer's number → its node features (N, …), scalars first.

        MACE sums over edges where they end; as every pair has an edge each way, so do ours.
        """
        edge_index = batch[keys.EDGE_INDEX]
        dtype = self.node_embedding.linear.weight.dtype
        vectors = edge_vectors(batch).to(dtype)
        lengths = torch.linalg.norm(vectors, dim=-1, keepdim=True)
        element = nn.functional.one_hot(batch[keys.SPECIES], len(self.atomic_numbers)).to(dtype)
        edge_attrs = self.spherical_harmonics(vectors)
        edge_feats, cutoff = self.radial_embedding(
            lengths, element, edge_index, self.atomic_numbers
        )
        node_feats = self.node_embedding(element)
        if shift is not None:
            node_feats = node_feats + shift
        features = {}
        for layer, (interaction, product) in enumerate(
            zip(self.interactions, self.products, strict=True)
        ):
            message, skip = interaction(
                node_attrs=element,
                node_feats=node_feats,
                edge_attrs=edge_attrs,
                edge_feats=edge_feats,
                edge_index=edge_index,
                cutoff=cutoff,
                first_layer=layer == 0,
            )
            node_feats = product(node_feats=message, sc=skip, node_attrs=element)
            features[str(layer)] = node_feats
        return features

    def blocks(self) -> list[list[nn.Module]]:
        """Interactions, each with the product after it; the rest is embedding."""
        first, *rest = (
            [interaction, product]
            for interaction, product in zip(self.interactions, self.products, strict=True)
        )
        return [[self.node_embedding, self.radial_embedding, *first], *rest]

    def set_mean_neighbours(self, mean_neighbours: float) -> None:
        """Divide sums over neighbours by the mean neighbour number, as MACE does."""
        for interaction in self.interactions:
            interaction.avg_num_neighbors.fill_(mean_neighbours)

    def use_cuequivariance(self, method: str) -> None:
        """In convolutions and symmetric contractions."""
        from mfscale.models.products import (  # noqa: PLC0415 - an optional package
            Convolution,
            SymmetricContraction,
        )

        dtype = self.node_embedding.linear.weight.dtype
        for interaction, product in zip(self.interactions, self.products, strict=True):
            interaction.conv_tp = _Messages(Convolution(interaction.conv_tp, method, dtype))
            interaction.conv_fusion = True  # then it leaves the sum to conv_tp
            product.symmetric_contractions = SymmetricContraction(
                product.symmetric_contractions, method, dtype
            )


class _Messages(nn.Module):
    """A convolution as MACE calls it."""

    def __init__(self, convolution: nn.Module) -> None:
        super().__init__()
        self.convolution = convolution

    def forward(
        self, node_feats: Tensor, edge_attrs: Tensor, tp_weights: Tensor, edge_index: Tensor
    ) -> Tensor:
        """Sums over the edges that end at each atom."""
        summed: Tensor = self.convolution(
            node_feats, edge_attrs, tp_weights, edge_index[0], edge_index[1]
        )
        return summed


class MaceReadout(nn.Module):
    """The readouts of all layers for one head; the last linear map of each starts at zero.

    Readouts of zero make step 0 the offset-only baseline exactly; the maps before the last start
    as MACE initialises them.
    """

    def __init__(self, backbone: MaceBackbone, mlp_irreps: str) -> None:
        super().__init__()
        *inner, outer = (product.linear.irreps_out for product in backbone.products)
        last = NonLinearReadoutBlock(outer, o3.Irreps(mlp_irreps), GATE)
        self.layers = nn.ModuleList([*map(LinearReadoutBlock, inner), last])
        for linear in (*(readout.linear for readout in self.layers[:-1]), last.linear_2):
            nn.init.zeros_(linear.weight)
        leave_buffers_out(self)

    def forward(self, features: dict[str, Tensor]) -> Tensor:
        """Per-atom energies (N,)."""
        each = [readout(features[str(layer)]) for layer, readout in enumerate(self.layers)]
        return torch.cat(each, dim=-1).sum(dim=-1)


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
    """Build a MACE for all heads; no two sets of readouts start alike."""
    with in_package(dtype):
        torch.manual_seed(seed)
        whole = of_package(
            settings,
            elements=elements,
            cutoff_a=cutoff_a,
            avg_num_neighbors=1.0,
            atomic_energies=np.zeros(len(elements)),
            atomic_inter_scale=1.0,
            atomic_inter_shift=0.0,
        )
        backbone = MaceBackbone(whole)
        torch.manual_seed(-1 - seed)  # other numbers than the backbone's
        mlp_irreps = str(settings["MLP_irreps"])
        return KINDS[fidelity](backbone, heads, lambda: MaceReadout(backbone, mlp_irreps))


def of_package(
    settings: Mapping[str, Setting],
    *,
    elements: Sequence[str],
    cutoff_a: float,
    **normalisation: Any,  # noqa: ANN401 - the package's own arguments
) -> ScaleShiftMACE:
    """Build the package's own whole model.

    Settings have the names and values that they have in the package, except that a name stands for
    a class, and depth and width for the list of the radial perceptron's hidden layers.
    `normalisation` is the rest: heads, their scales and element energies, the mean neighbours.
    """
    plain = dict(settings)
    depth, width = int(plain.pop("radial_MLP_depth")), int(plain.pop("radial_MLP_width"))
    objects = {
        "radial_MLP": [width] * depth,
        "hidden_irreps": o3.Irreps(plain["hidden_irreps"]),
        "MLP_irreps": o3.Irreps(plain["MLP_irreps"]),
        "interaction_cls": interaction_classes[str(plain["interaction_cls"])],
        "interaction_cls_first": interaction_classes[str(plain["interaction_cls_first"])],
        "gate": GATE,
        "use_reduced_cg": False,  # else fewer weights wherever cuequivariance is installed too
        "r_max": cutoff_a,
        "num_elements": len(elements),
        "atomic_numbers": [atomic_numbers[element] for element in elements],
    }
    return ScaleShiftMACE(**plain | objects | normalisation)


@contextlib.contextmanager
def in_package(dtype: torch.dtype) -> Iterator[None]:
    """Build modules of `dtype`, constants included, that run as plain Python.

    e3nn's alternative, TorchScript, compiles anew for whole seconds in the first steps of each
    process. Its choice serves the process, NequIP included, and is put back.
    """
    before, jit_mode = torch.get_default_dtype(), e3nn.get_optimization_defaults()["jit_mode"]
    torch.set_default_dtype(dtype)
    e3nn.set_optimization_defaults(jit_mode="eager")
    try:
        yield
    finally:
        e3nn.set_optimization_defaults(jit_mode=jit_mode)
        torch.set_default_dtype(before)
